"""Dice against what it costs: inference time and parameters, with the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmark.report import layout, style
from benchmark.report.groups import OK, Group, row_title
from benchmark.report.leaderboard import scores_by_name
from benchmark.report.numerals import magnitude

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LARGEST_AREA = 320.0  # points², of the bubble with most parameters
_REMARK = (
    "bars: 95 % bootstrap interval over patients · bubbles: their area is proportional to "
    "parameters · dashed: Pareto front (black rims)"
)


def draw(
    group: Group,
    rows: pd.DataFrame,
    looks: Mapping[tuple[str, str], style.Look],
    width_in: float = layout.TWO_COLUMNS_IN,
) -> Figure | None:
    """Two panels with the same Dice axis; None where no architecture has a score.

    In one column they stand below each other.
    """
    scored = {
        name: row
        for name, row in scores_by_name(rows).items()
        # What an external entry cost is not known.
        if not pd.isna(row["dice"]) and name[1] != style.EXTERNAL
    }
    if not scored:
        return None
    handles = _handles(scored, looks) + layout.remarks(group.failures)
    narrow = width_in < layout.TWO_COLUMNS_IN
    below_in = layout.remark_height_in(_REMARK, width_in)
    figure, (left, right) = layout.panels(
        handles,
        axes_height_in=1.6 if narrow else 1.85,
        left_in=(0.58, 0.58) if narrow else (0.58, 4.02),
        width_in=(2.84, 2.84) if narrow else (3.06, 3.06),
        labels_in=0.36,
        below_in=below_in,
        total_in=width_in,
        stacked=narrow,
    )
    _panel(left, scored, "inference_ms", looks, bubbles=True, front=not group.mixed)
    _panel(right, scored, "parameters", looks, bubbles=False, front=not group.mixed)
    left.set_ylabel("mean foreground Dice")
    left.set_xlabel("inference (ms per case)", labelpad=2)
    right.set_xlabel("parameters", labelpad=2)
    if narrow:
        right.set_ylabel("mean foreground Dice")
    else:
        right.tick_params(labelleft=False)
    for axes in (left, right):
        _limits(axes, scored)
    layout.bottom_legend(figure, handles)
    labels = [str(handle.get_label()) for handle in handles]
    height_in = float(figure.get_size_inches()[1])
    middle_in = layout.legend_height_in(labels, width_in) + below_in / 2
    layout.remark(figure, middle_in / height_in, _REMARK)
    layout.headline(
        figure, f"{group.title}: Dice against cost", group.subtitle, phantom=group.phantom
    )
    return figure


def pareto_front(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Indices of points that no other point beats on both axes, cheapest first.

    Args:
        costs: smaller is better; a NaN leaves its point out.
        scores: larger is better; likewise.
    """
    known = [
        index
        for index, (cost, score) in enumerate(zip(costs, scores, strict=True))
        if not (math.isnan(cost) or math.isnan(score))
    ]
    front: list[int] = []
    for index in sorted(known, key=lambda index: (costs[index], -scores[index])):
        if not front or scores[index] > scores[front[-1]]:
            front.append(index)
    return front


def _panel(
    axes: Axes,
    scored: Mapping[tuple[str, str], pd.Series[Any]],
    column: str,
    looks: Mapping[tuple[str, str], style.Look],
    *,
    bubbles: bool,
    front: bool,
) -> None:
    # Rows of several protocols are not compared.
    ranked = [row for row in scored.values() if row["status"] == OK and front]
    best = [
        ranked[index]
        for index in pareto_front(
            [float(row[column]) for row in ranked], [float(row["dice"]) for row in ranked]
        )
    ]
    _cost_axis(axes, _finite(row[column] for row in scored.values()), large=column == "parameters")
    if best:
        # To the right of its last point the front goes on: more cost, no more Dice.
        axes.step(
            [*(row[column] for row in best), axes.get_xlim()[1]],
            [*(row["dice"] for row in best), best[-1]["dice"]],
            where="post",
            color="#555555",
            linestyle=(0, (4, 2)),
            linewidth=0.9,
            zorder=1,
        )
    largest = max(_finite(row["parameters"] for row in scored.values()), default=math.nan)
    for name, row in scored.items():
        if math.isnan(row[column]):
            continue
        look = looks[name]
        axes.errorbar(
            row[column],
            row["dice"],
            yerr=[[row["dice"] - row["dice_low"]], [row["dice_high"] - row["dice"]]],
            color=look.colour,
            linewidth=0.9,
            capsize=2,
            capthick=0.9,
            zorder=2,
        )
        complete = row["status"] == OK
        axes.scatter(
            row[column],
            row["dice"],
            s=_area(row["parameters"], largest) if bubbles else 34,
            marker="o" if bubbles else look.marker,
            facecolor=(*style.rgb(look.colour), 0.75) if complete else "white",
            edgecolor="black" if any(row is one for one in best) else look.colour,
            linewidth=0.9,
            zorder=3,
        )
        if bubbles:  # whose bubble it is, where colours are not seen
            axes.plot(
                row[column],
                row["dice"],
                marker=look.marker,
                markersize=2.6,
                color="white" if complete else look.colour,
                markeredgewidth=0,
                zorder=4,
            )


def _cost_axis(axes: Axes, values: list[float], *, large: bool) -> None:
    """A logarithmic axis where costs differ by much, with ticks people read at once."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if not values or min(values) <= 0:
        return
    low, high = min(values), max(values)
    if high / low >= 4:
        axes.set_xscale("log")
        margin = (high / low) ** 0.14
        axes.set_xlim(low / margin, high * margin)
        subs = (1.0, 2.0, 5.0) if high / low < 100 else (1.0,)
        axes.xaxis.set_major_locator(LogLocator(subs=subs))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        margin = 0.25 * (high - low) or 0.5 * high
        axes.set_xlim(max(0.0, low - margin), high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: _short(value) if large else f"{value:g}")
    )


def _short(value: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g} {unit}"
    return f"{value:g}"


def _limits(axes: Axes, scored: Mapping[tuple[str, str], pd.Series[Any]]) -> None:
    # a single test patient has a mean but no interval
    ends = [row[name] for row in scored.values() for name in ("dice", "dice_low", "dice_high")]
    low, high = min(_finite(ends)), max(_finite(ends))
    margin = max(0.01, 0.12 * (high - low))
    axes.set_ylim(max(-0.02, low - margin), min(1.02, high + margin))


def _area(parameters: float, largest: float) -> float:
    """Bubble area, proportional to the parameters."""
    if math.isnan(parameters) or math.isnan(largest):
        return 40.0
    return max(8.0, _LARGEST_AREA * parameters / largest)


def _finite(values: Any) -> list[float]:
    return [float(value) for value in values if np.isfinite(value)]


def _handles(
    scored: Mapping[tuple[str, str], pd.Series[Any]],
    looks: Mapping[tuple[str, str], style.Look],
) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = []
    for name, row in scored.items():
        partial = "" if row["status"] == OK else ", partial"
        handles.append(
            Line2D(
                [],
                [],
                linestyle="none",
                marker=looks[name].marker,
                color=looks[name].colour,
                markerfacecolor="white" if partial else looks[name].colour,
                markersize=5,
                label=f"{row_title(*name)} ({magnitude(row['parameters'])}{partial})",
            )
        )
    return handles
