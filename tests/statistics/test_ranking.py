"""The schemes of challengeR, on its own three example tasks or what defines them."""

import csv
import io
import math
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from benchmark.errors import BenchmarkError
from benchmark.statistics import ranking
from benchmark.statistics.comparison import min_ranks

# Ranks of five methods on each of 50 cases in challengeR's task "c_random".
RANDOM = (
    "53412 25341 42531 15243 21345 42351 45213 25143 12354 54213 21534 23541 53124 52314 15342 "
    "43512 15423 21354 14352 21534 23415 25134 31425 54213 15234 53241 35214 42315 43512 25413 "
    "13254 23415 31245 25431 51324 41532 52413 12345 13542 12453 24531 51243 21543 32415 31452 "
    "21345 35124 14253 24513 24531"
)


def ideal(cases=50):
    """Five methods that keep their order on every case, as in "c_ideal"."""
    return np.linspace(0.95, 0.55, 5) + np.random.default_rng(0).uniform(0, 0.09, (cases, 5))


def random():
    return np.array([[6.0 - int(rank) for rank in case] for case in RANDOM.split()])


def worst():
    """All orders of five values, so that no method is better, as in "c_worstcase"."""
    return np.array(list(permutations([0.8, 0.85, 0.9, 0.95, 1.0])))


@pytest.mark.parametrize("scheme", ranking.SCHEMES)
def test_ideal_task(scheme):
    assert ranking.rank(ideal(), scheme).tolist() == [1, 2, 3, 4, 5]
    assert ranking.rank(-ideal(), scheme, higher_is_better=False).tolist() == [1, 2, 3, 4, 5]


def test_wins_on_the_ideal_task():
    assert ranking.wins(ideal()).tolist() == [4, 3, 2, 1, 0]
    assert ranking.wins(ideal(), adjusted=True).tolist() == [4, 3, 2, 1, 0]


def test_random_task():
    table = random()
    means = min_ranks(table, higher_is_better=True).mean(axis=0)
    assert means == pytest.approx([2.72, 2.96, 3.32, 2.88, 3.12])
    assert ranking.rank_then_aggregate(table).tolist() == [1, 3, 5, 2, 4]


def test_the_scheme_can_change_the_ranking():
    # The second method is a little worse on two cases of three, and much better on the third.
    table = np.tile([[0.90, 0.89], [0.90, 0.89], [0.50, 0.90]], (5, 1))
    assert ranking.aggregate_then_rank(table).tolist() == [2, 1]
    assert ranking.rank_then_aggregate(table).tolist() == [1, 2]
    assert ranking.aggregate_then_rank(table, average="median").tolist() == [1, 2]


@pytest.mark.parametrize("scheme", ranking.SCHEMES)
def test_worst_task_is_a_tie_of_all(scheme):
    means = worst().mean(axis=0)
    assert len(set(means.tolist())) > 1, "float noise that rounding has to remove"
    assert ranking.rank(worst(), scheme).tolist() == [1, 1, 1, 1, 1]


def test_wilcoxon_agrees_with_scipy_with_ties_and_zeros():
    rng = np.random.default_rng(0)
    for _ in range(25):
        cases = int(rng.integers(6, 40))
        table = np.round(rng.normal([0.8, 0.75, 0.7], 0.1, (cases, 3)), int(rng.integers(1, 4)))
        wanted = np.zeros(3, int)
        for i, j in permutations(range(3), 2):
            difference = np.round(table[:, i] - table[:, j], 10)
            p = stats.wilcoxon(
                difference, alternative="greater", method="approx", correction=True
            ).pvalue
            wanted[i] += p < 0.05
        np.testing.assert_array_equal(ranking.wins(table), wanted)


def test_a_missing_value_takes_the_worst_rank():
    table = np.array([[0.9, 0.8, 0.7], [math.nan, 0.8, 0.7]])
    assert min_ranks(table, higher_is_better=True).tolist() == [[1, 2, 3], [3, 1, 2]]
    assert ranking.aggregate_then_rank(table).tolist() == [1, 1, 3]
    assert ranking.aggregate_then_rank(-table, higher_is_better=False).tolist() == [1, 1, 3]


def test_a_case_without_any_value_is_left_out():
    table = np.vstack([ideal(6), np.full((3, 5), math.nan)])
    for scheme in ranking.SCHEMES:
        assert ranking.rank(table, scheme).tolist() == ranking.rank(ideal(6), scheme).tolist()


def test_a_table_without_values_is_refused():
    with pytest.raises(BenchmarkError, match="with a value in it"):
        ranking.rank(np.full((3, 2), math.nan), "mean then rank")


def test_an_unknown_scheme_is_refused():
    with pytest.raises(ValueError, match=r"among mean then rank.*Received: best of three"):
        ranking.rank(ideal(), "best of three")


@pytest.mark.parametrize("scheme", ranking.SCHEMES)
def test_stability_of_clear_and_of_chance_rankings(scheme):
    clear = ranking.rank_stability(ideal(), scheme, seed=0, draws=60)
    chance = ranking.rank_stability(random(), scheme, seed=0, draws=60)
    assert clear.drawn_ranks.shape == (60, 5)
    assert np.all(clear.kendall_tau == pytest.approx(1))
    assert not np.nanmean(chance.kendall_tau) > 0.8
    again = ranking.rank_stability(ideal(), scheme, seed=0, draws=60)
    np.testing.assert_array_equal(clear.drawn_ranks, again.drawn_ranks)


def test_values_are_rounded_before_ties_are_decided():
    table = [[0.9004, 0.8996, 0.5]] * 4
    for scheme in ranking.SCHEMES[:4]:
        assert ranking.rank(table, scheme).tolist() == [1, 2, 3]
        found = ranking.rank_stability(table, scheme, seed=0, draws=5, decimals=3)
        assert found.ranks.tolist() == [1, 1, 3]
        assert found.drawn_ranks.tolist() == [[1, 1, 3]] * 5


def test_mean_ranks_over_datasets():
    assert ranking.mean_ranks([[1, 2, 3], [2, 1, 3]]).tolist() == [1.5, 1.5, 3.0]


def test_the_export_is_what_challenger_reads():
    text = ranking.challenger_csv(
        [("acdc, ED", ["unet", "vnet"], ["p1", "p2"], [[0.9, 0.8], [math.nan, 0.7]])]
    )
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["task", "alg_name", "value", "case"]
    assert rows[1] == ["acdc, ED", "unet", "0.9", "p1"]
    assert rows[3] == ["acdc, ED", "unet", "NA", "p2"]
    assert len(rows) == 5


@pytest.mark.parametrize("scheme", ranking.SCHEMES)
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_draws_are_ranked_as_tables_are(scheme, higher_is_better):
    """What is done for all draws in one go is what `rank` does with each."""
    rng = np.random.default_rng(1)
    table = np.round(rng.random((15, 4)), 1) + np.array([0.0, 0.05, 0.1, 0.1])
    table[3, 1] = np.nan
    found = ranking.rank_stability(
        table, scheme, seed=5, draws=40, higher_is_better=higher_is_better
    )
    chosen = np.random.default_rng(5).integers(15, size=(40, 15))
    worst = np.nanmin(table) if higher_is_better else np.nanmax(table)
    for draw, ranks, tau in zip(chosen, found.drawn_ranks, found.kendall_tau, strict=True):
        drawn = table[draw]
        if scheme.startswith(("mean", "median")):
            # A missing value takes the worst value of the table, whatever was drawn.
            drawn = np.where(np.isnan(drawn), worst, drawn)
        expected = ranking.rank(drawn, scheme, higher_is_better=higher_is_better)
        assert ranks.tolist() == expected.tolist()
        if np.ptp(ranks) and np.ptp(found.ranks):
            assert tau == pytest.approx(stats.kendalltau(found.ranks, ranks).statistic)
        else:
            assert math.isnan(tau)


def test_wins_agree_with_scipy():
    rng = np.random.default_rng(2)
    table = rng.normal([0.8, 0.78, 0.7], 0.05, (30, 3))
    expected = [
        sum(
            stats.wilcoxon(
                table[:, i] - table[:, j], alternative="greater", method="asymptotic",
                correction=True,
            ).pvalue < 0.05
            for j in range(3) if j != i
        )
        for i in range(3)
    ]  # fmt: skip
    assert ranking.wins(table).tolist() == expected


def test_three_datasets_leave_tests_of_mean_ranks_no_power():
    assert ranking.nemenyi_gap(3, 4) == pytest.approx(2.71, abs=5e-3)
    # Over two datasets not even the opposite ends of the table are apart.
    assert ranking.nemenyi_gap(2, 4) > 3


def test_nemenyis_distance_is_where_scikit_posthocs_finds_it():
    import pandas as pd
    import scikit_posthocs

    # Ranks of ten cases whose mean ranks are 1, 2.5, 2.5 and 4.
    blocks = np.array([[4, 3, 2, 1], [4, 2, 3, 1]] * 5, dtype=float)
    p = scikit_posthocs.posthoc_nemenyi_friedman(pd.DataFrame(blocks)).to_numpy()
    gap = ranking.nemenyi_gap(10, 4)
    mean = blocks.mean(axis=0)
    apart = np.abs(mean[:, None] - mean) >= gap
    assert (apart == (p < 0.05)).all()
    assert apart.any()


def test_shared_ranks_and_tau_are_those_of_scipy():
    rng = np.random.default_rng(3)
    values = rng.integers(0, 6, (15, 8)).astype(float)
    for found, method in zip(ranking._shared_ranks(values), ("min", "max"), strict=True):
        np.testing.assert_array_equal(found, stats.rankdata(values, method=method, axis=0))
    for one, other in zip(values.T, values.T[::-1], strict=True):
        expected = stats.kendalltau(one, other).statistic
        assert ranking._tau(one, other) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(ranking._tau(np.ones(4), np.arange(4.0)))


@pytest.mark.parametrize("count", [2, 3, 4, 10, 30])
def test_the_range_of_normal_values_is_that_of_scipy(count):
    expected = stats.studentized_range.ppf(0.95, count, np.inf)
    assert ranking._range_quantile(0.95, count) == pytest.approx(expected, rel=1e-8)
