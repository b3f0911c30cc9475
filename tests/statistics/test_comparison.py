import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.errors import BenchmarkError
from benchmark.statistics.comparison import (
    bootstrap_mean,
    compare,
    draw_weights,
    holm,
    min_ranks,
)


def scores(patients, means, spread=0.05, seed=0):
    rng = np.random.default_rng(seed)
    # What makes a patient hard is shared by the methods, as on real scans.
    hardness = rng.normal(0, 0.1, (patients, 1))
    return np.asarray(means) - hardness + rng.normal(0, spread, (patients, len(means)))


def test_bootstrap_is_repeatable_and_follows_its_seed():
    values = np.random.default_rng(1).random(30)
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3)
    assert bootstrap_mean(values, seed=3) != bootstrap_mean(values, seed=4)


def test_bootstrap_interval_agrees_with_scipy():
    values = np.random.default_rng(1).random(40)
    ours = bootstrap_mean(values, seed=0)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert ours.mean == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_bootstrap_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [bootstrap_mean(rng.normal(0, 1, 50), seed=i, draws=500) for i in range(300)]
    covered = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
    assert 0.90 < covered < 0.98


def test_bootstrap_leaves_missing_values_out():
    assert bootstrap_mean([0.5, math.nan, 0.7], seed=0) == bootstrap_mean([0.5, 0.7], seed=0)


def test_one_patient_has_a_mean_but_no_interval():
    interval = bootstrap_mean([0.8], seed=0)
    assert interval.mean == 0.8
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert math.isnan(bootstrap_mean([], seed=0).mean)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_the_interval_holds_the_mean_and_stays_within_the_values(values):
    interval = bootstrap_mean(values, seed=0, draws=400)
    assert min(values) - 1e-12 <= interval.low <= interval.high <= max(values) + 1e-12


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_agrees_with_statsmodels():
    # Ours serves the report: importing statsmodels takes seconds, the terminal's summary one.
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(0)
    for size in (1, 3, 6, 45):
        p_values = rng.random(size) ** 3
        p_values[: size // 3] = p_values[-1]  # ties
        assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    ordered = [q for _, q in sorted(zip(p_values, adjusted, strict=True))]
    assert ordered == sorted(ordered)


def test_ranks_share_the_better_rank_and_missing_is_worst():
    assert min_ranks([0.9, 0.8, 0.9, math.nan], higher_is_better=True).tolist() == [1, 3, 1, 4]
    assert min_ranks([0.9, 0.8, 0.9], higher_is_better=False).tolist() == [2, 1, 2]


def test_rounding_comes_before_ties():
    same = [0.1 + 0.2, 0.3, 0.3 - 1e-13]
    assert min_ranks(same, higher_is_better=True).tolist() == [1, 1, 1]


def test_ranks_may_be_decided_on_fewer_decimals():
    assert min_ranks([0.9004, 0.8996, 0.8], higher_is_better=True, decimals=3).tolist() == [1, 1, 3]
    result = compare(["b", "a"], [[0.9004, 0.8996], [0.8004, 0.7996]], seed=0, decimals=3)
    assert [(s.name, s.rank, s.p_best) for s in result.standings] == [("b", 1, 0.5), ("a", 1, 0.5)]


def test_draws_count_every_patient_once_on_average():
    weights = draw_weights(7, seed=0, draws=4000)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights.mean(axis=0), 1 / 7, atol=0.01)
    # Binomial: of 7 draws each patient has a chance of 1 in 7.
    assert (7 * weights).var() == pytest.approx(6 / 7, rel=0.05)


def test_clear_differences_make_tiers():
    result = compare(["c", "a", "b", "d"], scores(40, [0.7, 0.9, 0.895, 0.5]), seed=0)
    assert [standing.name for standing in result.standings] == ["a", "b", "c", "d"]
    assert [standing.tier for standing in result.standings] == [1, 1, 2, 3]
    assert [standing.rank for standing in result.standings] == [1, 2, 3, 4]
    assert [standing.rank_high for standing in result.standings][2:] == [3, 4]
    assert sum(standing.p_best for standing in result.standings) == pytest.approx(1)
    assert result.patients == 40


def test_the_pairing_of_patients_finds_what_intervals_hide():
    table = scores(30, [0.80, 0.82], spread=0.01)
    result = compare(["a", "b"], table, seed=0)
    better, worse = result.standings
    assert better.interval.low < worse.interval.high
    assert worse.tier == 2
    (difference,) = result.differences
    assert (difference.first, difference.second) == ("b", "a")
    assert 0 < difference.interval.low < difference.interval.mean < difference.interval.high


def test_for_distances_less_is_better():
    result = compare(["far", "near"], scores(30, [5.0, 3.0]), seed=0, higher_is_better=False)
    assert [standing.name for standing in result.standings] == ["near", "far"]
    assert result.standings[0].p_best == 1.0


def test_equal_methods_share_everything():
    column = np.random.default_rng(0).random((20, 1))
    result = compare(["a", "b"], np.hstack([column, column]), seed=0)
    assert [(s.rank, s.tier, s.p_best) for s in result.standings] == [(1, 1, 0.5)] * 2
    assert result.differences[0].p_holm == 1.0


@pytest.mark.parametrize(("patients", "tiers"), [(1, [1, 1]), (5, [1, 1]), (6, [1, 2])])
def test_few_patients_never_separate(patients, tiers):
    table = np.tile([0.9, 0.5], (patients, 1)) + np.linspace(0, 0.01, patients)[:, None]
    result = compare(["good", "bad"], table, seed=0)
    assert [standing.tier for standing in result.standings] == tiers
    assert result.differences[0].p == pytest.approx(2 / 2**patients)


def test_the_randomisation_test_agrees_with_scipy():
    table = scores(10, [0.80, 0.83], spread=0.03)
    theirs = stats.permutation_test(
        (table[:, 0], table[:, 1]),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    ).pvalue
    assert compare(["a", "b"], table, seed=0).differences[0].p == pytest.approx(theirs)


def test_random_flips_approach_all_flips():
    table = scores(12, [0.80, 0.82], spread=0.03)
    exact = compare(["a", "b"], table, seed=0).differences[0].p
    drawn = compare(["a", "b"], table, seed=0, draws=4000).differences[0].p
    assert exact != drawn
    assert drawn == pytest.approx(exact, abs=0.03)


def test_differences_without_effect_are_rarely_significant():
    found = [
        compare(list("abc"), scores(15, [0.8] * 3, seed=i), seed=i, draws=500) for i in range(100)
    ]
    wrong = np.mean([any(d.p_holm < 0.05 for d in result.differences) for result in found])
    assert wrong <= 0.10


def test_patients_that_a_method_lacks_are_left_out_and_counted():
    table = scores(12, [0.8, 0.7])
    table[3, 0] = table[5, 1] = math.nan
    result = compare(["a", "b"], table, seed=0)
    assert result.patients == 10
    assert result.standings[0].interval.mean == pytest.approx(np.delete(table[:, 0], [3, 5]).mean())


def test_nothing_in_common_is_refused():
    with pytest.raises(BenchmarkError, match=r"each of a, b\. Received: none among 2"):
        compare(["a", "b"], [[0.5, math.nan], [math.nan, 0.5]], seed=0)


def test_every_method_needs_a_name():
    with pytest.raises(ValueError, match="a name for each method"):
        compare(["a"], [[0.5, 0.6]], seed=0)
