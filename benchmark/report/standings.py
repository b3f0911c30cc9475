"""Where the ranked rows of a group stand, and how far its runs spread.

Only rows that cover every case of the group with every run are compared (the others have no rank);
rows of different protocols never are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.statistics.comparison import Comparison, compare

if TYPE_CHECKING:
    from benchmark.report.groups import Group

SEED = 0

Name = tuple[str, str]


def ranked_names(rows: pd.DataFrame) -> list[Name]:
    """Architecture and variant of the rows of a leaderboard that have a rank, best first."""
    ranked = rows[rows["rank"].notna()]
    return list(zip(ranked["architecture"], ranked["variant"], strict=True))


def tiers_of(rows: pd.DataFrame) -> dict[Name, int]:
    """The tier of each row of a leaderboard that has one."""
    known = rows[rows["tier"].notna()]
    return {(row["architecture"], row["variant"]): int(row["tier"]) for _, row in known.iterrows()}


def patient_scores(
    case_scores: pd.DataFrame, names: Sequence[Name], column: str = "dice"
) -> pd.DataFrame:
    """Means over the cases of each patient, one column per architecture and variant.

    Args:
        case_scores: from :func:`benchmark.report.leaderboard.case_scores`.
        names: which columns to return, in this order.
        column: what to average.

    Returns:
        Patients in rows, sorted; NaN where a patient has no value.
    """
    keys = ["patient", "architecture", "variant"]
    table = case_scores.groupby(keys, sort=True)[column].mean().unstack(["architecture", "variant"])
    return table.reindex(columns=pd.MultiIndex.from_tuples(names)).dropna(how="all")


def shared_scores(
    case_scores: pd.DataFrame, names: Sequence[Name], column: str = "dice"
) -> pd.DataFrame:
    """:func:`patient_scores` of those patients for whom every row has a Dice.

    Of rows that were tested on the same cases, one has none where all structures of a patient are
    absent from its truth and its predictions. That is no failure, and must not rank as one.
    """
    known = patient_scores(case_scores, names).dropna().index
    return patient_scores(case_scores, names, column).reindex(known)


def standings(
    case_scores: pd.DataFrame, names: Sequence[Name], *, decimals: int, seed: int = SEED
) -> Comparison | None:
    """Compare the ranked architectures of a group on their mean foreground Dice.

    Args:
        case_scores: of the group.
        names: the ranked rows.
        decimals: of Dice that decide ranks.
        seed: of bootstrap and randomisation.

    Returns:
        The comparison over :func:`shared_scores`, its methods named by :func:`row_key`. None for
        fewer than two rows, as alone a row is neither best nor worst, and for fewer than two
        patients: every draw of one is the same, and would claim certainty.
    """
    table = shared_scores(case_scores, names) if names else pd.DataFrame()
    if len(names) < 2 or len(table) < 2:
        return None
    return compare(
        [row_key(name) for name in names], table.to_numpy(), seed=seed, decimals=decimals
    )


def why_not(names: Sequence[Name], group: Group) -> str:
    """Why a group without comparisons has none."""
    if group.mixed:
        return "Nothing is compared across protocols."
    if len(names) < 2:
        count = f"{len(names)} row{' has' if len(names) == 1 else 's have'} a rank"
        return f"Nothing to compare: {count}, a comparison takes two."
    return "Nothing to compare: fewer than two patients have a Dice in every ranked row."


def row_key(name: Name) -> str:
    """One word for a row of the leaderboard, to be split by :func:`name_of`."""
    return "\n".join(name)


def name_of(text: str) -> Name:
    """Architecture and variant of a label."""
    architecture, variant = text.split("\n")
    return architecture, variant


def spread(run_means: Mapping[tuple[int, int], float], *, over: str) -> float:
    """Standard deviation of runs that differ in seed alone, or in fold alone.

    Deviations are taken from the mean of the runs of one fold (or of one seed) and pooled, so that
    the one spread is not part of the other.

    Args:
        run_means: mean Dice of each run by its fold and seed.
        over: ``"seed"`` or ``"fold"``.

    Returns:
        The pooled deviation with n - 1 for each set of runs; NaN where no two runs differ so.
    """
    fixed = 0 if over == "seed" else 1
    sets: dict[int, list[float]] = {}
    for axes, value in run_means.items():
        if not math.isnan(value):
            sets.setdefault(axes[fixed], []).append(value)
    squares, freedom = 0.0, 0
    for values in sets.values():
        centre = sum(values) / len(values)
        squares += sum((value - centre) ** 2 for value in values)
        freedom += len(values) - 1
    return math.sqrt(squares / freedom) if freedom else math.nan
