"""Where Dice is lost: what is missed, what is invented, and what is a shift of the boundary."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.report import style
from benchmark.report.cells import Cell, Column, Table
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import DIGITS, by_group
from benchmark.report.numerals import count, number

PARTS = ("loss_missed", "loss_invented", "loss_boundary")
COLUMNS = (
    *("dataset", "source", "protocol_hash", "architecture", "variant", "class"),
    *("loss", *PARTS, "patients"),
)
NOTE = (
    "What Dice lacks to 1, by kind of error: voxels within 2 mm of the true surface are a shift of "
    "the boundary; of those farther away, true ones are missed and predicted ones invented. The "
    "parts add up. Means over patients."
)


def loss_frame(groups: Sequence[Group]) -> pd.DataFrame:
    """One row per group, architecture and class: the mean over patients of each part.

    Runs from before these columns have none, and no row.
    """
    rows = []
    for group in groups:
        cases = group.cases
        if not set(PARTS) <= set(cases) or cases.empty:
            continue
        scored = cases[cases["class"].isin(group.classes)].dropna(subset=list(PARTS))
        # Over the runs of a case, the cases of a patient, the patients.
        keys = ["architecture", "variant", "class", "patient", "case"]
        per_case = scored.groupby(keys)[list(PARTS)].mean()
        per_patient = per_case.groupby(level=keys[:4]).mean()
        means = per_patient.groupby(level=keys[:3]).mean()
        patients = per_patient.groupby(level=keys[:3]).size()
        # Plain dictionaries: looking labels up in a frame one by one is slow.
        lost = dict(zip(means.index, means.to_numpy().tolist(), strict=True))
        counted = dict(zip(patients.index, patients.tolist(), strict=True))
        for name in group.names:
            for label in group.classes:
                key = (*name, label)
                if key in lost:
                    parts = lost[key]
                    rows.append(
                        (
                            *(group.dataset, group.source, group.protocol_hash, *key),
                            *(sum(parts), *parts, counted[key]),
                        )
                    )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def loss_table(frame: pd.DataFrame, group: Group) -> Table:
    """The parts of one group as printed."""
    mine = by_group(frame, group)
    rows = tuple(
        (
            Cell(row_title(row["architecture"], row["variant"])),
            Cell(style.words(row["class"])),
            *(Cell(number(row[name], DIGITS)) for name in ("loss", *PARTS)),
            Cell(count(row["patients"])),
        )
        for _, row in mine.iterrows()
    )
    names = mine["architecture"] + "\n" + mine["variant"]
    breaks = frozenset(
        index for index in range(1, len(rows)) if names.iloc[index] != names.iloc[index - 1]
    )
    columns = (
        *(Column("Architecture", "left"), Column("Class", "left"), Column("1 − Dice")),
        *(Column("Missed"), Column("Invented"), Column("Boundary"), Column("Patients")),
    )
    return Table(columns, rows, breaks)
