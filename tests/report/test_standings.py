"""Tiers, rank intervals and spreads as the leaderboard has them."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import DIGITS, case_scores, leaderboard
from benchmark.report.standings import (
    name_of,
    patient_scores,
    row_key,
    spread,
    standings,
    tiers_of,
)

NAMES = ["unet", "attention_unet", "vnet", "deeplabv3"]


def scored(values):
    """Case scores from a table (patients, methods), one case per patient."""
    return pd.DataFrame(
        [
            {"architecture": NAMES[method], "variant": "", "case": f"c{patient}",
             "patient": f"p{patient}", "dice": value}
            for patient, row in enumerate(values)
            for method, value in enumerate(row)
        ]
    )  # fmt: skip


def table(seed, patients=12, gap=0.01):
    rng = np.random.default_rng(seed)
    return 0.9 - gap * np.arange(4) - rng.normal(0, 0.02, (patients, 4)).clip(-0.09, 0.9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(4)), st.sampled_from([0.0, 0.004, 0.02]))
def test_standings_do_not_depend_on_the_order_of_architectures(seed, order, gap):
    scores = scored(table(seed, gap=gap))
    names = [(name, "") for name in NAMES]
    first = standings(scores, names, decimals=DIGITS)
    second = standings(scores, [names[i] for i in order], decimals=DIGITS)
    assert first is not None
    assert second is not None
    assert [one.name for one in first.standings] == [one.name for one in second.standings]
    for one, other in zip(first.standings, second.standings, strict=True):
        assert (one.tier, one.rank, one.rank_low, one.rank_high) == (
            other.tier, other.rank, other.rank_low, other.rank_high,
        )  # fmt: skip
        assert one.p_best == pytest.approx(other.p_best)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9), st.sampled_from([0.0, 0.0004, 0.02]))
def test_rule_rank_intervals_hold_the_rank_and_tiers_follow_it(seed, patients, gap):
    found = standings(
        scored(table(seed, patients, gap)), [(name, "") for name in NAMES], decimals=DIGITS
    )
    assert found is not None
    ranks = [one.rank for one in found.standings]
    tiers = [one.tier for one in found.standings]
    assert all(one.rank_low <= one.rank <= one.rank_high for one in found.standings)
    assert ranks == sorted(ranks)
    assert tiers == sorted(tiers)
    assert set(tiers) == set(range(1, max(tiers) + 1))
    assert sum(one.p_best for one in found.standings) == pytest.approx(1)


def test_rounding_decides_ranks_and_not_tiers():
    # The same difference in every patient: printed alike, and yet separable.
    values = np.tile([0.9004, 0.8996, 0.7], (8, 1)) + np.linspace(0, 0.0001, 8)[:, None]
    found = standings(scored(values), [(name, "") for name in NAMES[:3]], decimals=DIGITS)
    assert found is not None
    assert [one.rank for one in found.standings] == [1, 1, 3]
    assert [one.p_best for one in found.standings] == [0.5, 0.5, 0.0]
    assert [one.tier for one in found.standings] == [1, 2, 3]


def test_one_row_or_one_patient_is_not_compared():
    one_patient = scored(table(0, patients=1))
    assert standings(one_patient, [(name, "") for name in NAMES], decimals=DIGITS) is None
    assert standings(scored(table(0)), [], decimals=DIGITS) is None
    assert standings(scored(table(0)[:, :1]), [("unet", "")], decimals=DIGITS) is None


def test_patients_are_averaged_over_their_cases():
    scores = scored([[0.8], [0.4]]).assign(patient="p")
    assert patient_scores(scores, [("unet", "")]).to_numpy().tolist() == [[pytest.approx(0.6)]]


def test_row_keys_can_be_read_back():
    assert name_of(row_key(("unet", "width=16, depth=4"))) == ("unet", "width=16, depth=4")


def test_spread_over_seeds_and_over_folds_are_apart():
    # Folds differ by 0.1, seeds within a fold by 0.02: SD of two values is their distance / √2.
    means = {(0, 0): 0.80, (0, 1): 0.82, (1, 0): 0.90, (1, 1): 0.92}
    assert spread(means, over="seed") == pytest.approx(0.02 / math.sqrt(2))
    assert spread(means, over="fold") == pytest.approx(0.10 / math.sqrt(2))
    assert spread({(0, 0): 0.8, (0, 1): 0.82, (0, 2): 0.87}, over="seed") == pytest.approx(
        np.std([0.8, 0.82, 0.87], ddof=1)
    )
    assert math.isnan(spread({(0, 0): 0.8, (1, 0): 0.9}, over="seed"))
    assert math.isnan(spread({(0, 0): math.nan, (0, 1): 0.9}, over="seed"))


def test_rule_only_ranked_rows_have_a_tier(record, finished, tmp_path):
    records = [record(tmp_path, name) for name in NAMES[:3]]
    records.append(record(tmp_path, "vnet", seed=1, status="diverged"))
    frame = leaderboard(comparison_groups(*finished(records, slices=False)))
    ranked = frame["rank"].notna()
    assert frame["status"].tolist() == ["ok", "ok", "partial", "diverged"]
    columns = ["tier", "rank_low", "rank_high", "p_best"]
    assert frame.loc[ranked, columns].notna().all(axis=None)
    assert frame.loc[~ranked, columns].isna().all(axis=None)
    assert frame.loc[ranked, "p_best"].sum() == pytest.approx(1)
    assert set(tiers_of(frame)) == {("unet", ""), ("attention_unet", "")}


def test_the_leaderboard_has_seed_and_fold_spread(record, finished, tmp_path):
    records = [record(tmp_path, "unet", fold=f, seed=s) for f in (0, 1) for s in (0, 1)]
    groups = comparison_groups(*finished(records, patients=4, slices=False))
    row = leaderboard(groups).iloc[0]
    means = {}
    for item in records:
        mine = groups[0].cases[groups[0].cases["run"] == item["key"]]
        of_patients = case_scores(mine).groupby("patient")["dice"].mean()
        means[item["spec"]["fold"], item["spec"]["seed"]] = of_patients.mean()
    assert row["seed_sd"] == pytest.approx(spread(means, over="seed"))
    assert row["fold_sd"] == pytest.approx(spread(means, over="fold"))
    assert row["seed_sd"] < row["fold_sd"]
