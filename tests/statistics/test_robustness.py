"""The relative drop and its interval."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmark.statistics.robustness import relative_drop


def test_the_drop_is_that_of_the_means_and_paired():
    clean = np.array([0.9, 0.8, 0.7, 0.95, 0.85])
    half = relative_drop(clean, clean / 2, seed=0)
    # Everybody loses the same part, so no draw of patients can say otherwise.
    assert (half.mean, half.low, half.high) == pytest.approx((0.5, 0.5, 0.5))
    none = relative_drop(clean, clean, seed=0)
    assert (none.mean, none.low, none.high) == pytest.approx((0, 0, 0))
    some = relative_drop(clean, [0.9, 0.1, 0.7, 0.95, 0.85], seed=0)
    assert some.mean == pytest.approx(0.7 / clean.sum())
    assert abs(some.low) < 1e-9
    assert some.low < some.mean < some.high


def test_patients_without_both_scores_are_left_out_and_few_have_no_interval():
    drop = relative_drop([0.8, math.nan, 0.4], [0.4, 0.3, math.nan], seed=0)
    assert drop.mean == pytest.approx(0.5)
    assert math.isnan(drop.low)
    assert math.isnan(drop.high)
    for clean in ([], [0.0, 0.0]):
        assert math.isnan(relative_drop(clean, [0.0] * len(clean), seed=0).mean)
