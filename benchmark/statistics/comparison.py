"""Intervals, paired comparisons and tiers: what of a table of scores is separable from chance.

The patient is the unit: images, phases and structures of one patient are not independent, so they
are averaged before they come here, and patients are what the bootstrap draws (Efron, Annals of
Statistics 1979).
Ranking schemes and their stability are in `benchmark.statistics.ranking`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError

Floats = npt.NDArray[np.float64]

DRAWS = 10_000
LEVEL = 0.95
# Means that differ only by the rounding of floating-point sums are equal: without this, three
# methods with the same true mean get three ranks.
DECIMALS = 10


@dataclass(frozen=True)
class Interval:
    """A mean over patients and its bootstrap interval, in the unit of the values."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """A paired difference of two methods: mean of `first` minus `second` over patients.

    Attributes:
        first: Name of the one method.
        second: Name of the other.
        interval: The mean difference with its bootstrap interval, not adjusted.
        p: Two-sided p-value of a paired randomisation test that methods are exchangeable.
        p_holm: The same, adjusted for all pairs of the table.
    """

    first: str
    second: str
    interval: Interval
    p: float
    p_holm: float


@dataclass(frozen=True)
class Standing:
    """Where one method stands.

    Attributes:
        name: The method.
        interval: Its mean over patients.
        rank: Rank of its mean, 1 is best; equal means share the better rank.
        rank_low: Best rank of the interval over bootstrap draws, and of `rank` itself: what is
            rounded can tie in the table and in hardly any draw.
        rank_high: Worst rank of that interval.
        p_best: Share of the draws in which it is best; shared bests count in parts.
        tier: 1 for those not separable from the best method, and so on.
    """

    name: str
    interval: Interval
    rank: int
    rank_low: int
    rank_high: int
    p_best: float
    tier: int


@dataclass(frozen=True)
class Comparison:
    """Standings from best to worst, and every pair of them in that order.

    Attributes:
        standings: One per method.
        differences: One per pair, the better method first.
        patients: Patients that every method has a score for; only these are compared.
    """

    standings: tuple[Standing, ...]
    differences: tuple[Difference, ...]
    patients: int


def bootstrap_mean(
    values: npt.ArrayLike, *, seed: int, draws: int = DRAWS, level: float = LEVEL
) -> Interval:
    """Mean over patients with its percentile bootstrap interval.

    Args:
        values: One value per patient, `(patients,)`. NaN is left out: count those beforehand.
        seed: Seed of the draws.
        draws: Number of bootstrap draws.
        level: Level of the interval.

    Returns:
        The mean and its interval. With one patient the interval is NaN: one value has no spread to
        resample, and a width of 0 would claim certainty. With none the mean is NaN, too.
    """
    sample = np.asarray(values, dtype=np.float64).ravel()
    sample = sample[~np.isnan(sample)]
    if not sample.size:
        return Interval(np.nan, np.nan, np.nan)
    if sample.size == 1:
        return Interval(float(sample[0]), np.nan, np.nan)
    return _interval(
        float(sample.mean()), draw_weights(sample.size, seed=seed, draws=draws) @ sample, level
    )


def compare(
    names: Sequence[str],
    scores: npt.ArrayLike,
    *,
    seed: int,
    higher_is_better: bool = True,
    decimals: int = DECIMALS,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Comparison:
    """Compare methods on the patients that all of them were scored on.

    Every draw takes the same patients for all methods, so differences stay paired. Two methods are
    separable if the Holm-adjusted p-value of their difference is below `1 - level`. A tier is a run
    of the table that is not separable from its first method.

    Intervals are bootstrapped, p-values are not: of a handful of patients the bootstrap draws ever
    the same values and calls any two methods different. The sign of each patient's difference is
    flipped instead (Fisher's randomisation test), all ways if there are at most `draws` of them;
    fewer than six patients then never separate two methods at 0.05, as they should not.

    Args:
        names: The methods, one per column.
        scores: One score per patient and method, `(patients, methods)`; NaN where there is none.
        seed: Seed of the draws.
        higher_is_better: False for distances.
        decimals: Means are rounded to so many before they are ranked, those of draws as well. The
            order of the table and its tiers follow the means themselves, then the names.
        draws: Number of bootstrap draws.
        level: Level of all intervals.

    Raises:
        BenchmarkError: If no patient has a score of every method.
        ValueError: If names and columns do not fit.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(names) or not names:
        raise ValueError(
            "Expected scores (patients, methods) with a name for each method. "
            f"Received: shape {table.shape} and {len(names)} names."
        )
    shared = table[~np.isnan(table).any(axis=1)]
    if not len(shared):
        raise BenchmarkError(
            f"Expected patients with a score of each of {', '.join(names)}. Received: none among "
            f"{len(table)}. Compare methods that ran on the same folds."
        )
    means = shared.mean(axis=0)
    # Equal means go by name: the order in which methods are given decides nothing.
    order = np.lexsort((np.asarray(names), min_ranks(means, higher_is_better=higher_is_better)))
    names, shared, means = [names[i] for i in order], shared[:, order], means[order]
    drawn = draw_weights(len(shared), seed=seed, draws=draws) @ shared
    differences = _differences(names, shared, drawn, level, _signs(len(shared), seed, draws))
    separable = {(d.first, d.second) for d in differences if d.p_holm < 1 - level}
    tiers = _tiers(names, separable)
    ranks = min_ranks(means, higher_is_better=higher_is_better, decimals=decimals)
    drawn_ranks = min_ranks(drawn, higher_is_better=higher_is_better, decimals=decimals)
    best = drawn_ranks == 1
    p_best = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    # Ranks are whole, so the limits are taken at draws, not between them.
    rank_limits = np.quantile(
        drawn_ranks, [(1 - level) / 2, (1 + level) / 2], axis=0, method="inverted_cdf"
    )
    standings = tuple(
        Standing(
            name=name,
            interval=_mean_interval(means[i], drawn[:, i], level, patients=len(shared)),
            rank=int(ranks[i]),
            rank_low=int(min(ranks[i], rank_limits[0, i])),
            rank_high=int(max(ranks[i], rank_limits[1, i])),
            p_best=float(p_best[i]),
            tier=tiers[i],
        )
        for i, name in enumerate(names)
    )
    return Comparison(standings, differences, len(shared))


def holm(p_values: Iterable[float]) -> list[float]:
    """Adjust p-values for their number (Holm, Scand J Statist 1979), in the order given."""
    p = np.asarray(list(p_values), dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = p[order] * np.arange(p.size, 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(value) for value in adjusted]


def min_ranks(values: npt.ArrayLike, *, higher_is_better: bool, decimals: int = DECIMALS) -> Floats:
    """Rank along the last axis, 1 is best; equal values share the better rank, NaN the worst."""
    rounded = np.round(np.asarray(values, dtype=np.float64), decimals)
    signed = -rounded if higher_is_better else rounded
    lost = np.isnan(signed)
    better = signed[..., None, :] < signed[..., :, None]
    return np.asarray(np.where(lost, signed.shape[-1], 1.0 + better.sum(axis=-1)))


@lru_cache(maxsize=1)
def draw_weights(patients: int, *, seed: int, draws: int) -> Floats:
    """How much each patient counts in the mean of each bootstrap draw, `(draws, patients)`.

    The last ones are kept, read-only: rows of a table over as many patients follow each other.
    """
    chosen = np.random.default_rng(seed).integers(patients, size=(draws, patients))
    # Counted for all draws in one go: a quarter of the time that drawing multinomials takes.
    chosen += patients * np.arange(draws)[:, None]
    counts = np.bincount(chosen.ravel(), minlength=draws * patients)
    weights = np.asarray(counts.reshape(draws, patients) / patients)
    weights.flags.writeable = False
    return weights


def _interval(mean: float, drawn: Floats, level: float) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high))


def _mean_interval(mean: float, drawn: Floats, level: float, *, patients: int) -> Interval:
    return (
        _interval(float(mean), drawn, level)
        if patients > 1
        else Interval(float(mean), np.nan, np.nan)
    )


def _differences(
    names: Sequence[str], scores: Floats, drawn: Floats, level: float, signs: Floats
) -> tuple[Difference, ...]:
    pairs = list(combinations(range(len(names)), 2))
    intervals, p_values = [], []
    for i, j in pairs:
        paired = scores[:, i] - scores[:, j]
        observed = float(paired.mean())
        intervals.append(
            _mean_interval(observed, drawn[:, i] - drawn[:, j], level, patients=len(paired))
        )
        flipped = signs @ paired / len(paired)
        # Rounding decides no ties: what differs by less than the last digits of a sum is as far.
        p_values.append(float((np.abs(flipped) >= abs(observed) - 10.0**-DECIMALS).mean()))
    return tuple(
        Difference(names[i], names[j], interval, p, p_holm)
        for (i, j), interval, p, p_holm in zip(
            pairs, intervals, p_values, holm(p_values), strict=True
        )
    )


def _signs(patients: int, seed: int, draws: int) -> Floats:
    """Signs to flip differences by, `(flips, patients)`; the first row flips none."""
    if 2**patients <= draws:
        return np.array(list(product((1.0, -1.0), repeat=patients)))
    # The second number keeps these draws apart from those of the patients.
    signs = np.random.default_rng((seed, 1)).choice((1.0, -1.0), size=(draws, patients))
    # The table as it is, is one of the possible ones: no p-value of 0.
    signs[0] = 1.0
    return signs


def _tiers(names: Sequence[str], separable: set[tuple[str, str]]) -> list[int]:
    """Number the tiers down a table sorted from best to worst."""
    tiers: list[int] = []
    leader = 0
    for i, name in enumerate(names):
        if i and (names[leader], name) in separable:
            leader = i
            tiers.append(tiers[-1] + 1)
        else:
            tiers.append(tiers[-1] if tiers else 1)
    return tiers
