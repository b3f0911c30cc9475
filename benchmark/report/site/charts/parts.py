"""What charts are put together from: titles, scales of colour and marker, compact data."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.report import style
from benchmark.report.groups import row_title
from benchmark.report.standings import Name

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
HEIGHT_PX = 260
POINTS_PER_LINE = 100
POINTS_PER_CHART = 200  # of all lines together: keeps the charts of a group below 40 kB

Numbers = Sequence[float | None]


def _polygon(corners: int, inner: float = 1.0, turned: float = 0.0, width: float = 1.0) -> str:
    """An SVG path in the unit square; ``inner`` is the radius of the corners between (a star)."""
    radii = (1.0,) if inner == 1.0 else (1.0, inner)
    count = corners * len(radii)
    points = [
        (radii[index % len(radii)], math.tau * index / count + math.radians(turned))
        for index in range(count)
    ]
    return "M" + "L".join(
        f"{width * radius * math.sin(angle):.3g},{-radius * math.cos(angle):.3g}"
        for radius, angle in points
    ) + "Z"  # fmt: skip


# Matplotlib's markers in Vega's words, or as a path where it has none.
SHAPES: Mapping[str, str] = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "M-1,-.5L-.5,-1L0,-.5L.5,-1L1,-.5L.5,0L1,.5L.5,1L0,.5L-.5,1L-1,.5L-.5,0Z",
    "<": "triangle-left",
    ">": "triangle-right",
    "p": _polygon(5),
    "*": _polygon(5, inner=0.4),
    "h": _polygon(6),
    "d": _polygon(4, width=0.6),
    "8": _polygon(8, turned=22.5),
}


def chart(
    key: str,
    title: str,
    subtitle: str,
    description: str,
    spec: Mapping[str, Any],
    *,
    phantom: bool,
) -> dict[str, Any]:
    """A chart as the page takes it; the specification gets what all have in common.

    Args:
        key: unique on the page.
        title: what is shown and of what.
        subtitle: what it rests on.
        description: what is seen.
        spec: the layers, data and height.
        phantom: whether synthetic hearts are shown, which the title then begins with.
    """
    if phantom:
        title = f"PHANTOM · {title}"
        subtitle = f"synthetic hearts, not patients · {subtitle}"
    shared = {
        "$schema": SCHEMA,
        "title": {"text": title, "subtitle": subtitle},
        "width": "container",
        "height": HEIGHT_PX,
        "autosize": {"type": "fit-x", "contains": "padding"},
    }
    return {"id": key, "title": title, "description": description, "spec": {**shared, **spec}}


def row_scales(
    names: Sequence[Name], looks: Mapping[Name, style.Look]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The channels ``color`` and ``shape`` of the field ``row``; one legend serves both."""
    titles = [row_title(*name) for name in names]
    colours = [looks[name].colour for name in names]
    shapes = [SHAPES[looks[name].marker] for name in names]
    channels = [
        {
            "field": "row",
            "type": "nominal",
            "title": None,
            "scale": {"domain": titles, "range": values},
        }
        for values in (colours, shapes)
    ]
    return channels[0], channels[1]


def table(columns: Sequence[str], rows: Iterable[Sequence[float | None]]) -> dict[str, Any]:
    """Numbers as the data of a chart: as CSV, a third of the size of the same in JSON.

    A None, or a number that is not finite, is an empty field, which Vega reads as null.
    """
    lines = [",".join(columns)]
    lines += [",".join(_brief(value) for value in row) for row in rows]
    parse = dict.fromkeys(columns, "number")
    return {"values": "\n".join(lines), "format": {"type": "csv", "parse": parse}}


def named_rows(names: Sequence[Name]) -> dict[str, Any]:
    """The transform that makes ``row`` from ``i``, an index into names written once."""
    titles = json.dumps([row_title(*name) for name in names], ensure_ascii=False)
    return {"calculate": f"{titles}[datum.i]", "as": "row"}


def plain(value: Any, digits: int) -> float | None:
    """A rounded number for JSON; None for what is missing or not finite."""
    return round(float(value), digits) if np.isfinite(value) else None


def most_points(lines: int) -> int:
    """How many points each of some lines may have."""
    return max(8, min(POINTS_PER_LINE, POINTS_PER_CHART // max(1, lines)))


def spread_indices(length: int, limit: int) -> list[int]:
    """Indices spread evenly over ``length``, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, length - 1, min(length, limit))})


def tooltip(**fields: str) -> list[dict[str, str]]:
    """Lines of a tooltip: titles by the fields that hold their text."""
    return [{"field": field, "type": "nominal", "title": title} for field, title in fields.items()]


def number_line(field: str, title: str, places: str) -> dict[str, str]:
    """A line of a tooltip from a number, in a format of d3."""
    return {"field": field, "type": "quantitative", "title": title, "format": places}


def _brief(value: float | None) -> str:
    """The shortest text of a number."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:.10g}"
