"""Tiers: the ranked rows of a group, how far apart they are, and which are not separable.

The paired counterpart of a critical-difference diagram (Demšar, JMLR 2006): rows are joined by the
very tests over patients that the tiers come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmark.report import layout, style
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import scores_by_name
from benchmark.report.standings import Name, ranked_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_IN, _TITLE_IN, _LABELS_IN = 0.24, 0.5, 0.36
_LEAST_IN = 1.6  # of Dice and ranks together
_LANE_IN, _GAP_IN, _TIER_IN = 0.13, 0.12, 0.36
_REMARK = (
    "bars: 95 % of bootstrap draws of patients · mark: mean Dice, and rank in the table · joined: "
    "not separable (paired randomisation test, Holm, 5 %) · dashed: a new tier"
)


def draw(
    group: Group,
    rows: pd.DataFrame,
    pairs: pd.DataFrame,
    looks: Mapping[Name, style.Look],
    width_in: float = layout.TWO_COLUMNS_IN,
) -> Figure | None:
    """Ranked rows from best to worst; None where nothing was compared or names leave no room.

    Args:
        group: the group.
        rows: its rows of the leaderboard.
        pairs: its rows of :func:`benchmark.report.comparisons.comparisons`.
        looks: colours and markers.
        width_in: of the figure; in two columns it grows where long names ask for more.
    """
    names = ranked_names(rows)
    if pairs.empty:
        return None
    scored = scores_by_name(rows)
    joined = cliques(names, _alike(pairs))
    handles = layout.remarks(group.failures)
    narrow = width_in < layout.TWO_COLUMNS_IN
    size = 6.0 if narrow else 7.0
    label_in = 0.12 + 0.0083 * size * max(len(row_title(*name)) for name in names)
    lanes_in = max(0.4, _LANE_IN * (len(joined) + 1)) if joined else 0.05
    taken_in = label_in + lanes_in + _TIER_IN + 2 * _GAP_IN
    room_in = layout.fitting(width_in, taken_in, _LEAST_IN)
    if room_in is None:
        return None
    width_in, free_in = room_in, room_in - taken_in
    widths_in = (0.62 * free_in, 0.38 * free_in, lanes_in)
    legend_in = layout.legend_height_in([str(item.get_label()) for item in handles], width_in)
    remark_in = layout.remark_height_in(_REMARK, width_in)
    rows_in = _ROW_IN * len(names)
    height_in = _TITLE_IN + rows_in + _LABELS_IN + remark_in + legend_in
    figure = layout.new_figure(width_in, height_in)
    lefts_in = (
        label_in,
        label_in + widths_in[0] + _GAP_IN,
        label_in + widths_in[0] + widths_in[1] + 2 * _GAP_IN,
    )
    bottom_in = legend_in + remark_in + _LABELS_IN
    dice, ranks, bars = (
        figure.add_axes(
            (left / width_in, bottom_in / height_in, wide / width_in, rows_in / height_in)
        )
        for left, wide in zip(lefts_in, widths_in, strict=True)
    )
    table = [scored[name] for name in names]
    _dice(dice, table, [looks[name] for name in names])
    dice.set_xlabel("mean Dice" if narrow else "mean foreground Dice", labelpad=2, fontsize=7)
    _ranks(ranks, table, [looks[name] for name in names])
    _bars(bars, names, joined, lane=min(1.0, _LANE_IN / lanes_in))
    tiers = [int(row["tier"]) for row in table]
    for axes in (dice, ranks, bars):
        axes.set_ylim(len(names) - 0.5, -0.5)  # the best row on top
        axes.set_yticks(range(len(names)), [""] * len(names))
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=size - 0.5, pad=2)
        axes.grid(visible=False, axis="y")
        for place, (above, below) in enumerate(pairwise(tiers)):
            if above != below and (joined or axes is not bars):
                axes.axhline(
                    place + 0.5, color="#777777", linewidth=0.7, linestyle=(0, (4, 2)), zorder=1
                )
    dice.set_yticks(range(len(names)), [row_title(*name) for name in names], fontsize=size)
    for place, tier in enumerate(tiers):
        if not place or tier != tiers[place - 1]:
            bars.text(
                1.0, place, f" tier {tier}", fontsize=size - 0.5, va="center",
                transform=bars.get_yaxis_transform(),
            )  # fmt: skip
    layout.bottom_legend(figure, handles)
    layout.remark(figure, (legend_in + remark_in / 2) / height_in, _REMARK)
    layout.headline(figure, f"{group.title}: tiers", group.subtitle, phantom=group.phantom)
    return figure


def cliques(names: Sequence[Name], alike: set[frozenset[Name]]) -> list[list[Name]]:
    """The largest sets of rows of which no two are separable, in the order of the table.

    To be not separable is not transitive: two rows may both be joined to a third and be separable.

    Args:
        names: rows, best first.
        alike: the pairs that are not separable.

    Returns:
        Sets of two or more, those with the better rows first (Bron and Kerbosch, CACM 1973).
    """
    found: list[list[Name]] = []

    def grow(chosen: list[Name], open_: list[Name], done: list[Name]) -> None:
        if not open_ and not done and len(chosen) > 1:
            found.append(sorted(chosen, key=names.index))

        def joined(one: Name, others: list[Name]) -> list[Name]:
            return [other for other in others if frozenset((one, other)) in alike]

        # What is joined to the pivot is found with it; without one, n rows that nothing separates
        # would take 2^n calls.
        pivot = max([*open_, *done], key=lambda one: len(joined(one, open_)), default=None)
        branches = [one for one in open_ if pivot is None or one not in joined(pivot, open_)]
        for one in branches:
            grow([*chosen, one], joined(one, open_), joined(one, done))
            open_, done = [other for other in open_ if other != one], [*done, one]

    grow([], list(names), [])
    return sorted(found, key=lambda members: [names.index(name) for name in members])


def _alike(pairs: pd.DataFrame) -> set[frozenset[Name]]:
    apart = pairs[~pairs["separable"].astype(bool)]
    return {
        frozenset(((row["first"], row["first_variant"]), (row["second"], row["second_variant"])))
        for _, row in apart.iterrows()
    }


def _dice(axes: Axes, table: Sequence[pd.Series[Any]], looks: Sequence[style.Look]) -> None:
    from matplotlib.ticker import MaxNLocator

    for place, (row, look) in enumerate(zip(table, looks, strict=True)):
        axes.plot(
            [row["dice_low"], row["dice_high"]], [place, place],
            color=look.colour, linewidth=1.2, marker="|", markersize=4.5, zorder=2,
        )  # fmt: skip
        axes.plot(
            row["dice"], place, marker=look.marker, color=look.colour, markersize=5,
            markeredgecolor="white", markeredgewidth=0.4, zorder=3,
        )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(4))


def _ranks(axes: Axes, table: Sequence[pd.Series[Any]], looks: Sequence[style.Look]) -> None:
    for place, (row, look) in enumerate(zip(table, looks, strict=True)):
        ends = [int(row["rank_low"]), int(row["rank_high"])]
        axes.plot(ends, [place, place], color=look.colour, linewidth=1.2, marker="|",
                  markersize=4.5, zorder=2)  # fmt: skip
        axes.plot(
            int(row["rank"]), place, marker=look.marker, color=look.colour, markersize=5,
            markeredgecolor="white", markeredgewidth=0.4, zorder=3,
        )  # fmt: skip
    axes.set_xlim(0.6, len(table) + 0.4)
    axes.set_xticks(range(1, len(table) + 1, 1 if len(table) <= 10 else 2))
    axes.set_xlabel("rank", labelpad=2, fontsize=7)


def _bars(axes: Axes, names: Sequence[Name], joined: Sequence[list[Name]], *, lane: float) -> None:
    for index, members in enumerate(joined):
        places = [names.index(name) for name in members]
        axes.plot(
            [(index + 1) * lane] * len(places), places,
            color="black", linewidth=1.8, marker="o", markersize=3.4, zorder=3,
        )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if joined:
        axes.set_xlabel("joined", labelpad=4, fontsize=7)
