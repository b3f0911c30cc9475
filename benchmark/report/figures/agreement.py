"""Clinical endpoints against their references: Bland-Altman plots and scatter plots.

Rows are the primary endpoints of a chamber, columns the architectures. All panels of a row share
their axes, so that architectures can be compared at a glance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.report import layout, style
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
_ACROSS = {layout.TWO_COLUMNS_IN: 4, layout.ONE_COLUMN_IN: 2}
_LEFT, _GAP, _RIGHT = 0.58, 0.14, 0.08
_TOP, _TITLE, _LABELS = 0.46, 0.17, 0.42
_HEIGHTS = {"bland_altman": 0.77, "correlation": 1.0}  # in widths of a panel
_SMALL = 5.8


def draw(
    group: Group,
    clinical: pd.DataFrame,
    looks: Looks,
    width_in: float = layout.TWO_COLUMNS_IN,
) -> dict[str, Figure]:
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
                    group, chosen, looks, kind, f"{title}, {heading}", panel, width_in
                )
    return figures


def _figure(
    group: Group,
    values: pd.DataFrame,
    looks: Looks,
    kind: str,
    heading: str,
    panel: Callable[[Axes, _Row, pd.DataFrame, style.Look], None],
    width: float,
) -> Figure:
    having = set(zip(values["architecture"], values["variant"], strict=True))
    names = [name for name in group.names if name in having]
    rows = [_Row(part) for _, part in values.groupby("endpoint", sort=False)]
    most = _ACROSS[width]
    across = min(most, len(names))
    panel_width = (width - _LEFT - _RIGHT + _GAP) / most - _GAP
    # Fewer panels than fit stand in the middle.
    start = _LEFT + (most - across) * (panel_width + _GAP) / 2
    lines = -(-len(names) // across)
    handles = [*_handles(kind), *layout.remarks(group.failures)]
    panel_height = _HEIGHTS[kind] * panel_width
    # Architectures are named above the first row, or above every line if they take several.
    titles = [lines > 1 or not line for line in range(len(rows) * lines)]
    heights = [panel_height + _LABELS + _TITLE * titled for titled in titles]
    legend = layout.legend_height_in([str(handle.get_label()) for handle in handles], width)
    height = _TOP + sum(heights) + legend
    figure = layout.new_figure(width, height)
    for index, row in enumerate(rows):
        for place, name in enumerate(names):
            line, column = index * lines + place // across, place % across
            bottom = height - _TOP - sum(heights[: line + 1]) + _LABELS
            left = start + column * (panel_width + _GAP)
            axes = figure.add_axes(
                (left / width, bottom / height, panel_width / width, panel_height / height)
            )
            panel(axes, row, row.of(name), looks[name])
            if column:
                axes.tick_params(labelleft=False)
                axes.set_ylabel("")
            if titles[line]:
                axes.set_title(row_title(*name), fontsize=7, pad=3, color=looks[name].colour)
    layout.bottom_legend(figure, handles)
    title = f"{group.title}: {heading}"
    layout.headline(figure, title, group.subtitle, phantom=group.phantom)
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
    r = r.replace("-", "\N{MINUS SIGN}")
    _say(
        axes,
        f"r = {r}",
        *_counts(found).split(", "),
        # The identity is kept free, too.
        beside=np.vstack(
            [
                values[["truth", "prediction"]].dropna().to_numpy(dtype=float),
                np.repeat(np.linspace(low, high, 60), 2).reshape(-1, 2),
            ]
        ),
    )
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


def _say(axes: Axes, *lines: str, beside: npt.NDArray[np.float64] | None = None) -> None:
    """Write lines into a panel: at its upper left, or where none of some points lies.

    Args:
        axes: the panel, its limits set.
        lines: the words.
        beside: points in data units, `(points, 2)`.
    """
    width, height = _extent_of(axes, lines)
    x, y = 0.03, 0.98
    if beside is not None:
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        x, y = free_corner((beside - (left, low)) / (right - left, high - low), width, height)
    axes.text(
        x, y, "\n".join(lines), transform=axes.transAxes, ha="left", va="top",
        fontsize=_SMALL, linespacing=1.15, zorder=1.5,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": (1, 1, 1, 0.75), "edgecolor": "none"},
    )  # fmt: skip


def _extent_of(axes: Axes, lines: Sequence[str]) -> tuple[float, float]:
    """Width and height of words in parts of a panel."""
    from matplotlib.transforms import Bbox

    inches = axes.figure.dpi_scale_trans.inverted()
    panel = Bbox(inches.transform(axes.get_window_extent()))
    em_in = _SMALL / 72
    longest = max(map(len, lines))
    return 0.57 * em_in * longest / panel.width, 1.25 * em_in * len(lines) / panel.height


def free_corner(
    points: npt.NDArray[np.float64], width: float, height: float
) -> tuple[float, float]:
    """Upper left corner of a box over no point, as far up and left as there is one.

    Corners of the panel come first, then all of it; if every place is taken, the least taken one.

    Args:
        points: in parts of the panel, `(points, 2)`, y upwards.
        width: of the box, in parts of the panel.
        height: likewise.
    """
    margin = 0.035  # half a marker
    across, down = np.linspace(0.03, 0.97 - width, 9), np.linspace(0.98, 0.03 + height, 9)
    corners = [(x, y) for y in (down[0], down[-1]) for x in (across[0], across[-1])]
    places = [*corners, *((x, y) for y in down for x in across)]

    def taken(place: tuple[float, float]) -> int:
        x, y = place
        inside = (points > (x - margin, y - height - margin)) & (
            points < (x + width + margin, y + margin)
        )
        return int(inside.all(axis=1).sum())

    best = min(places, key=taken)  # the first of equal ones
    return float(best[0]), float(best[1])


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
