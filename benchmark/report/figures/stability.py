"""Rank stability: how often each architecture has each rank when patients are drawn anew.

The blob plots of challengeR (Wiesenfarth et al., Scientific Reports 2021), one panel per ranking
scheme and dataset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.report import layout, style
from benchmark.report.groups import row_title
from benchmark.report.numerals import number
from benchmark.report.stability import SCHEME_TITLES, Ranking
from benchmark.report.standings import Name
from benchmark.statistics.ranking import SCHEMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEFT_IN, _LINE_IN = 0.29, 0.11  # beside the first axes: ticks, and each line of a label
_TOP_IN, _GAP_IN = 0.62, 0.26
_BLOB = 0.42  # widest radius in ranks, of a share of 1
_REMARK = (
    "blob: area ∝ share of 1,000 draws of patients · bar: 95 % of them, tick: median · "
    "white mark: rank by this scheme on all patients · τ: Kendall's, median [95 %]"
)


def draw(
    found: Sequence[Ranking],
    looks: Mapping[Name, style.Look],
    width_in: float = layout.TWO_COLUMNS_IN,
) -> Figure | None:
    """A row of panels per group, a column per scheme; None where nothing was ranked by Dice.

    The area of a blob is proportional to the share of draws with that rank; the bar spans 95 % of
    the draws, its tick is their median; the white mark is the rank in the table itself.

    Args:
        found: rankings of groups of one source.
        looks: colours and markers.
        width_in: of the figure.
    """
    narrow = width_in < layout.TWO_COLUMNS_IN
    shown = [one for one in found if one.metric == "dice"]
    groups = list({id(one.group): one.group for one in shown}.values())
    if not groups:
        return None
    names = list(dict.fromkeys(name for one in shown for name in one.names))
    handles = _handles(names, looks)
    labels = [str(handle.get_label()) for handle in handles]
    remark_in = layout.remark_height_in(_REMARK, width_in)
    bottom_in = layout.legend_height_in(labels, width_in) + remark_in
    gap_in, space_in = (_GAP_IN + 0.1, 0.05) if narrow else (_GAP_IN, 0.1)
    top_in = _TOP_IN + (0.1 if narrow else 0.0)
    left_in = _LEFT_IN + _LINE_IN * max(len(_label(one)) for one in shown)
    panel_in = (width_in - left_in - 0.08) / len(SCHEMES)
    rows_in = [
        max(0.75, 0.19 * max(len(one.names) for one in shown if one.group is group))
        for group in groups
    ]
    height_in = top_in + sum(rows_in) + gap_in * len(groups) + bottom_in
    figure = layout.new_figure(width_in, height_in)
    down_in = top_in
    for row, (group, row_in) in enumerate(zip(groups, rows_in, strict=True)):
        for column, scheme in enumerate(SCHEMES):
            axes = figure.add_axes(
                (
                    (left_in + column * panel_in) / width_in,
                    1 - (down_in + row_in) / height_in,
                    (panel_in - space_in) / width_in,
                    row_in / height_in,
                )
            )
            one = next(
                one for one in shown if one.group is group and one.stability.scheme == scheme
            )
            _panel(axes, one, looks, size_in=(panel_in - space_in, row_in))
            if column == 0:
                axes.set_ylabel("\n".join(_label(one)), fontsize=6.5)
            else:
                axes.tick_params(labelleft=False)
            if row == 0:
                title = SCHEME_TITLES[scheme]
                axes.set_title(
                    title.replace(" then ", "\nthen ") if narrow else title,
                    fontsize=5.8 if narrow else 7,
                    pad=3,
                )
        down_in += row_in + gap_in
    layout.bottom_legend(figure, handles)
    middle_in = bottom_in - remark_in / 2
    layout.remark(figure, middle_in / height_in, _REMARK)
    phantom = groups[0].phantom
    layout.headline(
        figure,
        "Rank stability (mean foreground Dice)",
        "synthetic hearts, not patients" if phantom else f"{groups[0].source} data",
        phantom=phantom,
    )
    return figure


def _label(one: Ranking) -> list[str]:
    """Lines beside the first panel of a row; the release stands below the dataset."""
    title = one.group.title.replace(" (", " · (")
    return [*title.split(" · "), f"n = {one.patients}", "rank"]


def _panel(
    axes: Axes,
    one: Ranking,
    looks: Mapping[Name, style.Look],
    *,
    size_in: tuple[float, float],
) -> None:
    from matplotlib.patches import Ellipse

    count = len(one.names)
    axes.set_xlim(0.4, count + 0.6)
    axes.set_ylim(count + 0.6, 0.4)  # the best rank on top
    # Round on paper: both axes span as many ranks, but not as many inches.
    across_in, along_in = size_in
    unit_in = min(size_in)
    shares, (middle, low, high) = one.shares, one.limits
    for index, name in enumerate(one.names):
        colour = looks[name].colour
        for place in range(count):
            size = 2 * _BLOB * np.sqrt(shares[index, place])
            if size:
                axes.add_patch(
                    Ellipse(
                        (index + 1, place + 1),
                        size * unit_in / across_in,
                        size * unit_in / along_in,
                        facecolor=(*style.rgb(colour), 0.55),
                        edgecolor=colour,
                        linewidth=0.5,
                        zorder=2,
                    )
                )
        at = index + 1
        axes.plot([at, at], [low[index], high[index]], color="black", linewidth=0.7, zorder=3)
        axes.plot(
            [at - 0.16, at + 0.16], [middle[index]] * 2, color="black", linewidth=1.0, zorder=3
        )
        axes.plot(
            at,
            one.stability.ranks[index],
            marker=looks[name].marker,
            markersize=3.4,
            markerfacecolor="white",
            markeredgecolor=colour,
            markeredgewidth=0.7,
            zorder=4,
        )
    axes.set_yticks(range(1, count + 1) if count <= 8 else range(1, count + 1, 2))
    axes.set_xticks([])
    median, worst, best = (number(value, 2) for value in one.tau)
    spread = f"[{worst}, {best}]"
    tight = across_in < 0.8
    axes.set_xlabel(
        f"τ {median}\n{spread}" if tight else f"τ {median} {spread}",
        fontsize=5.2 if tight else 6.2,
        labelpad=1.5,
    )


def _handles(names: Sequence[Name], looks: Mapping[Name, style.Look]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], linestyle="none", marker=looks[name].marker, color=looks[name].colour,
               markersize=5, label=row_title(*name))
        for name in names
    ]  # fmt: skip
