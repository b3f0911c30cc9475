"""Dice against the severity of corruption: a panel per kind, a curve per architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmark.report import layout, style
from benchmark.report.groups import row_title
from benchmark.report.robustness import CLEAN, Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEFT_IN, _GAP_IN, _RIGHT_IN = 0.48, 0.1, 0.08


def draw(one: Curves, looks: Mapping[tuple[str, str], style.Look]) -> Figure:
    """Panels side by side with one axis of Dice; the bands are bootstrap intervals over patients.

    Args:
        one: the curves of a group.
        looks: colours and markers.
    """
    handles = _handles(one, looks)
    kinds = list(one.kinds)
    width_in = (layout.TWO_COLUMNS_IN - _LEFT_IN - _RIGHT_IN) / len(kinds) - _GAP_IN
    width_in = min(width_in, 2.4)
    figure, panels = layout.panels(
        handles,
        axes_height_in=1.55,
        left_in=[_LEFT_IN + place * (width_in + _GAP_IN) for place in range(len(kinds))],
        width_in=[width_in] * len(kinds),
        labels_in=0.52,
    )
    low = float(one.frame["dice_low"].fillna(one.frame["dice"]).min())
    high = float(one.frame["dice_high"].fillna(one.frame["dice"]).max())
    for axes, kind in zip(panels, kinds, strict=True):
        _panel(axes, one, kind, looks)
        axes.set_ylim(max(0.0, low - 0.04), min(1.0, high + 0.03))
        if axes is not panels[0]:
            axes.tick_params(labelleft=False)
    panels[0].set_ylabel("Dice")
    layout.bottom_legend(figure, handles)
    height_in = float(figure.get_size_inches()[1])
    labels = [str(handle.get_label()) for handle in handles]
    down_in = layout.legend_height_in(labels, layout.TWO_COLUMNS_IN) + 0.08
    layout.remark(
        figure, down_in / height_in, "band: 95 % bootstrap interval over patients · –: as it is"
    )
    tested = int(one.frame["patients"].max())
    title = f"{one.group.title}: Dice under corruption"
    subtitle = (
        f"{one.group.source} data, n = {tested} test patients · {one.group.protocol_hash[:8]}"
    )
    layout.headline(figure, title, subtitle, phantom=one.group.phantom)
    return figure


def _panel(axes: Axes, one: Curves, kind: str, looks: Mapping[tuple[str, str], style.Look]) -> None:
    told = one.kinds[kind]
    for name in one.names:
        mine = one.frame[
            (one.frame["architecture"] == name[0])
            & (one.frame["variant"] == name[1])
            & one.frame["corruption"].isin([kind, CLEAN])
        ].sort_values("severity")
        look = looks[name]
        axes.fill_between(
            mine["severity"], mine["dice_low"], mine["dice_high"],
            color=look.colour, alpha=0.13, linewidth=0,
        )  # fmt: skip
        axes.plot(
            mine["severity"], mine["dice"], color=look.colour, linestyle=look.dashes,
            marker=look.marker, markersize=3.4,
        )  # fmt: skip
    ticks = [0, *one.severities]
    axes.set_xticks(ticks, ["–", *(f"{told['levels'][grade - 1]:g}" for grade in one.severities)])
    axes.set_xlim(-0.25, max(ticks) + 0.25)
    axes.set_title(str(told["title"]), fontsize=7, pad=3)
    axes.set_xlabel(str(told["unit"]), fontsize=6.5, labelpad=1.5)


def _handles(one: Curves, looks: Mapping[tuple[str, str], style.Look]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=looks[name].colour, linestyle=looks[name].dashes,
               marker=looks[name].marker, markersize=3.6, label=row_title(*name))
        for name in one.names
    ]  # fmt: skip
