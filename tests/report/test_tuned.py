"""Tuned recipes stand in a table of their own, with what their search has cost."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmark.report import write_report
from benchmark.report.across import ranks_across
from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import leaderboard
from benchmark.report.material import gather
from benchmark.report.tuned import amount


@pytest.fixture
def tuned(record, tmp_path):
    def make(architecture="unet", *, study="s", trials=20, cost_s=4320.0, **how):
        made = record(tmp_path, architecture, protocol_hash="70ed70ed", **how)
        made["key"] += f"-{study}"
        made["path"] = made["path"].with_name(made["key"])
        made["spec"]["protocol"] = {"learning_rate": 0.01, "epochs": 5}
        made["spec"]["tuned"] = {
            "study": study, "trials": trials, "cost_s": cost_s, "base": {"learning_rate": 0.002}
        }  # fmt: skip
        return made

    return make


def given(record, tmp_path, architecture):
    made = record(tmp_path, architecture)
    made["spec"]["protocol"] = {"learning_rate": 0.002, "epochs": 5}
    return made


def test_rule_tuned_and_given_recipes_never_share_a_table(record, tuned, finished, tmp_path):
    records = [given(record, tmp_path, name) for name in ("unet", "vnet")]
    records += [tuned("unet", filters=8), tuned("vnet", study="t", trials=5, cost_s=600.0)]
    records, cases, epochs = finished(records, patients=4, slices=False)
    groups = comparison_groups(records, cases, epochs)
    as_given, found = groups
    assert (as_given.tuned, found.tuned) == (False, True)
    assert [run.title for run in as_given.runs] == ["U-Net", "V-Net"]
    assert [run.title for run in found.runs] == [
        "U-Net (tuned, 20 trials, 1.2 h)", "V-Net (tuned, 5 trials, 10 min)",
    ]  # fmt: skip
    assert found.slug == "acdc_phantom_tuned_70ed70ed"
    assert "tuned recipes" in found.title
    frame = leaderboard(groups)
    assert frame["tuning_trials"].isna().tolist() == [True, True, False, False]
    by_hash = frame.groupby("protocol_hash")["rank"].max()
    assert by_hash.tolist() == [2, 2]  # each table has ranks of its own
    assert frame.loc[frame["tuning_trials"] == 20, "tuning_s"].item() == 4320.0


def test_the_report_says_what_tuned_means(record, tuned, finished, tmp_path):
    records = [given(record, tmp_path, "unet"), tuned("unet")]
    records, cases, epochs = finished(records, patients=2, slices=False)
    write_report(gather(tmp_path, records, cases, epochs, pd.DataFrame()), formats=())
    text = (tmp_path / "report" / "leaderboard.md").read_text()
    assert "U-Net (tuned, 20 trials, 1.2 h)" in text
    assert "no test case was read" in text
    assert r"recipe: tuned \| as given" in text
    assert "learning_rate" not in text  # of a tuned group it is no rule


def test_searches_of_several_folds_add_up_and_a_second_search_is_another_row(tuned, tmp_path):
    folds = [tuned(study=f"f{fold}", fold=fold) for fold in (0, 1)]
    group = comparison_groups(folds, pd.DataFrame(), pd.DataFrame())[0]
    assert group.names == [("unet", "tuned, 40 trials, 2.4 h")]
    twice = [tuned(study="s", trials=20), tuned(study="t", trials=30, seed=1)]
    group = comparison_groups(twice, pd.DataFrame(), pd.DataFrame())[0]
    assert group.names == [
        ("unet", "tuned, 20 trials, 1.2 h"), ("unet", "tuned, 30 trials, 1.2 h"),
    ]  # fmt: skip


def test_mixed_on_request_they_are_marked_and_have_no_ranks(record, tuned, finished, tmp_path):
    records = [given(record, tmp_path, "unet"), tuned("unet")]
    records, cases, epochs = finished(records, patients=2, slices=False)
    (group,) = comparison_groups(records, cases, epochs, mix_protocols=True)
    assert {run.variant for run in group.runs} == {"†1", "tuned, 20 trials, 1.2 h, †2"}
    assert leaderboard([group])["rank"].isna().all()


def test_ranks_over_datasets_are_those_of_given_recipes(record, tuned, finished, tmp_path):
    names = ("unet", "vnet")
    records = [record(tmp_path, name, dataset) for name in names for dataset in ("acdc", "camus")]
    alone = comparison_groups(*finished(records, patients=3, slices=False))
    records.append(tuned("unet"))
    beside = comparison_groups(*finished(records, patients=3, slices=False))
    pd.testing.assert_frame_equal(
        ranks_across(leaderboard(beside), beside), ranks_across(leaderboard(alone), alone)
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.4, "12 s"), (59.6, "1 min"), (3569.0, "59 min"), (3571.0, "1.0 h"), (4320.0, "1.2 h")],
)
def test_amounts(seconds, text):
    assert amount(seconds) == text
