"""Which figures a report has: sheets of them that are drawn apart, in any process and order."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.report import layout, style
from benchmark.report.figures.crew import Sheet
from benchmark.report.groups import Group
from benchmark.report.leaderboard import by_group
from benchmark.report.standings import Name, tiers_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmark.report.material import Material
    from benchmark.report.robustness import Curves
    from benchmark.report.stability import Ranking

    Looks = Mapping[Name, style.Look]
    Drawn = Iterator[tuple[str, Figure | None]]


def sheets(folder: Path, material: Material, formats: Sequence[str], width: str) -> list[Sheet]:
    """Sheets of every source and group.

    Args:
        folder: where the files shall lie.
        material: what they show.
        formats: among PNG, SVG and PDF.
        width: one of :data:`benchmark.report.layout.WIDTHS`.
    """
    widths, looks = layout.WIDTHS[width], material.looks
    made: list[tuple[str, Callable[[], Drawn]]] = []
    for source in sorted({group.source for group in material.groups}):
        groups = [group for group in material.groups if group.source == source]
        found = [one for one in material.found if one.group.source == source]
        means = material.across[material.across["source"] == source]
        draw = partial(_across, groups, material.frame, found, means, looks, widths)
        made.append((source, draw))
    for group in material.groups:
        rows, pairs = material.rows(group), by_group(material.pairs, group)
        curves = [one for one in material.curves if one.group is group]
        mine = material.clinical
        if len(mine):
            mine = mine[mine["run"].isin([run.key for run in group.runs])]
        made += [
            (group.slug, partial(_endpoints, group, mine, looks, widths)),
            (group.slug, partial(_pictures, group)),
            (group.slug, partial(_scores, group, rows, pairs, curves, looks, widths)),
        ]
    drawn: list[Sheet] = [partial(_save, folder, formats, slug, draw) for slug, draw in made]
    moving: list[Sheet] = [
        partial(_animate, folder, group, material.rows(group)) for group in material.groups
    ]
    return [*drawn, *moving]


def _save(folder: Path, formats: Sequence[str], slug: str, draw: Callable[[], Drawn]) -> list[Path]:
    """Save every figure of a sheet under its name, the slug and the mark of its width."""
    paths: list[Path] = []
    with layout.drawing():
        for kind, figure in draw():
            if figure is not None:
                name = kind.removesuffix(layout.ONE_COLUMN)
                stem = f"{name}_{slug}{kind.removeprefix(name)}"
                paths += layout.save(figure, folder, stem, formats)
    gc.collect(0)  # which `drawing` puts off; a figure takes a few MiB
    return paths


def _animate(folder: Path, group: Group, rows: pd.DataFrame) -> list[Path]:
    from benchmark.report.figures.animation import write_animation

    path = write_animation(folder / f"animation_{group.slug}.gif", group, rows)
    return [path] if path else []


def _scores(
    group: Group,
    rows: pd.DataFrame,
    pairs: pd.DataFrame,
    curves: Sequence[Curves],
    looks: Looks,
    widths: Sequence[float],
) -> Drawn:
    from benchmark.report.figures import costs, robustness, scores, tiers, training

    # What has no room in one column is always for two.
    yield "dice", scores.draw(group, looks, tiers_of(rows))
    for one in curves:
        yield "robustness", robustness.draw(one, looks)
    yield from _each("tiers", widths, lambda width: tiers.draw(group, rows, pairs, looks, width))
    yield from _each("cost", widths, lambda width: costs.draw(group, rows, looks, width))
    yield from _each("training", widths, lambda width: training.draw(group, looks, width))


def _pictures(group: Group) -> Drawn:
    from benchmark.report.figures import overlays, worst

    yield "overlay", overlays.draw(group)
    yield "worst", worst.draw(group)


def _endpoints(
    group: Group, clinical: pd.DataFrame, looks: Looks, widths: Sequence[float]
) -> Drawn:
    from benchmark.report.figures import agreement

    for width_in in widths:
        for kind, figure in agreement.draw(group, clinical, looks, width_in).items():
            yield f"{kind}{_end(width_in)}", figure


def _across(
    groups: Sequence[Group],
    frame: pd.DataFrame,
    found: Sequence[Ranking],
    across: pd.DataFrame,
    looks: Looks,
    widths: Sequence[float],
) -> Drawn:
    from benchmark.report.figures import heatmap, ranks, stability

    yield from _each("heatmap", widths, lambda width: heatmap.draw(groups, frame, width))
    yield from _each("stability", widths, lambda width: stability.draw(found, looks, width))
    yield from _each("ranks", widths, lambda width: ranks.draw(across, groups, looks, width))


def _each(kind: str, widths: Sequence[float], draw: Callable[[float], Figure | None]) -> Drawn:
    """A figure in all widths asked for; where it has no room in one column alone, in two."""
    for width_in in widths:
        figure = draw(width_in)
        if figure is None and layout.TWO_COLUMNS_IN not in widths:
            yield kind, draw(layout.TWO_COLUMNS_IN)
        else:
            yield f"{kind}{_end(width_in)}", figure


def _end(width_in: float) -> str:
    return "" if width_in == layout.TWO_COLUMNS_IN else layout.ONE_COLUMN
