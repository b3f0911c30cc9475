"""Best, median and worst case of a group: the picture, the truth, and what each network made of it.

The cases are chosen by a rule (the mean over architectures of a case's Dice), not by hand, so that
the panel shows what the numbers mean and not what looks well.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.report import layout, style
from benchmark.report.figures.slices import (
    bare,
    only_labels,
    overlay_handles,
    paint_prediction,
    paint_truth,
    read_slice,
    slices_of,
    window_of,
)
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import case_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(group: Group) -> Figure | None:
    """The panel: a row per chosen case, a column per architecture; None without slices."""
    folders = slices_of(group)
    chosen = choose_cases(group, folders)
    if not chosen:
        return None
    names = list(folders)
    columns = 1 + len(names)
    width_in = layout.TWO_COLUMNS_IN
    panel_in = min(1.75, (width_in - 0.42) / columns)
    left_in = 0.38 + (width_in - 0.42 - columns * panel_in) / 2
    colours = style.class_colours(group.classes)
    handles = overlay_handles(group, colours)
    bottom_in = 0.2 + layout.legend_height_in([str(item.get_label()) for item in handles], width_in)
    top_in = 0.66 if any(variant for _, variant in names) else 0.56
    height_in = top_in + bottom_in + len(chosen) * panel_in
    figure = layout.new_figure(width_in, height_in)
    labels = group.labels
    for row, (rank, case) in enumerate(chosen):
        slices = {
            name: only_labels(read_slice(folders[name][case]), labels.values())
            for name in names
            if case in folders[name]
        }
        window = window_of(list(slices.values()))
        for column in range(columns):
            axes = figure.add_axes(
                (
                    (left_in + column * panel_in) / width_in,
                    1 - (top_in + (row + 1) * panel_in - 0.02) / height_in,
                    (panel_in - 0.04) / width_in,
                    (panel_in - 0.04) / height_in,
                )
            )
            bare(axes)
            if column == 0:
                any_slice = next(iter(slices.values()))
                paint_truth(axes, any_slice, window, labels, colours)
                axes.set_ylabel(f"{rank}\n{case}", fontsize=6.2, labelpad=2.5)
                title = "truth"
            else:
                name = names[column - 1]
                title = row_title(*name)
                if name in slices:
                    paint_prediction(axes, slices[name], window, labels, colours)
                else:
                    axes.text(0.5, 0.5, "no slice", ha="center", transform=axes.transAxes)
            if row == 0:
                axes.set_title(title.replace(" (", "\n("), fontsize=6.8, pad=2.5)
    layout.bottom_legend(figure, handles)
    layout.remark(
        figure,
        (bottom_in - 0.1) / height_in,
        "number: mean foreground Dice of the whole case · dashed: truth",
    )
    layout.headline(
        figure,
        f"{group.title}: best, median and worst case"
        if len(chosen) == 3
        else f"{group.title}: {' and '.join(rank for rank, _ in chosen)} case",
        group.subtitle,
        phantom=group.phantom,
    )
    return figure


def choose_cases(
    group: Group, slices: Mapping[tuple[str, str], Mapping[str, Path]]
) -> list[tuple[str, str]]:
    """Best, median and worst case, each with its name: ``[("best", "patient003_ED"), …]``.

    Only cases with a slice of every architecture are candidates, or with a slice of any where
    there is no such case. Ties go to the case whose name comes first.
    """
    if not slices:
        return []
    stems = [set(paths) for paths in slices.values()]
    candidates = set.intersection(*stems) or set.union(*stems)
    means = case_scores(group.cases).groupby("case")["dice"].mean()
    ordered = sorted(
        ((-float(value), str(case)) for case, value in means.items() if case in candidates)
    )
    cases = [case for _, case in ordered]
    if not cases:
        return []
    picked = {"best": cases[0], "median": cases[len(cases) // 2], "worst": cases[-1]}
    if len(cases) < 3:
        picked = {"best": cases[0]} if len(cases) == 1 else {"best": cases[0], "worst": cases[1]}
    return list(picked.items())
