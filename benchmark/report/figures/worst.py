"""The worst cases of every architecture: what a low Dice looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.report import layout, style
from benchmark.report.figures.slices import (
    bare,
    only_labels,
    overlay_handles,
    paint_prediction,
    read_slice,
    slices_of,
    window_of,
)
from benchmark.report.groups import Group, row_title
from benchmark.report.worst import WORST, worst_cases

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEFT_IN, _TOP_IN, _TITLE_IN = 0.3, 0.46, 0.15


def draw(group: Group) -> Figure | None:
    """A row per architecture, its worst case on the left; None without slices.

    Unlike the panel of best, median and worst case, columns are no common cases: every architecture
    fails on its own.
    """
    files = slices_of(group)
    found = worst_cases(group)
    keys = zip(found["architecture"], found["variant"], found["case"], strict=True)
    averaged = dict(zip(keys, found["dice"], strict=True))
    chosen: dict[tuple[str, str], list[str]] = {}
    for name, case in zip(
        zip(found["architecture"], found["variant"], strict=True), found["case"], strict=True
    ):
        if case in files.get(name, {}):
            chosen.setdefault(name, []).append(case)
    if not chosen:
        return None
    width_in = layout.TWO_COLUMNS_IN
    panel_in = (width_in - _LEFT_IN - 0.04) / WORST
    colours = style.class_colours(group.classes)
    handles = overlay_handles(group, colours)
    bottom_in = 0.2 + layout.legend_height_in([str(item.get_label()) for item in handles], width_in)
    row_in = panel_in + _TITLE_IN
    height_in = _TOP_IN + bottom_in + len(chosen) * row_in
    figure = layout.new_figure(width_in, height_in)
    labels = group.labels
    for row, (name, cases) in enumerate(chosen.items()):
        for column, case in enumerate(cases):
            one = only_labels(read_slice(files[name][case]), labels.values())
            axes = figure.add_axes(
                (
                    (_LEFT_IN + column * panel_in) / width_in,
                    1 - (_TOP_IN + (row + 1) * row_in - 0.02) / height_in,
                    (panel_in - 0.04) / width_in,
                    (panel_in - 0.04) / height_in,
                )
            )
            bare(axes)
            paint_prediction(
                axes, one, window_of([one]), labels, colours, dice=averaged[(*name, case)]
            )
            axes.set_title(case, fontsize=min(6.2, 62 * panel_in / len(case)), pad=1.5)
            if column == 0:
                axes.set_ylabel(row_title(*name).replace(" (", "\n("), fontsize=6.8, labelpad=2.5)
    layout.bottom_legend(figure, handles)
    layout.remark(
        figure,
        (bottom_in - 0.1) / height_in,
        "number: mean foreground Dice of the case over all runs · picture: one run · dashed: truth",
    )
    layout.headline(figure, f"{group.title}: worst cases", group.subtitle, phantom=group.phantom)
    return figure
