"""Ranks over datasets: a description, never a test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmark.report.cells import Cell, Column, Table
from benchmark.report.document import Block, Section
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import DIGITS, by_group, rounded_ranks
from benchmark.report.numerals import count, number
from benchmark.report.standings import ranked_names
from benchmark.statistics.ranking import mean_ranks, nemenyi_gap

COLUMNS = ("source", "architecture", "variant", "dataset", "protocol_hash", "rank", "mean_rank")


def ranks_across(frame: pd.DataFrame, groups: Sequence[Group]) -> pd.DataFrame:
    """Ranks of each architecture on each dataset of a source, and their mean.

    Only architectures with a rank on every dataset take part, and they are ranked among each other.
    A source with a single dataset, or with a dataset under several protocols, has no rows: nothing
    would be averaged, or something twice. Tuned recipes, which every dataset has others of, take no
    part.

    Args:
        frame: the leaderboard.
        groups: the groups it was made from.

    Returns:
        ``COLUMNS``, one row per architecture and dataset, sorted by source and mean rank.
    """
    rows = []
    for source in sorted({group.source for group in groups}):
        members = [group for group in groups if group.source == source and not group.tuned]
        datasets = [group.dataset for group in members]
        if len(members) < 2 or len(set(datasets)) < len(datasets):
            continue
        tables = [by_group(frame, group) for group in members]
        common = [
            name
            for name in dict.fromkeys(name for table in tables for name in ranked_names(table))
            if all(name in ranked_names(table) for table in tables)
        ]
        if not common:
            continue
        ranks = np.array([_ranks_among(table, common) for table in tables])
        means = mean_ranks(ranks)
        for index in np.argsort(means, kind="stable"):
            for group, rank in zip(members, ranks[:, index], strict=True):
                rows.append(
                    (source, *common[index], group.dataset, group.protocol_hash, int(rank),
                     means[index])
                )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def across_sections(ranks: pd.DataFrame, groups: Sequence[Group]) -> list[Section]:
    """The ranks as printed, one table per source."""
    sections = []
    for source, mine in ranks.groupby("source", sort=True):
        members = [group for group in groups if group.source == source and not group.tuned]
        names = list(dict.fromkeys(zip(mine["architecture"], mine["variant"], strict=True)))
        table = mine.set_index(["architecture", "variant", "dataset"])
        rows = tuple(
            (
                Cell(row_title(*name)),
                *(Cell(count(table.loc[(*name, group.dataset), "rank"])) for group in members),
                Cell(number(table.loc[(*name, members[0].dataset), "mean_rank"], 2)),
            )
            for name in names
        )
        columns = (
            Column("Architecture", "left"),
            *(Column(f"Rank on {group.title}") for group in members),
            Column("Mean rank"),
        )
        block = Block(
            "across", "Ranks by dataset", Table(columns, rows), _notes(len(members), len(names))
        )
        sections.append(Section(f"All datasets, {source} data", f"all_{source}", (block,)))
    return sections


def _ranks_among(rows: pd.DataFrame, names: Sequence[tuple[str, str]]) -> list[float]:
    dice = rows[rows["rank"].notna()].set_index(["architecture", "variant"])["dice"]
    return rounded_ranks([float(dice[name]) for name in names], digits=DIGITS, best="high")


def _notes(datasets: int, methods: int) -> tuple[str, ...]:
    notes = [
        "The mean rank describes these datasets and no others. Only architectures with a rank on "
        "every dataset are in the table, ranked among each other."
    ]
    if methods > 1:
        gap, widest = nemenyi_gap(datasets, methods), methods - 1
        apart = f"more than the {widest} possible" if gap > widest else f"of {widest} possible"
        notes.append(
            f"No test of mean ranks is printed: over {datasets} datasets Nemenyi's asks of "
            f"{methods} architectures that they lie {gap:.2f} apart (5 %), {apart}."
        )
    return tuple(notes)
