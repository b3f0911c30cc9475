"""The error analysis of a report: subgroups, kinds of error, worst cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.report import losses, postprocessing, worst
from benchmark.report.cells import PHANTOM, caption
from benchmark.report.document import Block, Section, write_csv, write_printed
from benchmark.report.groups import Group
from benchmark.report.leaderboard import FAILED_OUTCOMES
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


def counts_note(group: Group) -> str:
    """How much of a group was scored, excluded and failed, over all its runs."""
    outcomes = group.cases.get("outcome", pd.Series(dtype=object))
    excluded = int((outcomes == "both_empty").sum())
    failed = int(outcomes.isin(FAILED_OUTCOMES).sum())
    return (
        f"Of {len(outcomes)} pairs of case and class over all runs, {excluded} were excluded "
        f"(absent from truth and prediction) and {failed} failed (missed or invented, scored 0)."
    )


def _blocks(subgroups: pd.DataFrame, lost: pd.DataFrame, group: Group) -> tuple[Block, ...]:
    phantom = (PHANTOM,) if group.phantom else ()
    shared = (*phantom, counts_note(group))
    notes = (*subgroup_notes(subgroups, group), *shared)
    blocks = (
        Block("subgroups", "Dice by subgroup", subgroup_table(subgroups, group), notes),
        Block(
            "losses",
            "Where Dice is lost",
            losses.loss_table(lost, group),
            (losses.NOTE, *shared),
        ),
        Block(
            "cleaning",
            "Post-processing",
            postprocessing.table(group),
            (postprocessing.NOTE, *phantom),
        ),
        Block("worst", "Worst cases", worst.worst_table(group), (worst.NOTE, *shared)),
    )
    return tuple(block for block in blocks if block.table.rows)
