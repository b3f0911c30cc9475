"""Architecture × dataset: mean Dice with its interval, one column per comparison group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmark.report import layout, style
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import DIGITS, by_group, scores_by_name
from benchmark.report.numerals import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_IN = 0.42
_BAR_IN, _GAP_IN = 0.55, 0.06
_LEAST_COLUMN_IN = 0.62  # of an interval in the smallest type that can be read


def draw(
    groups: Sequence[Group], frame: pd.DataFrame, width_in: float = layout.TWO_COLUMNS_IN
) -> Figure | None:
    """The heat map of all groups of one source; None where it does not fit into one column.

    Each group has an axis of its own: numbers are compared down a column, not across.

    Args:
        groups: all with the same source.
        frame: the leaderboard.
        width_in: of the figure; in two columns it grows where the groups ask for more.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    # One hue from light to dark: reads the same in grey and for every kind of colour vision.
    colours = LinearSegmentedColormap.from_list("dice", ["#f0f4f8", "#0B4F8A"])
    names = _names(groups)
    tables = [scores_by_name(by_group(frame, group)) for group in groups]
    values = [
        float(row["dice"])
        for table in tables
        for row in table.values()
        if not math.isnan(row["dice"])
    ]
    low = math.floor(20 * min(values, default=0.0)) / 20
    high = math.ceil(20 * max(values, default=1.0)) / 20
    scale = Normalize(low, max(high, low + 0.05))
    narrow = width_in < layout.TWO_COLUMNS_IN
    label_in = 0.1 + (0.05 if narrow else 0.062) * max(len(row_title(*name)) for name in names)
    column_in = (width_in - label_in - _BAR_IN) / len(groups) - _GAP_IN
    if narrow and column_in < _LEAST_COLUMN_IN:
        return None
    if not narrow:
        # A heading, or an interval, is as wide as it is.
        lines = [line for group in groups for line in _heading(group)]
        column_in = max(column_in, 1.05, 0.066 * max(map(len, lines)))
        width_in = label_in + len(groups) * (column_in + _GAP_IN) + _BAR_IN
    size = min(6.2, column_in / 0.128)  # that of an interval in bold
    longest = max(len(line) for group in groups for line in _heading(group))
    heading_size = min(7.0, 72 * (column_in + _GAP_IN) / (0.57 * longest))
    most_lines = max(len(_heading(group)) for group in groups)
    top_in, bottom_in = 0.46 + 0.125 * most_lines, 0.26
    height_in = top_in + bottom_in + _ROW_IN * len(names)
    figure = layout.new_figure(width_in, height_in)
    for index, (group, table) in enumerate(zip(groups, tables, strict=True)):
        left = label_in + index * (column_in + _GAP_IN)
        axes = figure.add_axes(
            (
                left / width_in,
                bottom_in / height_in,
                column_in / width_in,
                _ROW_IN * len(names) / height_in,
            )
        )
        _column(axes, group, names, table, ScalarMappable(scale, colours), size)
        axes.set_title("\n".join(_heading(group)), fontsize=heading_size, linespacing=1.25, pad=4)
        axes.set_yticks(
            [row + 0.5 for row in range(len(names))],
            [row_title(*name) for name in names] if index == 0 else [""] * len(names),
        )
        axes.tick_params(axis="y", labelsize=6 if narrow else 7, pad=2)
    right = label_in + len(groups) * (column_in + _GAP_IN) + 0.02
    bar = figure.add_axes(
        (right / width_in, bottom_in / height_in, 0.1 / width_in, _ROW_IN * len(names) / height_in)
    )
    figure.colorbar(ScalarMappable(scale, colours), cax=bar)
    bar.tick_params(labelsize=6)
    bar.grid(visible=False)
    phantom = groups[0].phantom
    layout.headline(
        figure,
        "Mean foreground Dice",
        "synthetic hearts, not patients" if phantom else f"{groups[0].source} data",
        phantom=phantom,
    )
    figure.text(
        0.06 / width_in,
        0.08 / height_in,
        "[95 % interval over n patients]. Compare within a column. Bold: rank 1.",
        fontsize=6,
        color="#444444",
    )
    return figure


def _names(groups: Sequence[Group]) -> list[tuple[str, str]]:
    """All rows, in the order of the report."""
    known = list(style.ARCHITECTURE_TITLES)
    return sorted(
        {name for group in groups for name in group.names},
        key=lambda name: (
            known.index(name[0]) if name[0] in known else len(known),
            name,
        ),
    )


def _heading(group: Group) -> list[str]:
    patients = group.cases["patient"].nunique() if not group.cases.empty else 0
    return [*group.title.replace(" (", " · (").split(" · "), f"n = {patients}"]


def _column(
    axes: Axes,
    group: Group,
    names: Sequence[tuple[str, str]],
    table: Any,
    shades: Any,
    size: float,
) -> None:
    import seaborn

    values = np.array([[float(table[name]["dice"]) if name in table else np.nan] for name in names])
    seaborn.heatmap(
        values,
        ax=axes,
        cmap=shades.cmap,
        vmin=shades.norm.vmin,
        vmax=shades.norm.vmax,
        cbar=False,
        linewidths=1.5,
        linecolor="white",
        xticklabels=False,
        yticklabels=False,
    )
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for position, name in enumerate(names):
        row = table.get(name)
        if row is None or math.isnan(row["dice"]):
            _empty_cell(axes, position, _reason(group, name))
            continue
        text = (
            f"{number(row['dice'], DIGITS)}\n"
            f"[{number(row['dice_low'], DIGITS)}, {number(row['dice_high'], DIGITS)}]"
        )
        if row["status"] != "ok":
            text += "\npartial"
        axes.text(
            0.5,
            position + 0.5,
            text,
            ha="center",
            va="center",
            fontsize=size,
            fontweight="bold" if row["rank"] is not pd.NA and row["rank"] == 1 else "normal",
            color=_ink(shades.to_rgba(row["dice"])),
            linespacing=1.15,
        )


def _ink(background: tuple[float, float, float, float]) -> str:
    """Black or white, whichever has more contrast on a colour (WCAG 2.2 relative luminance)."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in background[:3]
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if luminance > 0.179 else "white"


def _reason(group: Group, name: tuple[str, str]) -> str:
    failed = sorted({run.status for run in group.of(name) if not run.ok})
    return f"— ({', '.join(failed)})" if failed else "not run"


def _empty_cell(axes: Axes, position: int, text: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle(
            (0.02, position + 0.02),
            0.96,
            0.96,
            facecolor="#f2f2f2",
            edgecolor="#c4c4c4",
            hatch="////" if text != "not run" else None,
            linewidth=0,
        )
    )
    axes.text(
        0.5,
        position + 0.5,
        text,
        ha="center",
        va="center",
        fontsize=6.5,
        bbox={"facecolor": "#f2f2f2", "edgecolor": "none", "pad": 1.2},
    )
