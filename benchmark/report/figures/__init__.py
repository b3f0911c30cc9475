"""Every figure of a report, as PNG, SVG and PDF, and what moves as GIF."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.report import style

if TYPE_CHECKING:
    from benchmark.report.material import Material

# A process takes about as long to start as a sheet to be drawn.
_SHEETS_PER_PROCESS = 4


@contextmanager
def figures_of(
    material: Material,
    formats: Sequence[str] = style.FORMATS,
    width: str = "two",
    processes: int = 1,
) -> Iterator[Callable[[], list[Path]]]:
    """Draw the figures of every group, and per source the heat map and the ranks.

    They are drawn while the block goes on, or, for want of processes or of figures, when it asks
    for them. Where runs left pictures of the data, a group has an animation, too.

    Args:
        material: what they show; they lie in ``figures`` of its folder.
        formats: among PNG, SVG and PDF; none draws nothing.
        width: one of :data:`benchmark.report.style.WIDTHS`; files for one column end in ``_1col``.
            What has no room there (boxes per class, pictures) is always for two.
        processes: as many at most draw them.

    Yields:
        What waits for all files, deletes what else of their kinds is in the folder, and returns
        their paths; a group whose runs all failed has none of its own.
    """
    from benchmark.report.figures.processes import started
    from benchmark.report.figures.sheets import sheets

    folder = material.folder / "figures"
    todo = sheets(folder, material, formats, width) if formats else []
    with started(todo, min(processes, len(todo) // _SHEETS_PER_PROCESS)) as drawn:
        yield lambda: _only(folder, drawn())


def _only(folder: Path, written: list[Path]) -> list[Path]:
    """Delete figures of an earlier report, such as those of phantoms beside real data."""
    for kind in (*style.FORMATS, "gif"):
        for path in set(folder.glob(f"*.{kind}")).difference(written):
            path.unlink()
    return written
