"""Every pair of ranked architectures of a group: how far apart, and whether that is separable."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.report.cells import Cell, Column, Table, caption
from benchmark.report.document import Block, Section
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import DIGITS, by_group, case_scores
from benchmark.report.numerals import count, number
from benchmark.report.standings import name_of, ranked_names, standings, why_not
from benchmark.statistics.comparison import LEVEL

COLUMNS = (
    *("dataset", "source", "protocol_hash", "first", "first_variant", "second", "second_variant"),
    *("difference", "low", "high", "p", "p_holm", "separable", "patients"),
)


def comparisons(frame: pd.DataFrame, groups: Sequence[Group]) -> pd.DataFrame:
    """One row per pair, the better architecture first, in the order of the leaderboard.

    Args:
        frame: the leaderboard.
        groups: the groups it was made from.

    Returns:
        ``COLUMNS``: the mean over patients of the paired difference of Dice (first minus second)
        with its bootstrap interval, the p-value of the randomisation test, the same after Holm's
        adjustment over the pairs of the group, and whether that is below 0.05.
    """
    rows = []
    for group in groups:
        names = ranked_names(by_group(frame, group))
        compared = standings(case_scores(group.cases), names, decimals=DIGITS)
        for pair in compared.differences if compared else ():
            (first, first_variant), (second, second_variant) = map(
                name_of, (pair.first, pair.second)
            )
            rows.append(
                (
                    *(group.dataset, group.source, group.protocol_hash),
                    *(first, first_variant, second, second_variant),
                    *(pair.interval.mean, pair.interval.low, pair.interval.high),
                    *(pair.p, pair.p_holm, pair.p_holm < 1 - LEVEL),
                    compared.patients if compared else 0,
                )
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def comparison_sections(
    pairs: pd.DataFrame, frame: pd.DataFrame, groups: Sequence[Group]
) -> list[Section]:
    """The pairs as printed, one table per group; groups without a pair say why.

    Args:
        pairs: from :func:`comparisons`.
        frame: the leaderboard.
        groups: the groups.
    """
    sections = []
    for group in groups:
        mine = by_group(pairs, group)
        if mine.empty:
            reason = why_not(ranked_names(by_group(frame, group)), group)
            sections.append(Section(caption(group), group.slug, (), reason))
            continue
        columns = (
            *(Column("Better", "left"), Column("Than", "left")),
            *(Column("Difference of Dice [95 % interval]"), Column("p"), Column("p (Holm)")),
            *(Column("Separable", "left"), Column("Patients")),
        )
        rows = tuple(
            (
                Cell(row_title(row["first"], row["first_variant"])),
                Cell(row_title(row["second"], row["second_variant"])),
                Cell(
                    f"{number(row['difference'], DIGITS)} "
                    f"[{number(row['low'], DIGITS)}, {number(row['high'], DIGITS)}]"
                ),
                Cell(p_value(row["p"])),
                Cell(p_value(row["p_holm"])),
                Cell("yes" if row["separable"] else "no"),
                Cell(count(row["patients"])),
            )
            for _, row in mine.iterrows()
        )
        notes = (
            "Differences are paired: patient by patient, then averaged. p: randomisation test that "
            "flips the sign of each patient's difference; separable: p after Holm's adjustment "
            "over all pairs of the table below 0.05. Intervals are not adjusted.",
        )
        block = Block("comparisons", "Paired comparisons", Table(columns, rows), notes)
        sections.append(Section(caption(group), group.slug, (block,)))
    return sections


def p_value(value: float) -> str:
    """A p-value; small ones as a bound."""
    return "< 0.001" if value < 0.001 else number(value, 3)
