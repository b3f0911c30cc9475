"""Ranks of methods, by several schemes, and how stable they are.

The schemes are those of challengeR (Wiesenfarth et al., Scientific Reports 2021), for tables of one
value per case and method, `(cases, methods)`. Missing values lose: per case they take the worst
rank, and in a mean the worst value of the table. A case that no method has a value for says
nothing and is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from benchmark.errors import BenchmarkError
from benchmark.statistics.comparison import DECIMALS, holm, min_ranks

Floats = npt.NDArray[np.float64]
Average = Literal["mean", "median"]
Scheme = Literal[
    "mean then rank", "median then rank", "rank then mean", "rank then median", "test then rank"
]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

ALPHA = 0.05

_ELEMENTS = 2_000_000  # of differences that are tested at a time


@dataclass(frozen=True)
class Stability:
    """How a ranking fares when cases are drawn anew.

    Attributes:
        scheme: The ranking scheme.
        ranks: Ranks on the table itself, `(methods,)`.
        drawn_ranks: Ranks on each bootstrap draw, `(draws, methods)`.
        kendall_tau: Kendall's tau of each draw with the ranking itself, `(draws,)`; NaN where all
            methods of either share one rank.
    """

    scheme: Scheme
    ranks: Floats
    drawn_ranks: Floats
    kendall_tau: Floats


def aggregate_then_rank(
    table: npt.ArrayLike,
    *,
    average: Average = "mean",
    higher_is_better: bool = True,
    decimals: int = DECIMALS,
) -> Floats:
    """Average each method over cases, then rank the averages, `(methods,)`."""
    averages = _AVERAGES[average](_filled(_known(table), higher_is_better=higher_is_better))
    return min_ranks(averages, higher_is_better=higher_is_better, decimals=decimals)


def rank_then_aggregate(
    table: npt.ArrayLike,
    *,
    average: Average = "mean",
    higher_is_better: bool = True,
    decimals: int = DECIMALS,
) -> Floats:
    """Rank the methods within each case, then rank the averages of their ranks, `(methods,)`."""
    ranks = min_ranks(_known(table), higher_is_better=higher_is_better, decimals=decimals)
    averages = _AVERAGES[average](ranks)
    return min_ranks(averages, higher_is_better=False)


def wins(
    table: npt.ArrayLike, *, higher_is_better: bool = True, adjusted: bool = False
) -> npt.NDArray[np.int64]:
    """Count over how many others each method is significantly better, `(methods,)`.

    One-sided paired Wilcoxon signed-rank tests (normal approximation, level 0.05), adjusted by
    Holm's method or not. A pair is tested on the cases with both values.
    """
    values = _known(table) if higher_is_better else -_known(table)
    return np.asarray(_wins(values[None], adjusted=adjusted)[0])


def rank_by_wins(
    table: npt.ArrayLike, *, higher_is_better: bool = True, adjusted: bool = False
) -> Floats:
    """Rank the methods by their number of `wins`, `(methods,)`."""
    won = wins(table, higher_is_better=higher_is_better, adjusted=adjusted)
    return min_ranks(won, higher_is_better=True)


def rank(
    table: npt.ArrayLike,
    scheme: Scheme,
    *,
    higher_is_better: bool = True,
    decimals: int = DECIMALS,
) -> Floats:
    """Rank the methods by one of `SCHEMES`, `(methods,)`.

    Values and their averages are rounded to `decimals` before they are ranked; tests are of the
    values themselves.

    Raises:
        BenchmarkError: If no case has a value.
        ValueError: If the scheme is unknown.
    """
    if scheme == "test then rank":
        return rank_by_wins(table, higher_is_better=higher_is_better)
    if scheme not in SCHEMES:
        raise ValueError(f"Expected a scheme among {', '.join(SCHEMES)}. Received: {scheme}")
    first, last = scheme.split(" then ")
    scheme_of, average = (
        (rank_then_aggregate, last) if first == "rank" else (aggregate_then_rank, first)
    )
    return scheme_of(
        table,
        average=_average(average),
        higher_is_better=higher_is_better,
        decimals=decimals,
    )


def rank_stability(
    table: npt.ArrayLike,
    scheme: Scheme,
    *,
    seed: int,
    draws: int = 1000,
    higher_is_better: bool = True,
    decimals: int = DECIMALS,
) -> Stability:
    """Rank bootstrap draws of the cases and compare each with the ranking of the table.

    Args:
        table: One value per case (or per patient) and method, `(cases, methods)`.
        scheme: One of `SCHEMES`.
        seed: Seed of the draws.
        draws: Number of draws; 1,000 as in challengeR.
        higher_is_better: False for distances.
        decimals: As in `rank`.
    """
    values = _known(table)
    ranks = rank(values, scheme, higher_is_better=higher_is_better, decimals=decimals)
    chosen = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    drawn = _drawn_ranks(
        values, chosen, scheme, higher_is_better=higher_is_better, decimals=decimals
    )
    # Of few methods there are few rankings: each is compared once, however often it was drawn.
    distinct, which = np.unique(drawn, axis=0, return_inverse=True)
    taus = np.array([_tau(ranks, other) for other in distinct])
    return Stability(scheme, ranks, drawn, taus[which.ravel()])


def mean_ranks(rankings: npt.ArrayLike) -> Floats:
    """Mean rank of each method over datasets, `(datasets, methods)` to `(methods,)`.

    A description only: see `nemenyi_gap` for what a test over few datasets would ask for.
    """
    return np.asarray(np.asarray(rankings, dtype=np.float64).mean(axis=0))


def nemenyi_gap(datasets: int, methods: int, *, alpha: float = ALPHA) -> float:
    """The least distance of two mean ranks over datasets that Nemenyi's test calls significant.

    (Demšar, JMLR 2006.) The largest that there can be is `methods - 1`.
    """
    quantile = _range_quantile(1 - alpha, methods) / np.sqrt(2)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6 * datasets)))


def challenger_csv(tasks: Sequence[tuple[str, Sequence[str], Sequence[str], npt.ArrayLike]]) -> str:
    """Write tables as the CSV that challengeR reads: `task,alg_name,value,case`, missing as NA.

    Args:
        tasks: For each task its name, the methods, the cases, and values `(cases, methods)`.

    Returns:
        The text of the file, for `read.csv` and `as.challenge(..., by = "task")`.
    """
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["task", "alg_name", "value", "case"])
    for task, methods, cases, table in tasks:
        for case, row in zip(cases, np.asarray(table, dtype=np.float64), strict=True):
            for method, value in zip(methods, row, strict=True):
                shown = "NA" if np.isnan(value) else repr(float(value))
                writer.writerow([task, method, shown, case])
    return text.getvalue()


_AVERAGES: dict[Average, Callable[[Floats], Floats]] = {
    "mean": lambda values: np.asarray(values.mean(axis=-2)),
    "median": lambda values: np.asarray(np.median(values, axis=-2)),
}


def _drawn_ranks(
    values: Floats,
    chosen: npt.NDArray[np.int64],
    scheme: Scheme,
    *,
    higher_is_better: bool,
    decimals: int,
) -> Floats:
    """Ranks on draws of the cases, `(draws, methods)`, from indices `(draws, cases)`."""
    if scheme == "test then rank":
        signed = values if higher_is_better else -values
        # Some draws at a time: all at once would take gigabytes of many methods.
        parts = np.array_split(chosen, -(-chosen.size * values.shape[1] ** 2 // _ELEMENTS))
        won = np.concatenate([_wins(signed[part], adjusted=False) for part in parts])
        return min_ranks(won, higher_is_better=True)
    first, last = scheme.split(" then ")
    if first == "rank":
        # The ranks within a case are the same in every draw.
        values = min_ranks(values, higher_is_better=higher_is_better, decimals=decimals)
        higher_is_better, decimals = False, DECIMALS
    else:
        values = _filled(values, higher_is_better=higher_is_better)
        last = first
    average = _AVERAGES[_average(last)]
    parts = np.array_split(chosen, -(-chosen.size * values.shape[1] // _ELEMENTS))
    averages = np.concatenate([average(values[part]) for part in parts])
    return min_ranks(averages, higher_is_better=higher_is_better, decimals=decimals)


def _filled(values: Floats, *, higher_is_better: bool) -> Floats:
    """The table with its worst value where one is missing."""
    worst = np.nanmin(values) if higher_is_better else np.nanmax(values)
    return np.asarray(np.where(np.isnan(values), worst, values))


def _average(word: str) -> Average:
    return "median" if word == "median" else "mean"


def _known(table: npt.ArrayLike) -> Floats:
    values = np.asarray(table, dtype=np.float64)
    values = values[~np.isnan(values).all(axis=1)]
    if not len(values):
        raise BenchmarkError(
            "Expected a table (cases, methods) with a value in it. Received: none. "
            "Look for runs that failed."
        )
    return values


def _wins(tables: Floats, *, adjusted: bool) -> npt.NDArray[np.int64]:
    """Significant wins in each of several tables, `(tables, cases, methods)`: `(tables, methods)`.

    Higher values are better.
    """
    count, cases, methods = tables.shape
    pairs = np.array(list(combinations(range(methods), 2)), dtype=int).reshape(-1, 2)
    first, second = pairs.T
    differences = tables[:, :, first] - tables[:, :, second]
    columns = differences.transpose(1, 0, 2).reshape(cases, -1)
    p_values = _wilcoxon_p(columns).reshape(2, count, -1)
    p_values = np.concatenate(p_values, axis=1)
    if adjusted:
        p_values = np.array([holm(row) for row in p_values]).reshape(p_values.shape)
    winners = np.concatenate([first, second])
    won = np.zeros((count, methods), dtype=np.int64)
    for column, winner in enumerate(winners):
        won[:, winner] += p_values[:, column] < ALPHA
    return won


def _wilcoxon_p(differences: Floats) -> Floats:
    """One-sided p-values of columns of paired differences, `(cases, columns)` to `(2, columns)`.

    The first row asks whether they exceed 0, the second whether they fall short of it. The normal
    approximation with corrections for ties and continuity, differences of 0 left out: R's
    `wilcox.test(..., exact = FALSE)`. In one go for all columns, as bootstraps ask for thousands.
    """
    # A missing difference leaves as a 0 does.
    rounded = np.round(np.nan_to_num(differences, nan=0.0), DECIMALS)
    used = rounded != 0
    unused = (~used).sum(axis=0)
    low, high = (ranks - unused for ranks in _shared_ranks(np.abs(rounded)))
    counted = len(rounded) - unused
    ranks = np.where(used, (low + high) / 2, 0)
    sums = np.array([np.where(rounded > 0, ranks, 0).sum(axis=0),
                     np.where(rounded < 0, ranks, 0).sum(axis=0)])  # fmt: skip
    ties = np.where(used, np.square(high - low + 1) - 1, 0).sum(axis=0)
    variance = counted * (counted + 1) * (2 * counted + 1) / 24 - ties / 48
    excess = sums - counted * (counted + 1) / 4 - 0.5
    # Nothing to test: not significant.
    z = np.divide(excess, np.sqrt(variance), out=np.full(excess.shape, -np.inf),
                  where=np.broadcast_to(variance > 0, excess.shape))  # fmt: skip
    return np.asarray(ndtr(-z))


def _shared_ranks(values: Floats) -> tuple[Floats, Floats]:
    """Best and worst of the ranks, 1 the smallest, that equal values of a column share."""
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    changes = ordered[1:] != ordered[:-1]
    edge = np.ones((1, values.shape[1]), dtype=bool)
    places = np.arange(1.0, len(values) + 1)[:, None]
    begins = np.where(np.concatenate([edge, changes]), places, 0)
    ends = np.where(np.concatenate([changes, edge]), places, len(values))
    low, high = np.empty(values.shape), np.empty(values.shape)
    np.put_along_axis(low, order, np.maximum.accumulate(begins, axis=0), axis=0)
    np.put_along_axis(high, order, np.minimum.accumulate(ends[::-1], axis=0)[::-1], axis=0)
    return low, high


def _tau(first: Floats, second: Floats) -> float:
    """Kendall's tau-b (Biometrika 1945); NaN where all of either are equal."""
    one, other = (
        np.sign(np.subtract.outer(ranks, ranks))[np.triu_indices(len(ranks), 1)]
        for ranks in (first, second)
    )
    if not one.any() or not other.any():
        return float("nan")
    tau = one @ other / np.sqrt(np.count_nonzero(one)) / np.sqrt(np.count_nonzero(other))
    return float(np.clip(tau, -1, 1))


def _range_quantile(level: float, count: int) -> float:
    """Quantile of the range of so many standard normal values.

    What SciPy has as `studentized_range` with endless degrees of freedom; its module of statistics
    takes longer to import than a leaderboard takes to make.
    """
    smallest, step = np.linspace(-9.0, 9.0, 2001, retstep=True)
    density = np.exp(-(smallest**2) / 2) / np.sqrt(2 * np.pi)
    low, high = 0.0, 20.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        others = (ndtr(smallest + middle) - ndtr(smallest)) ** (count - 1)
        below = count * step * float(density @ others)
        low, high = (middle, high) if below < level else (low, middle)
    return (low + high) / 2
