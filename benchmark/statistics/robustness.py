"""How much of a score is lost, patient by patient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmark.statistics.comparison import DRAWS, LEVEL, Interval, draw_weights


def relative_drop(
    clean: npt.ArrayLike, worse: npt.ArrayLike, *, seed: int, draws: int = DRAWS
) -> Interval:
    """Part of a mean score that is lost, ``1 - mean(worse) / mean(clean)``, with its interval.

    Both means are taken over the same patients in every bootstrap draw, so the interval is that of
    a paired quantity.

    Args:
        clean: A score per patient.
        worse: The score of the same patients after what is asked about.
        seed: Seed of the draws.
        draws: Number of bootstrap draws.

    Returns:
        The loss and its 95 % percentile interval, which is NaN for fewer than two patients; all are
        NaN where nobody has both scores or the clean mean is 0.
    """
    table = np.stack([np.asarray(clean, np.float64), np.asarray(worse, np.float64)], axis=1)
    table = table[~np.isnan(table).any(axis=1)]
    if not len(table) or not table[:, 0].any():
        return Interval(np.nan, np.nan, np.nan)
    before, after = table.mean(axis=0)
    loss = float(1.0 - after / before)
    if len(table) < 2:
        return Interval(loss, np.nan, np.nan)
    drawn = draw_weights(len(table), seed=seed, draws=draws) @ table
    known = drawn[drawn[:, 0] > 0]  # a draw of lost patients alone has nothing to lose
    low, high = np.quantile(1.0 - known[:, 1] / known[:, 0], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(loss, float(low), float(high))
