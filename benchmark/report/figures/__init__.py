"""Every figure of a report, as PNG, SVG and PDF, and what moves as GIF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.report import layout

if TYPE_CHECKING:
    from benchmark.report.figures.crew import Crew
    from benchmark.report.material import Material


def begin_figures(
    material: Material, formats: Sequence[str], width: str, crew: Crew
) -> Callable[[], list[Path]]:
    """Begin the figures of every group, and per source the heat map and the ranks.

    Where runs left pictures of the data, a group has an animation, too.

    Args:
        material: what they show; they lie in ``figures`` of its folder.
        formats: among PNG, SVG and PDF; none draws nothing.
        width: one of :data:`benchmark.report.layout.WIDTHS`; files for one column end in ``_1col``.
            What has no room there (boxes per class, pictures) is always for two.
        crew: its helpers draw until the others are asked for.

    Returns:
        What waits for all files, deletes what else of their kinds is in the folder, and returns
        their paths; a group whose runs all failed has none of its own.
    """
    from benchmark.report.figures.sheets import sheets

    folder = material.folder / "figures"
    finish = crew.begin(sheets(folder, material, formats, width) if formats else [])
    return lambda: _only(folder, finish())


def _only(folder: Path, written: list[Path]) -> list[Path]:
    """Delete figures of an earlier report, such as those of phantoms beside real data."""
    for kind in (*layout.FORMATS, "gif"):
        for path in set(folder.glob(f"*.{kind}")).difference(written):
            path.unlink()
    return written
