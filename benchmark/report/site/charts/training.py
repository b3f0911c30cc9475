"""Training curves: validation Dice and training loss against the epoch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import DIGITS
from benchmark.report.material import Material
from benchmark.report.site.charts import parts
from benchmark.report.standings import Name

_MARKERS_PER_LINE = 6


def charts(material: Material, group: Group) -> list[dict[str, Any]]:
    """Validation Dice and loss, each left out where no epoch has it."""
    measures = (("validation_dice", "validation Dice"), ("loss", "training loss"))
    drawn = [_chart(material, group, column, title) for column, title in measures]
    return [one for one in drawn if one is not None]


def epochs_of(group: Group, name: Name) -> pd.DataFrame:
    """The epochs of all runs of a row."""
    epochs = group.epochs
    return epochs[(epochs["architecture"] == name[0]) & (epochs["variant"] == name[1])]


def curve(epochs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean, lowest and highest of the runs of a row, by epoch.

    The mean is over all runs, hence missing from where one of them ended; the band is that of the
    runs that got so far.

    Returns:
        Columns ``mean``, ``low``, ``high``, indexed by epoch.
    """
    known = epochs.replace([np.inf, -np.inf], np.nan).dropna(subset=["epoch", column])
    table = known.pivot_table(index="epoch", columns="run", values=column)
    return pd.DataFrame(
        {
            "mean": table.mean(axis=1).where(table.notna().all(axis=1)),
            "low": table.min(axis=1),
            "high": table.max(axis=1),
        }
    )


def _chart(material: Material, group: Group, column: str, title: str) -> dict[str, Any] | None:
    curves: dict[Name, pd.DataFrame] = {}
    runs: dict[Name, int] = {}
    for name in group.names:
        epochs = epochs_of(group, name)
        one = curve(epochs, column)
        if len(one):
            curves[name], runs[name] = one, epochs["run"].nunique()
    if not curves:
        return None
    names = list(curves)
    limit = parts.most_points(len(names))
    rows: list[Sequence[float | None]] = []
    for index, name in enumerate(names):
        rows += _rows(index, curves[name], limit, index / len(names), band=runs[name] > 1)
    first = int(min(one.index[0] for one in curves.values()))
    last = int(max(one.index[-1] for one in curves.values()))
    ticks = whole_ticks(first, last)
    y = {"type": "quantitative", "title": title, "scale": _scale(column, curves)}
    spec = lines_spec(
        material,
        names,
        rows,
        x={"type": "quantitative", "title": "epoch", "axis": {"values": ticks, "format": "d"},
           "scale": {"zero": False, "nice": False, "padding": 6}},
        y=y,
        step=False,
        said=[parts.number_line("x", "Epoch", "d"),
              parts.number_line("y", f"{_sentence(title)}, mean of runs", f".{DIGITS}f")],
        band=any(count > 1 for count in runs.values()),
    )  # fmt: skip
    longest = max(len(one) for one in curves.values())
    key = "dice" if column == "validation_dice" else "loss"
    return parts.chart(
        f"training-{key}-{group.slug}",
        f"{group.title}: {title} by epoch",
        group.subtitle,
        _description(title, curves, runs, longest > limit, limit),
        spec,
        phantom=group.phantom,
    )


def lines_spec(
    material: Material,
    names: Sequence[Name],
    rows: Sequence[Sequence[float | None]],
    *,
    x: dict[str, Any],
    y: dict[str, Any],
    step: bool,
    said: list[dict[str, str]],
    band: bool,
) -> dict[str, Any]:
    """Lines with markers and the band of their runs; a click in the legend picks lines.

    Args:
        material: for the looks.
        names: of the lines.
        rows: ``i`` (index of the name), ``x``, ``y``, ``low``, ``high`` and ``m``, 1 at a marker.
        x: the channel of the abscissa, but for its field.
        y: that of the ordinate.
        step: whether values hold until the next.
        said: lines of the tooltip.
        band: whether any line has one.
    """
    colour, shape = parts.row_scales(names, material.looks)
    colour["legend"] = {"symbolOpacity": 1}
    held = {"interpolate": "step-after"} if step else {}
    said = [*parts.tooltip(row="Architecture"), *said]
    if band:
        said += [parts.number_line("low", "Lowest run", f".{DIGITS}f"),
                 parts.number_line("high", "Highest run", f".{DIGITS}f")]  # fmt: skip
    area = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "area", **held},
        "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"},
                     "opacity": _if_picked(0.18, 0.02)},
    }  # fmt: skip
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "line", "strokeWidth": 1.8, **held},
            "encoding": {"opacity": _if_picked(1, 0.1)},
        },
        {
            "transform": [{"filter": "datum.m"}],
            "mark": {"type": "point", "filled": True, "size": 60},
            "encoding": {"shape": shape, "opacity": _if_picked(1, 0.1)},
        },
        {  # a point is hit more easily than a line
            "params": [{"name": "picked", "bind": "legend",
                        "select": {"type": "point", "fields": ["row"]}}],
            "transform": [{"filter": "isValid(datum.y)"}],
            "mark": {"type": "point", "filled": True, "size": 160, "opacity": 0},
            "encoding": {"tooltip": said},
        },
    ]  # fmt: skip
    return {
        "data": parts.table(("i", "x", "y", "low", "high", "m"), rows),
        "transform": [parts.named_rows(names)],
        "encoding": {"x": {**x, "field": "x"}, "y": {**y, "field": "y"}, "color": colour},
        "layer": [area, *layers] if band else layers,
    }


def _if_picked(opacity: float, otherwise: float) -> dict[str, Any]:
    return {"condition": {"param": "picked", "value": opacity}, "value": otherwise}


def _rows(
    index: int, one: pd.DataFrame, limit: int, turn: float, *, band: bool
) -> list[Sequence[float | None]]:
    places = parts.spread_indices(len(one), limit)
    # Lines take turns with their markers, so that none hides another.
    step = max(1, len(places) // _MARKERS_PER_LINE)
    first = int(turn * step)
    return [
        (
            index,
            float(one.index[place]),
            parts.plain(one["mean"].iloc[place], DIGITS),
            parts.plain(one["low"].iloc[place], DIGITS) if band else None,
            parts.plain(one["high"].iloc[place], DIGITS) if band else None,
            1 if position % step == first else None,
        )
        for position, place in enumerate(places)
    ]


def whole_ticks(first: int, last: int) -> list[int]:
    """At most nine ticks between two epochs, 1, 2 or 5 times a power of ten apart."""
    steps = (digit * 10**power for power in itertools.count() for digit in (1, 2, 5))
    step = next(step for step in steps if (last - first) / step <= 8)
    return list(range(step * math.ceil(first / step), last + 1, step))


def _sentence(text: str) -> str:
    """A text with a capital at its beginning, and those it has (``validation Dice``) left."""
    return text[:1].upper() + text[1:]


def _scale(column: str, curves: dict[Name, pd.DataFrame]) -> dict[str, Any]:
    top = max(float(one["high"].max()) for one in curves.values())
    if column == "validation_dice":
        return {"domain": [0, round(min(1.0, max(0.1, 1.06 * top)), DIGITS)]}
    return {"zero": min(float(one["low"].min()) for one in curves.values()) >= 0}


def _description(
    title: str,
    curves: dict[Name, pd.DataFrame],
    runs: dict[Name, int],
    thinned: bool,
    limit: int,
) -> str:
    best = "low" if title.endswith("loss") else "high"
    ends = []
    for name, one in curves.items():
        extreme = one["low"].min() if best == "low" else one["high"].max()
        place = one["low"].idxmin() if best == "low" else one["high"].idxmax()
        count = runs[name]
        ends.append(
            f"{row_title(*name)} {extreme:.{DIGITS}f} (epoch {place:.0f}"
            f"{f', {count} runs' if count > 1 else ''})"
        )
    shown = f" A line shows at most {limit} of its epochs." if thinned else ""
    extent = "Lowest" if best == "low" else "Highest"
    return (
        f"{_sentence(title)} by epoch; lines are means over runs, bands their range. "
        f"{extent}: {', '.join(ends)}.{shown}"
    )
