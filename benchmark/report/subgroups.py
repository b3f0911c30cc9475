"""Dice by subgroup: what kind of patient, image, slice or structure an architecture fails on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.report.cells import Cell, Column, Table
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import by_group, case_scores
from benchmark.report.numerals import dice_interval
from benchmark.report.standings import SEED
from benchmark.statistics.comparison import bootstrap_mean

# Column of the cases, or what else splits them, and its name in print.
KINDS: Mapping[str, str] = {
    "group": "Pathology",
    "phase": "Phase",
    "view": "View",
    "quality": "Image quality",
    "position": "Slice position",
    "size": "Structure size",
}
POSITIONS = ("base", "mid", "apex")
SIZES = ("small", "medium", "large")
_ORDER = (*POSITIONS, *SIZES, "ED", "ES", "Good", "Medium", "Poor", "2CH", "4CH")

COLUMNS = (
    *("dataset", "source", "protocol_hash", "kind", "subgroup", "architecture", "variant"),
    *("dice", "dice_low", "dice_high", "patients", "cases"),
)
NOTE = (
    "Dice as in the leaderboard, over the cases (or slices, or structures) of the subgroup, with "
    "the bootstrap interval over its patients; a dash: fewer than two patients. Subgroups share "
    "patients and are not compared by a test."
)
POSITION_NOTE = (
    "Base, mid, apex: thirds of the slices that show any structure in the truth; the base is the "
    "end whose last slice shows more of them."
)
SIZE_NOTE = (
    "Small, medium, large: thirds of the true volume (in planes, area) of a structure over all "
    "cases, class by class."
)


def subgroup_frame(groups: Sequence[Group], *, seed: int = SEED) -> pd.DataFrame:
    """One row per group, subgroup and architecture that has a score there.

    Args:
        groups: the groups.
        seed: of the bootstrap.

    Returns:
        ``COLUMNS``; ``patients`` and ``cases`` are those with a score in the subgroup.
    """
    rows = []
    for group in groups:
        for kind, scores in _splits(group):
            keys = ["subgroup", "architecture", "variant"]
            for (subgroup, *name), part in scores.groupby(keys, sort=True):
                means = part.groupby("patient")["dice"].mean()
                interval = bootstrap_mean(means.to_numpy(), seed=seed)
                rows.append(
                    (
                        *(group.dataset, group.source, group.protocol_hash, kind, subgroup, *name),
                        *(interval.mean, interval.low, interval.high),
                        *(len(means), part["case"].nunique()),
                    )
                )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def subgroup_table(frame: pd.DataFrame, group: Group) -> Table:
    """The subgroups of one group in rows, its architectures in columns."""
    mine = by_group(frame, group)
    found = set(zip(mine["architecture"], mine["variant"], strict=True))
    names = [name for name in group.names if name in found]
    cells = {
        (row["kind"], row["subgroup"], row["architecture"], row["variant"]): row
        for _, row in mine.iterrows()
    }
    rows: list[tuple[Cell, ...]] = []
    breaks = []
    for kind, title in KINDS.items():
        breaks.append(len(rows))
        for subgroup in _ordered(mine.loc[mine["kind"] == kind, "subgroup"]):
            part = [cells.get((kind, subgroup, *name)) for name in names]
            counts = sorted({int(row["patients"]) for row in part if row is not None})
            rows.append(
                (
                    *(Cell(title), Cell(subgroup)),
                    Cell("–".join(dict.fromkeys([str(counts[0]), str(counts[-1])]))),
                    *(Cell("—" if row is None else dice_interval(row)) for row in part),
                )
            )
    columns = (
        *(Column("Split by", "left"), Column("Subgroup", "left"), Column("Patients")),
        *(Column(row_title(*name)) for name in names),
    )
    return Table(columns, tuple(rows), frozenset(breaks) - {0})


def subgroup_notes(frame: pd.DataFrame, group: Group) -> tuple[str, ...]:
    """What has to be said of the subgroups that a group has."""
    kinds = set(by_group(frame, group)["kind"])
    return (
        NOTE,
        *((POSITION_NOTE,) if "position" in kinds else ()),
        *((SIZE_NOTE,) if "size" in kinds else ()),
    )


def _splits(group: Group) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each way to split the cases: ``architecture, variant, case, patient, subgroup, dice``."""
    cases = group.cases[group.cases["class"].isin(group.classes)]
    if cases.empty:
        return
    whole = case_scores(cases)
    for kind in KINDS:
        if kind in cases:
            known = cases.drop_duplicates("case").set_index("case")[kind].replace("", np.nan)
            # One value alone splits nothing.
            if known.nunique() > 1:
                yield (
                    kind,
                    whole.assign(subgroup=whole["case"].map(known)).dropna(subset=["subgroup"]),
                )
    columns = [f"dice_{position}" for position in POSITIONS]
    if all(name in cases and cases[name].notna().any() for name in columns):
        yield (
            "position",
            pd.concat(
                [
                    case_scores(cases.assign(dice=cases[column])).assign(subgroup=position)
                    for position, column in zip(POSITIONS, columns, strict=True)
                ]
            ),
        )
    sizes = _sizes(cases)
    if sizes.notna().any():
        yield (
            "size",
            pd.concat([case_scores(cases[sizes == size]).assign(subgroup=size) for size in SIZES]),
        )


def _sizes(cases: pd.DataFrame) -> pd.Series[Any]:
    """Which third of its class the true structure of each row belongs to; NaN where it has none."""
    size = pd.Series(np.nan, index=cases.index)
    for column in ("volume_truth_ml", "area_truth_cm2"):
        if column in cases:
            size = size.fillna(cases[column])
    size = size.where(size > 0)
    third: pd.Series[Any] = pd.Series(np.nan, index=cases.index, dtype=object)
    # A case counts once, however many runs tested it.
    once = cases.assign(size=size).dropna(subset=["size"]).drop_duplicates(["case", "class"])
    for name, values in once.groupby("class")["size"]:
        if values.nunique() < len(SIZES):
            continue
        mine = size[(cases["class"] == name) & size.notna()]
        places = np.searchsorted(np.quantile(values, [1 / 3, 2 / 3]), mine, side="left")
        third.loc[mine.index] = np.array(SIZES, dtype=object)[places]
    return third


def _ordered(names: pd.Series[str]) -> list[str]:
    known = {name: place for place, name in enumerate(_ORDER)}
    return sorted(set(names), key=lambda name: (known.get(name, len(known)), name))
