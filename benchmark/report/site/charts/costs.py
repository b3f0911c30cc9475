"""Dice against what it costs: latency, time of a case, parameters, with the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.report import style
from benchmark.report.figures.costs import pareto_front
from benchmark.report.groups import OK, Group, row_title
from benchmark.report.leaderboard import DIGITS, scores_by_name
from benchmark.report.material import Material
from benchmark.report.numerals import dice_interval, magnitude, significant
from benchmark.report.site.charts import parts
from benchmark.report.standings import Name

Rows = Mapping[Name, "pd.Series[Any]"]


@dataclass(frozen=True)
class _Cost:
    """A cost: its column of the leaderboard, in words, as the tables print it."""

    key: str
    column: str
    title: str
    axis: str
    ticks: str
    text: Callable[[float], str]


_COSTS = (
    _Cost("latency", "latency_ms", "latency", "latency (ms per patch)", ",.6~g",
          lambda value: f"{significant(value)} ms"),
    _Cost("inference", "inference_ms", "inference time", "inference (ms per case)", ",.6~g",
          lambda value: f"{significant(value)} ms"),
    _Cost("parameters", "parameters", "parameters", "parameters", "~s", magnitude),
)  # fmt: skip


def charts(material: Material, group: Group) -> list[dict[str, Any]]:
    """One chart for each cost that some row was measured for.

    The front is that of the complete rows. External entries, whose cost is not known, are left out.
    """
    rows = scores_by_name(material.rows(group))
    scored = {
        name: rows[name]
        for name in group.names
        if name in rows and not pd.isna(rows[name]["dice"]) and name[1] != style.EXTERNAL
    }
    drawn = []
    for cost in _COSTS:
        known = {name: row for name, row in scored.items() if not pd.isna(row[cost.column])}
        if known:
            unknown = [row_title(*name) for name in scored if name not in known]
            drawn.append(_chart(material, group, cost, known, unknown))
    return drawn


def _chart(
    material: Material, group: Group, cost: _Cost, rows: Rows, unknown: Sequence[str]
) -> dict[str, Any]:
    # Rows of several protocols are not compared.
    complete = [name for name in rows if rows[name]["status"] == OK and not group.mixed]
    front = [
        complete[index]
        for index in pareto_front(
            [float(rows[name][cost.column]) for name in complete],
            [float(rows[name]["dice"]) for name in complete],
        )
    ]
    values = [float(row[cost.column]) for row in rows.values()]
    low, high, logarithmic = cost_domain(values)
    colour, shape = parts.row_scales(list(rows), material.looks)
    x = {
        "field": "cost",
        "type": "quantitative",
        "title": cost.axis + (" (logarithmic)" if logarithmic else ""),
        "scale": {
            "type": "log" if logarithmic else "linear",
            "domain": [low, high],
            "nice": False,
        },
        "axis": {"format": cost.ticks, "grid": True}
        | ({"values": decades(low, high)} if logarithmic else {"tickCount": 5}),
    }
    y = {
        "field": "dice",
        "type": "quantitative",
        "title": "mean foreground Dice",
        "scale": {"domain": dice_domain(rows), "nice": False},
    }
    shown = {
        "row": "Architecture",
        "score": "Dice [95 % interval]",
        "price": cost.axis.capitalize(),
        "size": "Parameters",
        "note": "Status",
    }
    if cost.column == "parameters":
        del shown["size"]
    points = [
        {
            "row": row_title(*name),
            "cost": float(row[cost.column]),
            "dice": parts.plain(row["dice"], DIGITS + 2),
            "low": parts.plain(row["dice_low"], DIGITS + 2),
            "high": parts.plain(row["dice_high"], DIGITS + 2),
            "score": dice_interval(row),
            "price": cost.text(row[cost.column]).removesuffix(" ms"),  # the unit is in the heading
            "size": magnitude(row["parameters"]),
            "note": row["status"] + (", on the Pareto front" if name in front else ""),
            "front": name in front,
            "partial": row["status"] != OK,
        }
        for name, row in rows.items()
    ]
    # To the right of its last point the front goes on: more cost, no more Dice.
    corners = [
        {"cost": float(rows[name][cost.column]), "dice": float(rows[name]["dice"])}
        for name in front
    ]
    corners += [{"cost": high, "dice": corner["dice"]} for corner in corners[-1:]]
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": corners},
            "mark": {"type": "line", "interpolate": "step-after", "style": "front"},
        },
        {
            "transform": [{"filter": "datum.front"}],
            "mark": {"type": "point", "size": 330, "filled": False, "style": "ring"},
        },
        {
            "encoding": {"color": colour},
            "layer": [
                {
                    "mark": {"type": "rule", "strokeWidth": 1.5},
                    "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
                },
                {
                    "mark": {"type": "point", "size": 110, "filled": True, "opacity": 1,
                             "strokeWidth": 2},
                    "encoding": {
                        "shape": shape,
                        "fillOpacity": {"condition": {"test": "datum.partial", "value": 0},
                                        "value": 1},
                        "tooltip": parts.tooltip(**shown),
                    },
                },
            ],
        },
    ]  # fmt: skip
    return parts.chart(
        f"{cost.key}-{group.slug}",
        f"{group.title}: Dice against {cost.title}",
        group.subtitle,
        _description(cost, rows, front, unknown, group),
        {"data": {"values": points}, "encoding": {"x": x, "y": y}, "layer": layers},
        phantom=group.phantom,
    )


def _description(
    cost: _Cost, rows: Rows, front: Sequence[Name], unknown: Sequence[str], group: Group
) -> str:
    def one(name: Name) -> str:
        row = rows[name]
        return f"{row_title(*name)} ({dice_interval(row)}, {cost.text(row[cost.column])})"

    sentences = [
        f"Mean foreground Dice with its 95 % interval against {cost.axis} of "
        f"{len(rows)} row{'s' * (len(rows) != 1)}; up and left is better."
    ]
    if front:
        sentences.append(
            f"On the Pareto front, ringed and joined by the dashed line: "
            f"{', '.join(one(name) for name in front)}."
        )
    # Rows of several protocols are not compared.
    complete = [name for name in rows if rows[name]["status"] == OK and not group.mixed]
    behind = [one(name) for name in complete if name not in front]
    if behind:
        sentences.append(f"Behind it: {', '.join(behind)}.")
    partial = [one(name) for name in rows if name not in complete]
    if partial:
        sentences.append(f"Partial, hence hollow and in no front: {', '.join(partial)}.")
    if unknown:
        sentences.append(f"Not measured: {', '.join(unknown)}.")
    if group.failures:
        sentences.append(f"Failed: {'; '.join(group.failures)}.")
    return " ".join(sentences)


def cost_domain(values: Sequence[float]) -> tuple[float, float, bool]:
    """Ends of an axis of costs, and whether it is logarithmic: over more than a decade."""
    low, high = min(values), max(values)
    if low > 0 and high / low > 10:
        margin = (high / low) ** 0.1
        return _rounded(low / margin), _rounded(high * margin), True
    margin = 0.15 * (high - low) or 0.5 * high or 1.0
    return _rounded(max(0.0, low - margin)), _rounded(high + margin), False


def decades(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis: 1, 2, 5 in every decade, or 1 alone over many."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 1000 else (1,)
    ticks = [float(f"{step}e{exponent}") for exponent in exponents for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def dice_domain(rows: Rows) -> list[float]:
    """Ends of the axis of Dice, with room beyond the intervals; a single patient has none."""
    ends = [row[name] for row in rows.values() for name in ("dice", "dice_low", "dice_high")]
    known = [float(end) for end in ends if not pd.isna(end)]
    low, high = min(known), max(known)
    margin = max(0.01, 0.1 * (high - low))
    return [_rounded(max(0.0, low - margin)), _rounded(min(1.0, high + margin))]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
