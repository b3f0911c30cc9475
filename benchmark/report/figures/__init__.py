"""Every figure of a report, as PNG, SVG and PDF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.report import style
from benchmark.report.groups import Group
from benchmark.report.leaderboard import by_group
from benchmark.report.standings import tiers_of

if TYPE_CHECKING:
    from benchmark.report.stability import Ranking


def write_figures(
    folder: Path,
    frame: pd.DataFrame,
    groups: Sequence[Group],
    clinical: pd.DataFrame,
    found: Sequence[Ranking] = (),
    formats: Sequence[str] = style.FORMATS,
) -> list[Path]:
    """Draw the figures of every group, and per source one heat map and the stability of ranks.

    Figures in the folder that are none of these are deleted.

    Args:
        folder: made if absent.
        frame: from :func:`benchmark.report.leaderboard.leaderboard`.
        groups: the groups the frame was made from.
        clinical: the rows of all ``clinical.csv``.
        found: from :func:`benchmark.report.stability.rankings`.
        formats: among PNG, SVG and PDF.

    Returns:
        The paths of all files; a group whose runs all failed has none of its own.
    """
    from benchmark.report.figures import (
        agreement,
        costs,
        heatmap,
        overlays,
        scores,
        stability,
        training,
        worst,
    )

    paths: list[Path] = []
    if not formats:
        _remove_others(folder, paths)
        return paths
    looks = style.looks(name for group in groups for name in group.names)
    with style.drawing():
        for group in groups:
            rows = by_group(frame, group)
            drawn = {
                "dice": scores.draw(group, looks, tiers_of(rows)),
                "cost": costs.draw(group, rows, looks),
                "training": training.draw(group, looks),
                "overlay": overlays.draw(group),
                "worst": worst.draw(group),
                **agreement.draw(group, clinical, looks),
            }
            for kind, figure in drawn.items():
                if figure is not None:
                    paths += style.save(figure, folder, f"{kind}_{group.slug}", formats)
        for source in sorted({group.source for group in groups}):
            members = [group for group in groups if group.source == source]
            heat = heatmap.draw(members, frame)
            paths += style.save(heat, folder, f"heatmap_{source}", formats)
            ranked = [one for one in found if one.group.source == source]
            blobs = stability.draw(ranked, looks)
            if blobs is not None:
                paths += style.save(blobs, folder, f"stability_{source}", formats)
    _remove_others(folder, paths)
    return paths


def _remove_others(folder: Path, written: Sequence[Path]) -> None:
    """Delete figures of an earlier report, such as those of phantoms beside real data."""
    stale = {path for kind in style.FORMATS for path in folder.glob(f"*.{kind}")} - set(written)
    for path in stale:
        path.unlink()
