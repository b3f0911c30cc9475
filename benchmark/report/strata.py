"""Scores per phase and view or pathology, as the datasets' own leaderboards publish them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.report import style
from benchmark.report.cells import PHANTOM, Cell, Column, Table, caption
from benchmark.report.document import Block, Section, write_csv, write_printed
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import DIGITS, FAILED_OUTCOMES
from benchmark.report.numerals import NOTHING, number

# What is published besides the mean over all cases of a phase: CAMUS' views, ACDC's pathologies.
SPLITS = ("view", "group")
ALL = "all"
_METRICS = ("dice", "iou", "hd_mm", "hd95_mm", "assd_mm", "masd_mm", "nsd")
_COUNTS = ("scored", "excluded", "failed")
_KEYS = ("dataset", "source", "protocol_hash", "architecture", "variant", "kind", "class", "phase")
NOTE = (
    "Mean Dice over the cases of a stratum, structure by structure (several runs on a case are "
    "averaged first); in brackets the number of cases, and of those excluded (absent from truth "
    "and prediction) or failed (missed or invented). The subgroups of the error analysis differ: "
    "they average a case's classes, then patients, and have intervals."
)


def strata(group: Group) -> pd.DataFrame:
    """Mean scores of each architecture, class or region, and phase: of all cases, and split.

    Returns:
        A row per stratum with ``split`` (``all``, ``view`` or ``group``), ``value`` of the split,
        the mean of every metric there is, and ``scored``, ``excluded``, ``failed`` cases. Empty
        where the files state no phase.
    """
    rows = pd.concat([part for part in (group.cases, group.regions) if len(part)] or [group.cases])
    metrics = [name for name in _METRICS if name in rows]
    columns = [*_KEYS, "split", "value", "cases", *metrics, *_COUNTS]
    if "phase" not in rows or not rows["phase"].notna().any():
        return pd.DataFrame(columns=columns)
    if "kind" not in rows:
        rows = rows.assign(kind="class")
    per_case = _per_case(rows, metrics)
    parts = []
    for split in (ALL, *(name for name in SPLITS if per_case[name].notna().any())):
        named = per_case.assign(split=split, value=ALL if split == ALL else per_case[split])
        parts.append(_means(named.dropna(subset=["value"]), metrics))
    frame = pd.concat(parts, ignore_index=True).assign(
        dataset=group.dataset, source=group.source, protocol_hash=group.protocol_hash
    )
    return frame[columns]


def write_strata(folder: Path, groups: Sequence[Group]) -> list[Path]:
    """Write ``strata.csv``, ``.md`` and ``.tex`` into ``folder``, made if absent.

    Where no file has a phase there is nothing to write, and files of an earlier report go.
    """
    frames = [(group, frame) for group in groups if len(frame := strata(group))]
    if not frames:
        for kind in ("csv", "md", "tex"):
            (folder / f"strata.{kind}").unlink(missing_ok=True)
        return []
    sections = [
        Section(
            caption(group),
            group.slug,
            (
                Block(
                    "strata",
                    "Dice by phase",
                    strata_table(frame, group),
                    ((PHANTOM,) if group.phantom else ()) + (NOTE,),
                ),
            ),
        )
        for group, frame in frames
    ]
    whole = pd.concat([frame for _, frame in frames], ignore_index=True)
    return [
        write_csv(folder, "strata", whole),
        *write_printed(folder, "strata", "Scores by phase", sections),
    ]


def strata_table(frame: pd.DataFrame, group: Group) -> Table:
    """Dice: a row per architecture, structure and phase, a column per view or pathology."""
    structures = [*group.classes, *group.region_names]
    columns = list(dict.fromkeys(zip(frame["split"], frame["value"], strict=True)))
    columns.sort(key=lambda column: (column[0] != ALL, column))
    found = {
        (row["architecture"], row["variant"], row["class"], row["phase"], row["split"],
         row["value"]): row
        for _, row in frame.iterrows()
    }  # fmt: skip
    rows = [
        (
            Cell(row_title(*name)),
            Cell(style.words(structure)),
            Cell(phase),
            *(_cell(found.get((*name, structure, phase, *column))) for column in columns),
        )
        for name in group.names
        for structure in structures
        for phase in sorted(frame["phase"].unique())
        if (*name, structure, phase, ALL, ALL) in found
    ]
    headings = (Column(value if split != ALL else "All cases") for split, value in columns)
    left = (Column(heading, "left") for heading in ("Architecture", "Structure", "Phase"))
    return Table((*left, *headings), tuple(rows))


def _per_case(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """One row per case and structure of an architecture: the mean over the runs that tested it."""
    outcomes = {
        "scored": rows["outcome"] == "scored",
        "excluded": rows["outcome"] == "both_empty",
        "failed": rows["outcome"].isin(FAILED_OUTCOMES),
    }
    marked = rows.assign(**outcomes, **{name: rows.get(name) for name in SPLITS})
    keys = ["architecture", "variant", "kind", "class", "phase", "case"]
    how: dict[str, Any] = {name: (name, "mean") for name in metrics}
    how |= {name: (name, "max") for name in _COUNTS} | {name: (name, "first") for name in SPLITS}
    frame: pd.DataFrame = marked.groupby(keys, sort=True).agg(**how).reset_index()
    return frame


def _means(per_case: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    keys = ["architecture", "variant", "kind", "class", "phase", "split", "value"]
    how: dict[str, Any] = {name: (name, "mean") for name in metrics}
    how |= {"cases": ("case", "size")} | {name: (name, "sum") for name in _COUNTS}
    frame: pd.DataFrame = per_case.groupby(keys, sort=True).agg(**how).reset_index()
    return frame


def _cell(row: Any) -> Cell:
    if row is None or pd.isna(row["dice"]):
        return Cell(NOTHING)
    counts = [
        f"{row['cases'] - row['excluded']:.0f}",
        *(f"{row[name]:.0f} {name}" for name in ("excluded", "failed") if row[name]),
    ]
    return Cell(f"{number(row['dice'], DIGITS)} ({', '.join(counts)})")
