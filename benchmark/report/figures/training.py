"""Training curves: loss and validation Dice over epochs, and validation Dice over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.report import style
from benchmark.report.groups import Group, row_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS_PER_LINE = 6


def draw(group: Group, looks: Mapping[tuple[str, str], style.Look]) -> Figure | None:
    """Three panels; None where no run wrote an epoch.

    A thin line is a run, a thick one the mean of an architecture's runs (over the epochs that all
    of them reached). Over time there are only runs: their epochs do not fall together.
    """
    epochs = group.epochs
    if epochs.empty:
        return None
    figure = style.new_figure(style.TWO_COLUMNS_IN, 2.55)
    loss, dice, clock = (
        figure.add_axes((left, 0.275, 0.262, 0.585)) for left in (0.065, 0.393, 0.725)
    )
    longest = float(epochs["elapsed_s"].max()) if epochs["elapsed_s"].notna().any() else 0.0
    unit, name_of_unit = (3600.0, "h") if longest > 3 * 3600 else (60.0, "min")
    if longest < 180:
        unit, name_of_unit = 1.0, "s"
    for name in group.names:
        mine = epochs[(epochs["architecture"] == name[0]) & (epochs["variant"] == name[1])]
        if mine.empty:
            continue
        look = looks[name]
        _curves(loss, mine, "epoch", "loss", 1.0, look)
        _curves(dice, mine, "epoch", "validation_dice", 1.0, look)
        _curves(clock, mine, "elapsed_s", "validation_dice", unit, look)
    loss.set(xlabel="epoch", ylabel="training loss")
    dice.set(xlabel="epoch", ylabel="validation Dice")
    clock.set(xlabel=f"training time ({name_of_unit})", ylabel="validation Dice")
    _scales(loss, dice, clock, epochs)
    _legend(figure, group, looks)
    style.headline(figure, f"{group.title}: training", phantom=group.phantom)
    return figure


def _curves(
    axes: Axes, mine: pd.DataFrame, across: str, column: str, unit: float, look: style.Look
) -> None:
    known = mine.dropna(subset=[across, column])
    runs = [run.sort_values(across) for _, run in known.groupby("run", sort=True)]
    alone = len(runs) == 1
    for run in runs:
        axes.plot(
            run[across] / unit,
            run[column],
            color=look.colour,
            linewidth=1.3 if alone else 0.6,
            alpha=1.0 if alone else 0.55,
            marker=look.marker if alone else None,
            markersize=3.2,
            markevery=max(1, len(run) // _MARKERS_PER_LINE),
        )
    if alone or not runs or across != "epoch":
        return
    table = known.pivot_table(index="epoch", columns="run", values=column).dropna()
    axes.plot(
        table.index,
        table.mean(axis=1),
        color=look.colour,
        linewidth=1.6,
        marker=look.marker,
        markersize=3.2,
        markevery=max(1, len(table) // _MARKERS_PER_LINE),
    )


def _scales(loss: Axes, dice: Axes, clock: Axes, epochs: pd.DataFrame) -> None:
    from matplotlib.ticker import MaxNLocator

    top = float(epochs["validation_dice"].max()) if epochs["validation_dice"].notna().any() else 1.0
    for axes in (dice, clock):
        axes.set_ylim(0, min(1.0, max(0.1, 1.06 * top)))
    low = float(epochs["loss"].min()) if epochs["loss"].notna().any() else 0.0
    if low >= 0:
        loss.set_ylim(bottom=0)
    for axes in (loss, dice):
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    clock.xaxis.set_major_locator(MaxNLocator(5))
    clock.set_xlim(left=0)


def _legend(figure: Figure, group: Group, looks: Mapping[tuple[str, str], style.Look]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for name in group.names:
        runs = group.of(name)
        failed = sorted({run.status for run in runs if not run.ok})
        remark = f"; — ({', '.join(failed)})" if failed else ""
        done = sum(run.ok for run in runs)
        look = looks[name]
        handles.append(
            Line2D(
                [],
                [],
                color=look.colour,
                marker=look.marker,
                markersize=3.6,
                label=f"{row_title(*name)} (n = {done} run{'s' * (done != 1)}{remark})",
            )
        )
    style.bottom_legend(figure, handles, per_row=4)
