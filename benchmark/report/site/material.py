"""What every part of the page is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.report import style
from benchmark.report.groups import Group
from benchmark.report.leaderboard import by_group

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.report.stability import Ranking

Name = tuple[str, str]

RULES = "METHODOLOGY.md"
"""Beside the page: the rules under which it was made."""


@dataclass(frozen=True)
class Material:
    """Groups of runs and the frames that tables and figures are made from.

    Attributes:
        folder: Of the report; the page is written into it.
        groups: The comparison groups, in the order of the report.
        frame: From :func:`benchmark.report.leaderboard.leaderboard`.
        agreement: From :func:`benchmark.report.clinical.agreement_frame`.
        found: From :func:`benchmark.report.stability.rankings`.
        records: Parsed records by key.
    """

    folder: Path
    groups: Sequence[Group]
    frame: pd.DataFrame
    agreement: pd.DataFrame
    found: Sequence[Ranking]
    records: Mapping[str, Mapping[str, Any]]

    @cached_property
    def looks(self) -> dict[Name, style.Look]:
        """Colour and marker of every row of the report."""
        return style.looks(name for group in self.groups for name in group.names)

    def rows(self, group: Group) -> pd.DataFrame:
        """The rows of a group in the leaderboard."""
        return by_group(self.frame, group)
