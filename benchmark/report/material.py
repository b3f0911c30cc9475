"""What tables, figures, the page and the terminal show: gathered and compared once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmark.report import style
from benchmark.report.groups import Group, comparison_groups
from benchmark.report.leaderboard import by_group, leaderboard
from benchmark.report.standings import Name

if TYPE_CHECKING:
    from benchmark.report.robustness import Curves
    from benchmark.report.stability import Ranking

RULES = "METHODOLOGY.md"
"""Beside the page: the rules under which it was made."""


@dataclass(frozen=True)
class Material:
    """Groups of runs and the frames that everything shown is made from.

    Attributes:
        folder: Of the report.
        groups: The comparison groups, in the order of the report.
        frame: From :func:`benchmark.report.leaderboard.leaderboard`.
        records: Parsed records by key.
        cases: The rows of all ``cases.csv``.
        clinical: The rows of all ``clinical.csv``.
        mixed: Whether protocols stand side by side.
    """

    folder: Path
    groups: Sequence[Group]
    frame: pd.DataFrame
    records: Mapping[str, Mapping[str, Any]]
    cases: pd.DataFrame = field(default_factory=pd.DataFrame)
    clinical: pd.DataFrame = field(default_factory=pd.DataFrame)
    mixed: bool = False

    @cached_property
    def looks(self) -> dict[Name, style.Look]:
        """Colour and marker of every row of the report."""
        return style.looks(name for group in self.groups for name in group.names)

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """Of endpoints, from :func:`benchmark.report.clinical.agreement_frame`."""
        from benchmark.report.clinical import agreement_frame

        return agreement_frame(self.groups, self.clinical)

    @cached_property
    def found(self) -> list[Ranking]:
        """Rank stability, from :func:`benchmark.report.stability.rankings`."""
        from benchmark.report.stability import rankings

        return rankings(self.frame, self.groups)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Paired comparisons, from :func:`benchmark.report.comparisons.comparisons`."""
        from benchmark.report.comparisons import comparisons

        return comparisons(self.frame, self.groups)

    @cached_property
    def across(self) -> pd.DataFrame:
        """Ranks over datasets, from :func:`benchmark.report.across.ranks_across`."""
        from benchmark.report.across import ranks_across

        return ranks_across(self.frame, self.groups)

    @cached_property
    def followers(self) -> list[dict[str, Any]]:
        """Records of tests on other data and on corrupted images.

        A damaged one is left out, and made again by the next run.
        """
        from benchmark.records import read_followers

        return read_followers(self.records.values(), lambda text: None)

    @cached_property
    def curves(self) -> list[Curves]:
        """Dice under corruption, from :func:`benchmark.report.robustness.curves`."""
        from benchmark.report.robustness import curves

        return curves(self.groups, self.followers)

    def rows(self, group: Group) -> pd.DataFrame:
        """The rows of a group in the leaderboard."""
        return by_group(self.frame, group)


def gather(
    results: Path,
    records: Sequence[Mapping[str, Any]],
    cases: pd.DataFrame,
    epochs: pd.DataFrame,
    clinical: pd.DataFrame,
    *,
    mix_protocols: bool = False,
) -> Material:
    """Put runs into groups and compare those of each.

    Runs are compared only within a dataset, source and protocol.

    Args:
        results: The results folder.
        records: Parsed ``record.json`` files, each with ``path``, the folder of the run.
        cases: The rows of all ``cases.csv``.
        epochs: The rows of all ``epochs.csv`` with ``run, architecture, dataset, source, fold,
            seed``.
        clinical: The rows of all ``clinical.csv``.
        mix_protocols: Put the protocols of a dataset and source side by side in one table, marked
            and without ranks; the folder is then ``report-mixed``.
    """
    groups = comparison_groups(records, cases, epochs, mix_protocols=mix_protocols)
    return Material(
        folder=results / ("report-mixed" if mix_protocols else "report"),
        groups=groups,
        frame=leaderboard(groups),
        records={str(record["key"]): record for record in records},
        cases=cases,
        clinical=clinical,
        mixed=mix_protocols,
    )
