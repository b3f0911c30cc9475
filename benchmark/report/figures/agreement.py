"""Clinical endpoints against their references: Bland-Altman plots and scatter plots.

Rows are the primary endpoints of a chamber, columns the architectures. All panels of a row share
their axes, so that architectures can be compared at a glance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmark.report import style
from benchmark.report.clinical import ENDPOINTS, is_primary, patient_values, primary_method
from benchmark.report.clinical_tables import limits, signed
from benchmark.report.groups import Group, row_title
from benchmark.statistics.agreement import Agreement, agreement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Looks = Mapping[tuple[str, str], style.Look]

CHAMBERS = {"la": "left atrium", "lv": "left ventricle", "rv": "right ventricle"}

# Inches. Panels keep their size whatever their number, so that figures of a paper match.
_ACROSS = 4
_PANEL = 1.5
_LEFT, _GAP, _RIGHT = 0.58, 0.14, 0.08
_TOP, _TITLE, _LABELS = 0.46, 0.17, 0.42
_HEIGHTS = {"bland_altman": 1.15, "correlation": _PANEL}
_SMALL = 5.8


def draw(group: Group, clinical: pd.DataFrame, looks: Looks) -> dict[str, Figure]:
    """Both kinds of figure for every chamber of a group that has endpoints.

    Returns:
        Figures by the first part of their file's name, such as ``bland_altman_lv``.
    """
    values = patient_values(group, clinical)
    if values.empty:
        return {}
    main = primary_method(values)
    values = values[
        [
            is_primary(endpoint, method, main)
            for endpoint, method in zip(values["endpoint"], values["method"], strict=True)
        ]
    ]
    figures = {}
    for chamber, title in CHAMBERS.items():
        chosen = values[values["endpoint"].str.startswith(f"{chamber}_")]
        measured = chosen.dropna(subset=["truth", "prediction"])
        # An endpoint that no architecture could measure has no axes to draw on.
        chosen = chosen[chosen["endpoint"].isin(measured["endpoint"])]
        if len(chosen):
            for kind, (heading, panel) in _KINDS.items():
                figures[f"{kind}_{chamber}"] = _figure(
                    group, chosen, looks, kind, f"{title}, {heading}", panel
                )
    return figures


def _figure(
    group: Group,
    values: pd.DataFrame,
    looks: Looks,
    kind: str,
    heading: str,
    panel: Callable[[Axes, _Row, pd.DataFrame, style.Look], None],
) -> Figure:
    having = set(zip(values["architecture"], values["variant"], strict=True))
    names = [name for name in group.names if name in having]
    rows = [_Row(part) for _, part in values.groupby("endpoint", sort=False)]
    across = min(_ACROSS, len(names))
    lines = -(-len(names) // across)
    handles = [*_handles(kind), *style.remarks(group.failures)]
    width = max(style.ONE_COLUMN_IN, _LEFT + across * (_PANEL + _GAP) - _GAP + _RIGHT)
    panel_height = _HEIGHTS[kind]
    # Architectures are named above the first row, or above every line if they take several.
    titles = [lines > 1 or not line for line in range(len(rows) * lines)]
    heights = [panel_height + _LABELS + _TITLE * titled for titled in titles]
    legend = style.legend_height_in([str(handle.get_label()) for handle in handles], width)
    height = _TOP + sum(heights) + legend
    figure = style.new_figure(width, height)
    for index, row in enumerate(rows):
        for place, name in enumerate(names):
            line, column = index * lines + place // across, place % across
            bottom = height - _TOP - sum(heights[: line + 1]) + _LABELS
            left = _LEFT + column * (_PANEL + _GAP)
            axes = figure.add_axes(
                (left / width, bottom / height, _PANEL / width, panel_height / height)
            )
            panel(axes, row, row.of(name), looks[name])
            if column:
                axes.tick_params(labelleft=False)
                axes.set_ylabel("")
            if titles[line]:
                axes.set_title(row_title(*name), fontsize=7, pad=3, color=looks[name].colour)
    style.bottom_legend(figure, handles)
    title = f"{group.title}: {heading}"
    style.headline(figure, title, group.subtitle, phantom=group.phantom)
    return figure


class _Row:
    """All architectures' values of one endpoint, and the axes that their panels share."""

    def __init__(self, values: pd.DataFrame) -> None:
        self._values = values
        self.title = ENDPOINTS.get(values["endpoint"].iloc[0], values["endpoint"].iloc[0])
        self.unit = values["unit"].iloc[0]
        both = values.dropna(subset=["truth", "prediction"])
        truth, prediction = (both[name].to_numpy(dtype=float) for name in ("truth", "prediction"))
        parts = values.groupby(["architecture", "variant"], sort=False)
        edges = [edge for _, part in parts for edge in _edges(_agreement(part))]
        self.means = _range((truth + prediction) / 2)
        self.differences = _range(np.array([*(prediction - truth), *edges, 0.0]), above=0.42)
        self.values = _range(np.array([*truth, *prediction]))

    def of(self, name: tuple[str, str]) -> pd.DataFrame:
        mine = (self._values["architecture"] == name[0]) & (self._values["variant"] == name[1])
        return self._values[mine]


def _bland_altman(axes: Axes, row: _Row, values: pd.DataFrame, look: style.Look) -> None:
    found = _agreement(values)
    _points(axes, (values["truth"] + values["prediction"]) / 2,
            values["prediction"] - values["truth"], look)  # fmt: skip
    axes.axhline(0, color="#888888", linewidth=0.6, zorder=1)
    for height, dashes in ((found.bias, "solid"), *((edge, (0, (4, 2))) for edge in _edges(found))):
        if math.isfinite(height):
            axes.axhline(height, color=look.colour, linewidth=0.9, linestyle=dashes, zorder=2)
    axes.set_xlim(*row.means)
    axes.set_ylim(*row.differences)
    words = f"bias {signed(found.bias)} [{limits(pd.Series(vars(found)))}] {row.unit}"
    _say(axes, words.replace("-", "\N{MINUS SIGN}"), _counts(found))
    axes.set_xlabel(f"{row.title}, mean of both ({row.unit})", fontsize=6.5, labelpad=2)
    axes.set_ylabel(f"{row.title} difference ({row.unit})", fontsize=6.5, labelpad=2)
    _ticks(axes)


def _correlation(axes: Axes, row: _Row, values: pd.DataFrame, look: style.Look) -> None:
    found = _agreement(values)
    _points(axes, values["truth"], values["prediction"], look)
    low, high = row.values
    axes.plot([low, high], [low, high], color="#888888", linewidth=0.8, zorder=1)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    r = "—" if math.isnan(found.pearson_r) else f"{found.pearson_r:.3f}"
    _say(axes, f"r = {r}", _counts(found))
    axes.set_xlabel(f"{row.title}, reference ({row.unit})", fontsize=6.5, labelpad=2)
    axes.set_ylabel(f"{row.title}, predicted ({row.unit})", fontsize=6.5, labelpad=2)
    _ticks(axes)


_KINDS = {
    "bland_altman": ("prediction minus reference (Bland-Altman)", _bland_altman),
    "correlation": ("prediction against reference", _correlation),
}


def _points(axes: Axes, across: Any, up: Any, look: style.Look) -> None:
    axes.scatter(
        across.to_numpy(dtype=float),
        up.to_numpy(dtype=float),
        s=11,
        marker=look.marker,
        facecolor=(*style.rgb(look.colour), 0.7),
        edgecolor="white",
        linewidth=0.3,
        zorder=3,
    )


def _say(axes: Axes, *lines: str) -> None:
    axes.text(
        0.03, 0.98, "\n".join(lines), transform=axes.transAxes, ha="left", va="top",
        fontsize=_SMALL, linespacing=1.15, zorder=1.5,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": (1, 1, 1, 0.75), "edgecolor": "none"},
    )  # fmt: skip


def _ticks(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=6, pad=2)


def _counts(found: Agreement) -> str:
    lost = f", {found.n_failed} not measurable" if found.n_failed else ""
    return f"n = {found.n_valid}{lost}"


def _agreement(values: pd.DataFrame) -> Agreement:
    return agreement(values["truth"].to_numpy(), values["prediction"].to_numpy())


def _edges(found: Agreement) -> Sequence[float]:
    return [edge for edge in (found.limit_low, found.limit_high) if math.isfinite(edge)]


def _range(values: Any, *, above: float = 0.06) -> tuple[float, float]:
    """The limits of an axis round values, with room above for words."""
    low, high = float(np.min(values)), float(np.max(values))
    span = (high - low) or max(1.0, 0.1 * abs(high))
    return low - 0.06 * span, high + above * span


def _handles(kind: str) -> list[Any]:
    from matplotlib.lines import Line2D

    def line(label: str, dashes: Any = "solid", colour: str = "#444444") -> Line2D:
        return Line2D([], [], color=colour, linestyle=dashes, linewidth=0.9, label=label)

    if kind == "correlation":
        return [line("identity", colour="#888888")]
    return [line("bias"), line("limits of agreement (bias ± 1.96 SD)", (0, (4, 2)))]
