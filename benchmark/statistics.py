"""Intervals, tests and ranks."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Interval:
    """A mean and the interval that holds it at the stated level."""

    mean: float
    low: float
    high: float


def bootstrap_mean(
    values: npt.ArrayLike, *, seed: int, draws: int = 10_000, level: float = 0.95
) -> Interval:
    """Mean with a percentile bootstrap interval (Efron 1979)."""
    sample = np.asarray(values, dtype=np.float64)
    sample = sample[~np.isnan(sample)]
    if not sample.size:
        return Interval(float("nan"), float("nan"), float("nan"))
    index = np.random.default_rng(seed).integers(sample.size, size=(draws, sample.size))
    low, high = np.quantile(sample[index].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(sample.mean()), float(low), float(high))
