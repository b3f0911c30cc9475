"""The error analysis of a report: subgroups, kinds of error, worst cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.report import losses, worst
from benchmark.report.cells import caption
from benchmark.report.document import Block, Section, write_csv, write_printed
from benchmark.report.groups import Group
from benchmark.report.subgroups import subgroup_frame, subgroup_notes, subgroup_table


def write_errors(folder: Path, groups: Sequence[Group]) -> list[Path]:
    """Write the error analysis of all groups.

    Args:
        folder: made if absent.
        groups: the groups.

    Returns:
        The paths: ``errors.csv`` (Dice by subgroup), ``errors_by_kind.csv`` (the parts of what Dice
        lacks), ``worst_cases.csv``, and ``errors.md`` and ``.tex`` with all three as tables.
    """
    subgroups, lost = subgroup_frame(groups), losses.loss_frame(groups)
    sections = [
        Section(caption(group), group.slug, blocks)
        for group in groups
        if (blocks := _blocks(subgroups, lost, group))
    ]
    return [
        write_csv(folder, "errors", subgroups),
        write_csv(folder, "errors_by_kind", lost),
        write_csv(folder, "worst_cases", worst.worst_frame(groups)),
        *write_printed(folder, "errors", "Error analysis", sections),
    ]


def _blocks(subgroups: pd.DataFrame, lost: pd.DataFrame, group: Group) -> tuple[Block, ...]:
    table = subgroup_table(subgroups, group)
    blocks = (
        Block("subgroups", "Dice by subgroup", table, subgroup_notes(subgroups, group)),
        Block("losses", "Where Dice is lost", losses.loss_table(lost, group), (losses.NOTE,)),
        Block("worst", "Worst cases", worst.worst_table(group), (worst.NOTE,)),
    )
    return tuple(block for block in blocks if block.table.rows)
