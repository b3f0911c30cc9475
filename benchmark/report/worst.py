"""The cases on which each architecture does worst."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.report import style
from benchmark.report.cells import Cell, Column, Table
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import DIGITS, case_scores, class_scores
from benchmark.report.numerals import number

WORST = 5
NOTE = (
    "The cases with the lowest mean foreground Dice of each architecture, averaged over the runs "
    "that tested them. A class without a number is absent from truth and prediction."
)


def worst_frame(groups: Sequence[Group]) -> pd.DataFrame:
    """The worst cases of every architecture of every group, worst first, with their classes.

    Ties go to the case whose name comes first.
    """
    parts = [part for group in groups if not (part := worst_cases(group)).empty]
    if not parts:
        return pd.DataFrame(columns=["dataset", "source", "protocol_hash", "case", "dice"])
    return pd.concat(parts, ignore_index=True)


def worst_cases(group: Group) -> pd.DataFrame:
    """The same of one group: ``architecture, variant, place, case, patient, dice, dice_…``."""
    scores = case_scores(group.cases)
    if scores.empty:
        return pd.DataFrame(columns=["architecture", "variant", "case", "dice"])
    classes = class_scores(group.cases)
    keys = ["architecture", "variant", "case"]
    wide = classes.pivot_table(index=keys, columns="class", values="dice")
    wide = wide.reindex(columns=group.classes).add_prefix("dice_").reset_index()
    parts = []
    for name in group.names:
        mine = scores[(scores["architecture"] == name[0]) & (scores["variant"] == name[1])]
        chosen = mine.sort_values(["dice", "case"]).head(WORST)
        parts.append(chosen.assign(place=range(1, len(chosen) + 1)))
    chosen = pd.concat(parts, ignore_index=True).merge(wide, on=keys, how="left")
    axes = {
        "dataset": group.dataset,
        "source": group.source,
        "protocol_hash": group.protocol_hash,
    }
    ordered = ["place", "case", "patient", "dice", *(f"dice_{name}" for name in group.classes)]
    return chosen.assign(**axes)[[*axes, "architecture", "variant", *ordered]]


def worst_table(group: Group) -> Table:
    """The worst cases of one group as printed."""
    frame = worst_cases(group)
    names = [f"dice_{name}" for name in group.classes]
    rows = tuple(
        (
            Cell(row_title(row["architecture"], row["variant"])),
            Cell(str(row["case"])),
            *(Cell(number(row[name], DIGITS)) for name in ("dice", *names)),
        )
        for _, row in frame.iterrows()
    )
    columns = (
        *(Column("Architecture", "left"), Column("Case", "left"), Column("Dice")),
        *(Column(f"Dice {style.words(name)}") for name in group.classes),
    )
    places = frame["place"].tolist() if rows else []
    breaks = frozenset(index for index, place in enumerate(places) if place == 1)
    return Table(columns, rows, breaks - {0})
