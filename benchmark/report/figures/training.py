"""Training curves: loss and validation Dice over epochs, and validation Dice over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmark.report import layout, style
from benchmark.report.groups import Group, row_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS_PER_LINE = 6


def draw(
    group: Group,
    looks: Mapping[tuple[str, str], style.Look],
    width_in: float = layout.TWO_COLUMNS_IN,
) -> Figure | None:
    """Three panels, in one column below each other; None where no run wrote an epoch.

    A thin line is a run, a thick one the mean of an architecture's runs (over the epochs that all
    of them reached). Over time there are only runs: their epochs do not fall together.
    """
    epochs = group.epochs
    if epochs.empty:
        return None
    handles = _handles(group, looks)
    narrow = width_in < layout.TWO_COLUMNS_IN
    figure, (loss, dice, clock) = layout.panels(
        handles,
        axes_height_in=1.3 if narrow else 1.6,
        left_in=(0.5, 0.5, 0.5) if narrow else (0.5, 2.93, 5.32),
        width_in=(2.92, 2.92, 2.92) if narrow else (1.82, 1.82, 1.82),
        labels_in=0.41 if narrow else 0.37,
        total_in=width_in,
        stacked=narrow,
    )
    longest = float(epochs["elapsed_s"].max()) if epochs["elapsed_s"].notna().any() else 0.0
    unit, name_of_unit = (3600.0, "h") if longest > 3 * 3600 else (60.0, "min")
    if longest < 180:
        unit, name_of_unit = 1.0, "s"
    for place, name in enumerate(group.names):
        turn = place / len(group.names)
        mine = epochs[(epochs["architecture"] == name[0]) & (epochs["variant"] == name[1])]
        if mine.empty:
            continue
        look = looks[name]
        _curves(loss, mine, "epoch", "loss", 1.0, look, turn)
        _curves(dice, mine, "epoch", "validation_dice", 1.0, look, turn)
        _curves(clock, mine, "elapsed_s", "validation_dice", unit, look, turn)
    for axes in (loss, dice, clock):
        axes.xaxis.labelpad = 2
    loss.set(xlabel="epoch", ylabel="training loss")
    dice.set(xlabel="epoch", ylabel="validation Dice")
    clock.set(xlabel=f"training time ({name_of_unit})", ylabel="validation Dice")
    _scales(loss, dice, clock, epochs)
    layout.bottom_legend(figure, handles)
    layout.headline(figure, f"{group.title}: training", group.subtitle, phantom=group.phantom)
    return figure


def _curves(
    axes: Axes,
    mine: pd.DataFrame,
    across: str,
    column: str,
    unit: float,
    look: style.Look,
    turn: float,
) -> None:
    known = mine.dropna(subset=[across, column])
    runs = [run.sort_values(across) for _, run in known.groupby("run", sort=True)]
    alone = len(runs) == 1
    for run in runs:
        axes.plot(
            run[across] / unit,
            run[column],
            color=look.colour,
            linestyle=look.dashes,
            linewidth=1.3 if alone else 0.6,
            alpha=1.0 if alone else 0.55,
            marker=look.marker if alone else None,
            markersize=3.2,
            markevery=_spread(len(run), turn),
        )
    if alone or not runs or across != "epoch":
        return
    table = known.pivot_table(index="epoch", columns="run", values=column).dropna()
    axes.plot(
        table.index,
        table.mean(axis=1),
        color=look.colour,
        linestyle=look.dashes,
        linewidth=1.6,
        marker=look.marker,
        markersize=3.2,
        markevery=_spread(len(table), turn),
    )


def _spread(length: int, turn: float) -> tuple[int, int]:
    """First marker and distance between markers: lines take turns, so that none hides another."""
    step = max(1, length // _MARKERS_PER_LINE)
    return int(turn * step), step


def _scales(loss: Axes, dice: Axes, clock: Axes, epochs: pd.DataFrame) -> None:
    from matplotlib.ticker import MaxNLocator

    top = float(epochs["validation_dice"].max()) if epochs["validation_dice"].notna().any() else 1.0
    for axes in (dice, clock):
        axes.set_ylim(0, min(1.0, max(0.1, 1.06 * top)))
    low = float(epochs["loss"].min()) if epochs["loss"].notna().any() else 0.0
    if low >= 0:
        loss.set_ylim(bottom=0)
    for axes in (loss, dice):
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    clock.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    clock.set_xlim(left=0)


def _handles(group: Group, looks: Mapping[tuple[str, str], style.Look]) -> list[Any]:
    from matplotlib.lines import Line2D

    handles: list[Any] = []
    for name in group.names:
        done = sum(run.ok for run in group.of(name))
        if not done:
            continue
        look = looks[name]
        handles.append(
            Line2D(
                [],
                [],
                color=look.colour,
                linestyle=look.dashes,
                marker=look.marker,
                markersize=3.6,
                label=f"{row_title(*name)} (n = {done} run{'s' * (done != 1)})",
            )
        )
    return handles + layout.remarks(group.failures)
