"""Dice under graded corruption: a table and a frame of curves, per group of comparable runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.records import cases_frame
from benchmark.report.cells import PHANTOM, Cell, Column, Table, caption
from benchmark.report.document import Block, Section, write_csv, write_printed
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import DIGITS
from benchmark.report.numerals import NOTHING, number
from benchmark.report.standings import SEED
from benchmark.statistics.comparison import bootstrap_mean
from benchmark.statistics.robustness import relative_drop

STEM = "robustness"
ALL = "all"
CLEAN = "none"
COLUMNS = (
    *("dataset", "source", "protocol_hash", "architecture", "variant"),
    *("corruption", "severity", "level", "unit", "dice", "dice_low", "dice_high"),
    *("drop", "drop_low", "drop_high", "patients", "cases"),
)
NOTE = (
    "Dice on corrupted images of test cases, and in brackets what it lost against the same images "
    "as they are, with the bootstrap interval over patients (paired). Structures that the truth "
    "shows count; a case is averaged over its classes and the runs that tested it, then patients. "
    "All architectures see the same corrupted images, which none was trained for."
)


@dataclass(frozen=True)
class Curves:
    """The curves of one group.

    Attributes:
        group: The group.
        frame: ``COLUMNS``; severity 0 is the image as it is, kind ``all`` the mean over kinds.
        kinds: Title, unit and levels of each kind.
    """

    group: Group
    frame: pd.DataFrame
    kinds: Mapping[str, Mapping[str, Any]]

    @property
    def severities(self) -> list[int]:
        """The severities that were tried, without 0."""
        return sorted(set(self.frame["severity"]) - {0})

    @property
    def names(self) -> list[tuple[str, str]]:
        """The architectures and variants that have curves, in the order of the report."""
        there = set(zip(self.frame["architecture"], self.frame["variant"], strict=True))
        return [name for name in self.group.names if name in there]


def curves(groups: Sequence[Group], followers: Sequence[Mapping[str, Any]]) -> list[Curves]:
    """Work out the curves of every group that has some.

    Where the runs of a group were tested by different settings, the newest settings count: their
    images differ, and so nothing could be compared.

    Args:
        groups: of the report.
        followers: from :func:`benchmark.records.read_followers`.
    """
    tested = {
        record["of"]["key"]: record
        for record in followers
        if record["task"]["kind"] == "robustness" and record["status"] == "ok"
    }
    found = []
    for group in groups:
        members = [tested[run.key] for run in group.runs if run.key in tested]
        if not members:
            continue
        last = max(members, key=lambda record: str(record["finished_utc"]))
        members = [record for record in members if record["task"] == last["task"]]
        rows = cases_frame(members)
        variants = {run.key: run.variant for run in group.runs}
        frame = _frame(group, rows.assign(variant=rows["run"].map(variants)), last["corruptions"])
        found.append(Curves(group, frame, last["corruptions"]))
    return found


def write_robustness(folder: Path, found: Sequence[Curves]) -> list[Path]:
    """Write ``robustness`` as CSV, Markdown and LaTeX.

    Returns:
        The paths; none where nothing was tested, and files of an earlier report go.
    """
    if not found:
        for kind in ("csv", "md", "tex"):
            (folder / f"{STEM}.{kind}").unlink(missing_ok=True)
        return []
    sections = [
        Section(
            caption(one.group),
            one.group.slug,
            (Block(STEM, "Dice under corruption", table(one), _notes(one)),),
        )
        for one in found
    ]
    whole = pd.concat([one.frame for one in found], ignore_index=True)
    return [
        write_csv(folder, STEM, whole),
        *write_printed(folder, STEM, "Robustness to corrupted images", sections),
    ]


def table(one: Curves) -> Table:
    """A row per architecture and kind, a column per severity, and the images as they are."""
    columns = (
        *(Column("Architecture", "left"), Column("Corruption", "left"), Column("As it is")),
        *(Column(f"Severity {severity}") for severity in one.severities),
    )
    cells: dict[Any, Any] = {
        (row["architecture"], row["variant"], row["corruption"], row["severity"]): row
        for row in one.frame.to_dict("records")
    }
    rows: list[tuple[Cell, ...]] = []
    breaks = []
    for name in one.names:
        breaks.append(len(rows))
        clean = cells[(*name, CLEAN, 0)]
        for kind in (*one.kinds, ALL):
            title = "Mean of all" if kind == ALL else str(one.kinds[kind]["title"])
            rows.append(
                (
                    *(Cell(row_title(*name)), Cell(title), Cell(number(clean["dice"], DIGITS))),
                    *(_cell(cells.get((*name, kind, grade))) for grade in one.severities),
                )
            )
    return Table(columns, tuple(rows), frozenset(breaks) - {0})


def _cell(row: Mapping[str, Any] | None) -> Cell:
    if row is None or pd.isna(row["dice"]):
        return Cell(NOTHING)
    change, low, high = (_percent(-row[name]) for name in ("drop", "drop_high", "drop_low"))
    interval = "" if pd.isna(row["drop_low"]) else f" [{low}, {high}]"
    return Cell(f"{number(row['dice'], DIGITS)} ({change} %{interval})")


def _percent(part: float) -> str:
    """A signed number with one decimal; what rounds to 0 has no sign."""
    if math.isnan(part):
        return NOTHING
    text = f"{100 * part:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def _notes(one: Curves) -> tuple[str, ...]:
    levels = "; ".join(
        f"{kind['title']} "
        + ", ".join(f"{kind['levels'][grade - 1]:g}" for grade in one.severities)
        + f" {kind['unit']}"
        for kind in one.kinds.values()
    )
    known = one.frame[one.frame["severity"] == 0]
    patients, cases = int(known["patients"].max()), int(known["cases"].max())
    return (
        *((PHANTOM,) if one.group.phantom else ()),
        NOTE,
        f"{patients} patient{'s' * (patients != 1)}, {cases} case{'s' * (cases != 1)}. Severities "
        f"{', '.join(map(str, one.severities))} of 5: {levels}.",
    )


def _frame(
    group: Group, rows: pd.DataFrame, kinds: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    # What the truth does not show has no Dice to lose; inventions are the leaderboard's to tell.
    shown = rows[rows["outcome"].isin(["scored", "missed"])]
    keys = ["architecture", "variant", "corruption", "severity", "patient", "case"]
    per_case = shown.groupby([*keys, "run"])["dice"].mean().groupby(level=keys).mean()
    per_patient = per_case.groupby(level=keys[:5]).mean()
    result = []
    there = set(zip(shown["architecture"], shown["variant"], strict=True))
    for name in group.names:
        if name not in there:
            continue
        mine = per_patient.loc[name].unstack(["corruption", "severity"])
        cases = int(per_case.loc[name].reset_index()["case"].nunique())
        clean = mine[CLEAN, 0]
        grades = [(kind, grade) for kind, grade in mine.columns if kind != CLEAN]
        series = {(CLEAN, 0): clean} | {grade: mine[grade] for grade in sorted(grades)}
        for severity in sorted({grade for _, grade in grades}):
            same = [grade for grade in grades if grade[1] == severity]
            series[ALL, severity] = mine[same].mean(axis=1)
        for (kind, severity), values in series.items():
            score = bootstrap_mean(values.to_numpy(), seed=SEED)
            drop = relative_drop(clean.to_numpy(), values.to_numpy(), seed=SEED)
            told = kinds.get(kind)
            level = told["levels"][severity - 1] if told else np.nan
            unit = told["unit"] if told else ""
            result.append(
                (
                    *(group.dataset, group.source, group.protocol_hash, *name, kind, severity),
                    *(level, unit, score.mean, score.low, score.high),
                    *(drop.mean, drop.low, drop.high, int(values.notna().sum()), cases),
                )
            )
    return pd.DataFrame(result, columns=list(COLUMNS))
