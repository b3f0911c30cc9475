"""Every figure of a report, as PNG, SVG and PDF, and what moves as GIF."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.report import style
from benchmark.report.groups import Group
from benchmark.report.leaderboard import by_group
from benchmark.report.standings import Name, tiers_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmark.report.stability import Ranking


_AT_ONCE = 32  # figures in memory; one takes a few MiB


def write_figures(
    folder: Path,
    frame: pd.DataFrame,
    groups: Sequence[Group],
    clinical: pd.DataFrame,
    found: Sequence[Ranking] = (),
    formats: Sequence[str] = style.FORMATS,
    width: str = "two",
) -> list[Path]:
    """Draw the figures of every group, and per source the heat map and the ranks.

    Where runs left pictures of the data, a group has an animation, too.

    Figures in the folder that are none of these are deleted.

    Args:
        folder: made if absent.
        frame: from :func:`benchmark.report.leaderboard.leaderboard`.
        groups: the groups the frame was made from.
        clinical: the rows of all ``clinical.csv``.
        found: from :func:`benchmark.report.stability.rankings`.
        formats: among PNG, SVG and PDF; none draws nothing.
        width: one of :data:`benchmark.report.style.WIDTHS`; files for one column end in ``_1col``.
            What has no room there (boxes per class, pictures) is always for two.

    Returns:
        The paths of all files; a group whose runs all failed has none of its own.
    """
    from benchmark.report.figures import animation

    paths: list[Path] = []
    if formats:
        looks = style.looks(name for group in groups for name in group.names)
        with style.drawing():
            drawn = _drawn(frame, groups, clinical, found, looks, width)
            for number, (stem, figure) in enumerate(drawn, start=1):
                paths += style.save(figure, folder, stem, formats)
                if not number % _AT_ONCE:
                    gc.collect()
        for group in groups:
            path = folder / f"animation_{group.slug}.gif"
            moving = animation.write_animation(path, group, by_group(frame, group))
            paths += [moving] if moving else []
    _remove_others(folder, paths)
    return paths


def _drawn(
    frame: pd.DataFrame,
    groups: Sequence[Group],
    clinical: pd.DataFrame,
    found: Sequence[Ranking],
    looks: Mapping[Name, style.Look],
    width: str,
) -> Iterator[tuple[str, Figure]]:
    """Every figure with the name of its file, one group at a time: pictures are large."""
    from benchmark.report.across import ranks_across
    from benchmark.report.comparisons import comparisons
    from benchmark.report.figures import (
        agreement,
        costs,
        heatmap,
        overlays,
        ranks,
        scores,
        stability,
        tiers,
        training,
        worst,
    )

    pairs, across = comparisons(frame, groups), ranks_across(frame, groups)
    for group in groups:
        rows, mine = by_group(frame, group), by_group(pairs, group)
        drawn: dict[str, Figure | None] = {
            "dice": scores.draw(group, looks, tiers_of(rows)),
            "overlay": overlays.draw(group),
            "worst": worst.draw(group),
        }
        for width_in in style.WIDTHS[width]:
            end = _end(width_in)
            drawn |= {
                f"tiers{end}": tiers.draw(group, rows, mine, looks, width_in),
                f"cost{end}": costs.draw(group, rows, looks, width_in),
                f"training{end}": training.draw(group, looks, width_in),
            }
            of_endpoints = agreement.draw(group, clinical, looks, width_in)
            drawn |= {f"{kind}{end}": figure for kind, figure in of_endpoints.items()}
        yield from _named(drawn, group.slug)
    for source in sorted({group.source for group in groups}):
        members = [group for group in groups if group.source == source]
        ranked = [one for one in found if one.group.source == source]
        over = across[across["source"] == source]
        drawn = {}
        for width_in in style.WIDTHS[width]:
            end = _end(width_in)
            drawn |= {
                f"heatmap{end}": heatmap.draw(members, frame, width_in),
                f"stability{end}": stability.draw(ranked, looks, width_in),
                f"ranks{end}": ranks.draw(over, members, looks, width_in),
            }
        yield from _named(drawn, source)


def _end(width_in: float) -> str:
    return "" if width_in == style.TWO_COLUMNS_IN else style.ONE_COLUMN


def _named(drawn: Mapping[str, Figure | None], slug: str) -> Iterator[tuple[str, Figure]]:
    for kind, figure in drawn.items():
        if figure is not None:
            name = kind.removesuffix(style.ONE_COLUMN)
            yield f"{name}_{slug}{kind.removeprefix(name)}", figure


def _remove_others(folder: Path, written: Sequence[Path]) -> None:
    """Delete figures of an earlier report, such as those of phantoms beside real data."""
    stale = {path for kind in (*style.FORMATS, "gif") for path in folder.glob(f"*.{kind}")} - set(
        written
    )
    for path in stale:
        path.unlink()
