"""Two publications side by side: the same cells, the same patients, what has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.records import cases_frame, epochs_frame, read_external, read_records
from benchmark.report.groups import Group, comparison_groups, row_title
from benchmark.report.leaderboard import case_scores, leaderboard, patient_means
from benchmark.report.protocols import differing
from benchmark.statistics.comparison import Interval, bootstrap_mean

Cell = tuple[str, str, str, str]  # dataset, source, architecture, variant


@dataclass(frozen=True)
class Change:
    """One row of the leaderboard in two publications, A and B.

    Attributes:
        dataset: Name of the dataset.
        source: ``real`` or ``phantom``.
        title: Architecture and variant, as people write it.
        dice: Mean Dice in A and in B; None where the row is not there or has no score.
        rank: Rank in A and in B; None where it has none.
        patients: Number of patients scored in both.
        difference: B minus A over these patients, with its bootstrap interval; None without any.
        protocol: Names of the protocol's fields that differ; empty where all are the same.
    """

    dataset: str
    source: str
    title: str
    dice: tuple[float | None, float | None]
    rank: tuple[int | None, int | None]
    patients: int
    difference: Interval | None
    protocol: tuple[str, ...]


def compare_publications(first: Path, second: Path, *, seed: int = 0) -> list[Change]:
    """Return what became of each row of the leaderboards.

    Rows are matched by dataset, source, architecture and variant; scores are paired by patient, so
    that the interval is of the change and not of the patients. Where the protocols differ, that is
    said: the difference then has more than one cause. Where the files differ (fingerprint), nothing
    is paired, since the same name need not be the same patient.

    Args:
        first: Folder of publication A.
        second: Folder of publication B.
        seed: Of the bootstrap.

    Raises:
        BenchmarkError: A record is damaged.
    """
    sides = _Side(first), _Side(second)
    cells = list(dict.fromkeys([*sides[0].rows, *sides[1].rows]))
    return [_change(cell, sides, seed) for cell in cells]


class _Side:
    """One publication: its rows by cell, and the patients' scores behind them."""

    def __init__(self, folder: Path) -> None:
        records = [*read_records(folder), *read_external(folder)]
        groups = comparison_groups(records, cases_frame(records), epochs_frame(records))
        frame = leaderboard(groups)
        scored = frame[frame["dice"].notna()]
        self.rows: dict[Cell, Mapping[str, Any]] = {}
        self._patients: dict[Cell, pd.Series[float]] = {}
        self._facts: dict[Cell, dict[str, Any]] = {}
        of_hash = {group.protocol_hash: group for group in groups}
        for _, row in scored.iterrows():
            group = of_hash[row["protocol_hash"]]
            # Several protocols on one dataset are rows of their own, found again by their hash.
            variant = ", ".join(
                filter(None, [row["variant"], group.protocol_hash if group.others else ""])
            )
            cell = (row["dataset"], row["source"], row["architecture"], variant)
            self.rows[cell] = {str(name): value for name, value in row.items()}
            self._patients[cell] = _patients(group, row["architecture"], row["variant"])
            self._facts[cell] = _facts(records, row["protocol_hash"])

    def patients(self, cell: Cell) -> pd.Series[float]:
        return self._patients.get(cell, pd.Series(dtype=float))

    def facts(self, cell: Cell) -> dict[str, Any]:
        return self._facts[cell]


def _patients(group: Group, architecture: str, variant: str) -> pd.Series[float]:
    cases = case_scores(group.cases)
    mine = cases[(cases["architecture"] == architecture) & (cases["variant"] == variant)]
    return patient_means(mine, "dice")


def _facts(records: Sequence[Mapping[str, Any]], protocol_hash: str) -> dict[str, Any]:
    """Return what a protocol hash stands for: protocol, rules and files."""
    spec = next(each["spec"] for each in records if each["protocol_hash"] == protocol_hash)
    return {**spec["protocol"], "rules": spec.get("rules"), "fingerprint": spec["fingerprint"]}


def _change(cell: Cell, sides: tuple[_Side, _Side], seed: int) -> Change:
    rows = tuple(side.rows.get(cell) for side in sides)
    pairs = pd.concat([side.patients(cell) for side in sides], axis=1, join="inner").to_numpy()
    both = all(row is not None for row in rows)
    changed = tuple(differing([side.facts(cell) for side in sides])) if both else ()
    if "fingerprint" in changed:
        pairs = pairs[:0]
    return Change(
        dataset=cell[0],
        source=cell[1],
        title=row_title(cell[2], cell[3]),
        dice=_two(rows, "dice", float),
        rank=_two(rows, "rank", int),
        patients=len(pairs),
        difference=bootstrap_mean((pairs[:, 1] - pairs[:, 0]).tolist(), seed=seed)
        if len(pairs)
        else None,
        protocol=changed,
    )


def _two(rows: Sequence[Mapping[str, Any] | None], name: str, kind: Any) -> tuple[Any, Any]:
    first, second = (None if row is None or pd.isna(row[name]) else kind(row[name]) for row in rows)
    return first, second
