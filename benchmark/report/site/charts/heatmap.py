"""Architecture × dataset: mean Dice, one column per comparison group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmark.report import style
from benchmark.report.groups import OK, Group, row_title
from benchmark.report.leaderboard import DIGITS, scores_by_name
from benchmark.report.material import Material
from benchmark.report.numerals import NOTHING, count, dice_interval, number
from benchmark.report.site.charts import parts
from benchmark.report.standings import Name

# One hue from light to dark: reads the same in grey and for every kind of colour vision.
_SHADES = ("#e6eef6", "#0b4f8a")
_ROW_PX = 44
_COLUMN_PX, _LABELS_PX = 105, 130  # what a heading and the names of the rows take
_DOT = " · "
_NOT_RUN = "not run"


def chart(material: Material, source: str) -> dict[str, Any]:
    """The heat map of all groups of one source (real scans or phantoms)."""
    groups = [group for group in material.groups if group.source == source]
    tables = [scores_by_name(material.rows(group)) for group in groups]
    names = _names(groups)
    cells = [
        _cell(group, table, name)
        for group, table in zip(groups, tables, strict=True)
        for name in names
    ]
    known = [cell["dice"] for cell in cells if cell["dice"] is not None]
    low = math.floor(20 * min(known, default=0.0)) / 20
    high = max(math.ceil(20 * max(known, default=1.0)) / 20, low + 0.05)
    lines = max(len(_heading(group).split(_DOT)) for group in groups)
    # Not the signal "width", which the layout changes while it looks for room for these labels.
    narrow = f"containerSize()[0] < {_LABELS_PX + _COLUMN_PX * len(groups)}"
    position = {
        "x": {
            "field": "group",
            "type": "nominal",
            "title": None,
            "sort": [_heading(group) for group in groups],
            "axis": {
                "orient": "top", "domain": False, "ticks": False, "grid": False,
                # On a phone upright, in one line and without the number of patients.
                "labelExpr": f"{narrow} ? slice(datum.label, 0, lastindexof(datum.label, '{_DOT}'))"
                f" : split(datum.label, '{_DOT}')",
                "labelAngle": {"expr": f"{narrow} ? -90 : 0"},
                "labelAlign": {"expr": f"{narrow} ? 'left' : 'center'"},
                "labelBaseline": {"expr": f"{narrow} ? 'middle' : 'bottom'"},
                "labelPadding": {"expr": f"{narrow} ? 6 : {6 + 14 * (lines - 1)}"},
                "labelLimit": 130,
            },
        },
        "y": {
            "field": "row",
            "type": "nominal",
            "title": None,
            "sort": [row_title(*name) for name in names],
            "axis": {"domain": False, "ticks": False, "labelLimit": 190, "grid": False},
        },
    }  # fmt: skip
    colour = {
        "field": "dice",
        "type": "quantitative",
        "title": "Dice",
        "scale": {"domain": [round(low, 2), round(high, 2)], "range": list(_SHADES)},
        "legend": {
            "format": ".2f",
            "tickCount": 4,
            "gradientLength": min(200, _ROW_PX * len(names) - 30),
        },
    }
    about = parts.tooltip(
        row="Architecture", group="Dataset", score="Dice [95 % interval]", note="Note"
    )
    # Black or white, whichever has more contrast (WCAG 2.2 relative luminance).
    ink = {
        "condition": {
            "test": "isValid(datum.dice) && luminance(scale('color', datum.dice)) > 0.179",
            "value": "black",
        },
        "value": "white",
    }
    layers: list[dict[str, Any]] = [
        {
            "transform": [{"filter": "isValid(datum.dice)"}],
            "mark": {"type": "rect", "style": "cell"},
            "encoding": {"color": colour, "tooltip": about},
        },
        {
            "transform": [{"filter": "!isValid(datum.dice)"}],
            "mark": {"type": "rect", "style": "empty", "filled": False},
            "encoding": {"tooltip": about},
        },
        {
            "transform": [{"filter": "isValid(datum.dice)"}],
            "mark": {"type": "text", "fontSize": 12, "tooltip": None},
            "encoding": {"text": {"field": "label", "type": "nominal"}, "color": ink,
                         "tooltip": about},
        },
        {
            "transform": [{"filter": "!isValid(datum.dice)"}],
            "mark": {"type": "text", "fontSize": 12},
            "encoding": {"text": {"field": "label", "type": "nominal"}, "tooltip": about},
        },
    ]  # fmt: skip
    return parts.chart(
        f"heatmap-{source}",
        "Mean foreground Dice by architecture and dataset",
        f"{source} data · compare down a column, not across · * partial",
        _description(groups, cells),
        {
            "data": {"values": cells},
            "height": _ROW_PX * len(names),
            "encoding": position,
            "layer": layers,
        },
        phantom=source == "phantom",
    )


def _names(groups: Sequence[Group]) -> list[Name]:
    """All rows, in the order of the report."""
    known = list(style.ARCHITECTURE_TITLES)
    return sorted(
        {name for group in groups for name in group.names},
        key=lambda name: (known.index(name[0]) if name[0] in known else len(known), name),
    )


def _heading(group: Group) -> str:
    patients = group.cases["patient"].nunique() if len(group.cases) else 0
    return f"{group.title}{_DOT}n = {patients} patients"


def _cell(group: Group, table: Mapping[Name, pd.Series[Any]], name: Name) -> dict[str, Any]:
    failed = [run for run in group.of(name) if not run.ok]
    reasons = [
        f"{run.status}{': ' + run.error.splitlines()[0] if run.error else ''}" for run in failed
    ]
    cell = {"row": row_title(*name), "group": _heading(group), "dice": None, "score": NOTHING}
    row = table.get(name)
    if row is None or pd.isna(row["dice"]):
        causes = ", ".join(sorted({run.status for run in failed}))
        return cell | {
            "label": f"{NOTHING} ({causes})" if failed else _NOT_RUN,
            "note": "; ".join(dict.fromkeys(reasons)) or _NOT_RUN,
        }
    standing = "partial" if row["status"] != OK else f"rank {count(row['rank'])}"
    if row["status"] == OK and pd.isna(row["rank"]):
        standing = "no rank"
    return cell | {
        "dice": parts.plain(row["dice"], DIGITS + 2),
        "label": number(row["dice"], DIGITS) + ("" if row["status"] == OK else "*"),
        "score": dice_interval(row),
        "note": "; ".join(dict.fromkeys([standing, *reasons])),
    }


def _description(groups: Sequence[Group], cells: Sequence[Mapping[str, Any]]) -> str:
    sentences = []
    for group in groups:
        scored = [
            cell for cell in cells if cell["group"] == _heading(group) and cell["dice"] is not None
        ]
        if not scored:
            sentences.append(f"{group.title}: no score.")
            continue
        best = max(scored, key=lambda cell: cell["dice"])
        worst = min(scored, key=lambda cell: cell["dice"])
        sentences.append(
            f"{group.title}: from {worst['label']} ({worst['row']}) to {best['label']} "
            f"({best['row']})."
        )
    failed = [
        f"{cell['row']} on {cell['group'].rsplit(_DOT, 1)[0]}, {cell['label']}"
        for cell in cells
        if cell["dice"] is None and cell["label"] != _NOT_RUN
    ]
    if failed:
        sentences.append(f"Failed: {'; '.join(failed)}.")
    lacking = sum(cell["label"] == _NOT_RUN for cell in cells)
    if lacking:
        sentences.append(f"Not run: {lacking} cell{'s' * (lacking != 1)}.")
    opening = (
        "Mean foreground Dice: darker is higher, * is partial; compare down a column, not across."
    )
    return " ".join([opening, *sentences])
