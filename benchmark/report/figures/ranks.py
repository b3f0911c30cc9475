"""Mean ranks over datasets, beside what Nemenyi's test would ask for to tell them apart.

The layout is that of a critical-difference diagram (Demšar, JMLR 2006) without its verdict: ranks
over datasets are described and not tested, so the critical difference is drawn as a measure alone
and joins nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.report import layout, style
from benchmark.report.groups import Group, row_title
from benchmark.report.standings import Name
from benchmark.statistics.ranking import nemenyi_gap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_IN, _TOP_IN, _LABELS_IN = 0.32, 0.5, 0.36
_LEAST_IN = 1.6  # of the ranks
# Demšar's rule of thumb for the approximation behind the test.
_ENOUGH_DATASETS = 11


def draw(
    across: pd.DataFrame,
    groups: Sequence[Group],
    looks: Mapping[Name, style.Look],
    width_in: float = layout.TWO_COLUMNS_IN,
) -> Figure | None:
    """A row per architecture, best mean rank on top; None without two of them on two datasets.

    None, too, where names leave no room in one column.

    Args:
        across: rows of one source from :func:`benchmark.report.across.ranks_across`.
        groups: the groups of that source.
        looks: colours and markers.
        width_in: of the figure; in two columns it grows where long names ask for more.
    """
    names = list(dict.fromkeys(zip(across["architecture"], across["variant"], strict=True)))
    datasets = list(dict.fromkeys(across["dataset"]))
    if len(names) < 2 or len(datasets) < 2:
        return None
    label_in = 0.12 + 0.058 * max(len(row_title(*name)) for name in names)
    room_in = layout.fitting(width_in, label_in + 0.12, _LEAST_IN)
    if room_in is None:
        return None
    width_in = room_in
    gap, widest = nemenyi_gap(len(datasets), len(names)), len(names) - 1
    text = _remark(gap, widest, len(datasets))
    ruler_in = 0.34 if gap <= widest else 0.0
    remark_in = layout.remark_height_in(text, width_in)
    rows_in = _ROW_IN * len(names) + ruler_in
    height_in = _TOP_IN + rows_in + _LABELS_IN + remark_in
    figure = layout.new_figure(width_in, height_in)
    axes = figure.add_axes(
        (
            label_in / width_in,
            (_LABELS_IN + remark_in) / height_in,
            (width_in - label_in - 0.12) / width_in,
            rows_in / height_in,
        )
    )
    above = 0.5 + ruler_in / _ROW_IN
    axes.set_ylim(len(names) - 0.5, -above)
    axes.set_xlim(0.7, len(names) + 0.3)
    axes.set_xticks(range(1, len(names) + 1))
    axes.set_yticks(range(len(names)), [row_title(*name) for name in names])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("rank by mean foreground Dice", labelpad=2)
    for place, name in enumerate(names):
        mine = across[(across["architecture"] == name[0]) & (across["variant"] == name[1])]
        _row(axes, place, mine, looks[name])
    if ruler_in:
        _ruler(axes, gap, -0.5 - 0.35 * ruler_in / _ROW_IN)
    layout.remark(figure, remark_in / 2 / height_in, text)
    titles = [group.title for group in groups if group.dataset in datasets and not group.tuned]
    layout.headline(
        figure,
        "Mean rank over datasets",
        f"{groups[0].source} data: {', '.join(titles)}",
        phantom=groups[0].phantom,
    )
    return figure


def _row(axes: Axes, place: int, mine: pd.DataFrame, look: style.Look) -> None:
    """The mean, and below it the rank on each dataset, equal ones beside each other."""
    ranks = [int(rank) for rank in mine["rank"]]
    for rank in sorted(set(ranks)):
        count = ranks.count(rank)
        axes.plot(
            [rank + 0.06 * (index - (count - 1) / 2) for index in range(count)],
            [place + 0.3] * count,
            linestyle="none",
            marker="o",
            markersize=3,
            color="#777777",
            markeredgewidth=0,
            zorder=2,
        )
    axes.plot(
        float(mine["mean_rank"].iloc[0]), place, marker=look.marker, markersize=6.5,
        color=look.colour, markeredgecolor="white", markeredgewidth=0.6, zorder=3,
    )  # fmt: skip


def _ruler(axes: Axes, gap: float, height: float) -> None:
    axes.plot([1, 1 + gap], [height, height], color="black", linewidth=1.1, marker="|",
              markersize=6, clip_on=False)  # fmt: skip
    axes.text(1 + gap / 2, height - 0.14, f"Nemenyi's critical difference, 5 %: {gap:.2f}",
              ha="center", va="bottom", fontsize=6.2)  # fmt: skip


def _remark(gap: float, widest: int, datasets: int) -> str:
    """What the marks are, and what so few datasets cannot tell."""
    parts = [
        "large mark: mean rank",
        "small: rank on each dataset, among those with a rank on all",
        "a description, not a test",
    ]
    if gap > widest:
        parts.append(
            f"over {datasets} datasets Nemenyi's test asks for {gap:.2f}, more than the {widest} "
            "possible"
        )
    if datasets < _ENOUGH_DATASETS:
        parts.append(f"{datasets} datasets are too few to tell architectures apart by their ranks")
    return " · ".join(parts)
