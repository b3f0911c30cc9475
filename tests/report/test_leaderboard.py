import math

import numpy as np
import pandas as pd
import pytest

from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import (
    case_scores,
    class_scores,
    leaderboard,
    patient_means,
    rounded_ranks,
)

NO_EPOCHS = pd.DataFrame()


def rows(record, scores):
    """``scores``: (case, patient, class, outcome, dice)."""
    spec = record["spec"]
    axes = {name: spec[name] for name in ("architecture", "dataset", "source", "fold", "seed")}
    return pd.DataFrame(
        [
            {
                "run": record["key"],
                **axes,
                "case": case,
                "patient": patient,
                "class": name,
                "outcome": outcome,
                "dice": dice,
                "iou": dice / 2,
                "hd95_mm": 10 * (1 - dice),
            }
            for case, patient, name, outcome, dice in scores
        ]
    )


def board(records, *tables):
    frame = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return leaderboard(comparison_groups(records, frame, NO_EPOCHS))


@pytest.fixture
def two_seeds(record, tmp_path):
    first = record(tmp_path, "unet", seed=0)
    second = record(tmp_path, "unet", seed=1)
    # Patient a: two cases; in the first, a class is empty in both. Patient b: one missed class.
    one = rows(
        first,
        [
            ("a1", "a", "left_ventricle", "scored", 0.8),
            ("a1", "a", "myocardium", "both_empty", np.nan),
            ("a2", "a", "left_ventricle", "scored", 0.6),
            ("a2", "a", "myocardium", "scored", 0.4),
            ("b1", "b", "left_ventricle", "scored", 0.9),
            ("b1", "b", "myocardium", "missed", 0.0),
        ],
    )
    two = rows(
        second,
        [
            ("a1", "a", "left_ventricle", "scored", 0.6),
            ("a1", "a", "myocardium", "both_empty", np.nan),
            ("a2", "a", "left_ventricle", "scored", 0.8),
            ("a2", "a", "myocardium", "scored", 0.6),
            ("b1", "b", "left_ventricle", "scored", 0.7),
            ("b1", "b", "myocardium", "spurious", 0.0),
        ],
    )
    return [first, second], [one, two]


def test_means_go_over_classes_then_runs_then_cases_then_patients(two_seeds):
    records, tables = two_seeds
    row = board(records, *tables).iloc[0]
    # Cases: a1 = mean(0.8, 0.6) = 0.7; a2 = mean(0.5, 0.7) = 0.6; b1 = mean(0.45, 0.35) = 0.4.
    # Patients: a = 0.65, b = 0.4.
    assert row["dice"] == pytest.approx((0.65 + 0.4) / 2)
    assert row["iou"] == pytest.approx((0.65 + 0.4) / 4)
    assert row["hd95_mm"] == pytest.approx(10 * (1 - (0.65 + 0.4) / 2))
    # Myocardium: a2 = 0.5 alone; b1 = 0.
    assert row["dice_myocardium"] == pytest.approx(0.25)
    # Left ventricle: a = mean(0.7, 0.7), b = 0.8.
    assert row["dice_left_ventricle"] == pytest.approx(0.75)
    assert math.isnan(row["dice_right_ventricle"])


def test_counts_tell_scored_excluded_and_failed_apart(two_seeds):
    records, tables = two_seeds
    row = board(records, *tables).iloc[0]
    counts = ["seeds", "folds", "runs", "patients", "cases", "scored", "excluded", "failed"]
    assert row[counts].tolist() == [2, 1, 2, 2, 3, 8, 2, 2]


def test_interval_is_over_patients_and_repeats(two_seeds):
    records, tables = two_seeds
    first, second = board(records, *tables), board(records, *tables)
    pd.testing.assert_frame_equal(first, second)
    row = first.iloc[0]
    # With two patients a resample holds a twice, b twice, or both: 0.65, 0.4, 0.525.
    assert row["dice_low"] == pytest.approx(0.4)
    assert row["dice_high"] == pytest.approx(0.65)


def test_costs_come_from_the_records(two_seeds):
    records, tables = two_seeds
    row = board(records, *tables).iloc[0]
    timing = [item["timing"] for item in records]
    assert row["train_s"] == pytest.approx(np.mean([item["train_s"] for item in timing]))
    assert row["peak_rss_mib"] == max(item["peak_rss_mib"] for item in timing)
    assert row["parameters"] == 1_940_000


def test_speed_and_energy_are_means_over_the_runs(two_seeds):
    records, tables = two_seeds
    for item, factor in zip(records, (1.0, 3.0), strict=True):
        item["gmacs"] = 1.5
        item["timing"] |= {"latency_ms_p50": 10.0 * factor, "throughput_per_s": 100.0 * factor,
                           "throughput_batch": 8}  # fmt: skip
        item["energy"] = {"train_j": 500.0 * factor, "train_gpu_j": 500.0 * factor}
    row = board(records, *tables).iloc[0]
    names = ["gmacs", "latency_ms", "throughput_per_s", "throughput_batch", "energy_j", "energy_of"]
    assert row[names].tolist() == [1.5, 20.0, 200.0, "8", 1000.0, "GPU"]


@pytest.mark.parametrize("other", [{"train_j": None}, {"train_j": 9.0, "train_cpu_j": 9.0}])
def test_energy_of_different_meters_has_no_mean(two_seeds, other):
    records, tables = two_seeds
    for item, energy in zip(records, ({"train_j": 5.0, "train_gpu_j": 5.0}, other), strict=True):
        item["energy"] = energy
    assert math.isnan(board(records, *tables).iloc[0]["energy_j"])


def test_records_without_speed_and_energy_are_read(two_seeds):
    records, tables = two_seeds
    row = board(records, *tables).iloc[0]
    assert row[["gmacs", "latency_ms", "throughput_per_s", "energy_j"]].isna().all()


def test_inference_time_falls_back_to_the_cases(two_seeds):
    records, tables = two_seeds
    for item in records:
        del item["timing"]["inference_ms_p50"]
    timed = [table.assign(inference_s=0.25) for table in tables]
    assert board(records, *timed).iloc[0]["inference_ms"] == pytest.approx(250)
    assert math.isnan(board(records, *tables).iloc[0]["inference_ms"])


@pytest.mark.parametrize(
    ("values", "best", "expected"),
    [
        ([0.9004, 0.8996, 0.8], "high", [1, 1, 3]),
        ([0.9006, 0.9004], "high", [1, 2]),
        ([3.0, 1.0, 2.0], "low", [3, 1, 2]),
        ([0.5, math.nan, 0.6], "high", [2, math.nan, 1]),
    ],
)
def test_scores_are_rounded_before_ties_are_decided(values, best, expected):
    ranks = rounded_ranks(values, digits=3, best=best)
    np.testing.assert_array_equal(ranks, expected)


def test_equal_rounded_dice_shares_a_rank(record, tmp_path):
    dice = {"unet": 0.9004, "attention_unet": 0.8996, "vnet": 0.95}
    records = [record(tmp_path, name) for name in dice]
    tables = [
        rows(item, [("a1", "a", "myocardium", "scored", dice[item["spec"]["architecture"]])])
        for item in records
    ]
    frame = board(records, *tables)
    assert frame["architecture"].tolist() == ["vnet", "unet", "attention_unet"]
    assert frame["rank"].tolist() == [1, 2, 2]


def test_failed_runs_stay_as_rows_and_make_their_architecture_partial(record, tmp_path):
    good = record(tmp_path, "unet")
    half = [record(tmp_path, "vnet"), record(tmp_path, "vnet", seed=1, status="diverged")]
    none = record(tmp_path, "deeplabv3", status="oom")
    score = [("a1", "a", "myocardium", "scored", 0.5)]
    frame = board([good, *half, none], rows(good, score), rows(half[0], score))
    assert frame["status"].tolist() == ["ok", "partial", "diverged", "oom"]
    assert frame["rank"].isna().tolist() == [False, True, True, True]
    failed = frame[frame["status"] == "oom"].iloc[0]
    assert failed["run"] == none["key"]
    assert failed["error"] == "expected 4 GiB, 3 GiB are left"
    assert math.isnan(failed["dice"])


def test_scores_of_a_failed_run_do_not_count(record, tmp_path):
    records = [record(tmp_path, "unet"), record(tmp_path, "unet", seed=1, status="killed")]
    tables = [rows(item, [("a1", "a", "myocardium", "scored", 0.5)]) for item in records]
    tables[1]["dice"] = 0.9
    assert board(records, *tables).iloc[0]["dice"] == 0.5


def test_an_architecture_that_lacks_cases_of_the_others_has_no_rank(record, tmp_path):
    records = [record(tmp_path, "unet"), record(tmp_path, "vnet")]
    both = [("a1", "a", "myocardium", "scored", 0.5), ("b1", "b", "myocardium", "scored", 0.4)]
    frame = board(records, rows(records[0], both), rows(records[1], both[:1]))
    assert frame["status"].tolist() == ["ok", "partial"]
    assert frame["rank"].isna().tolist() == [False, True]


def test_a_run_whose_cases_are_all_empty_has_no_dice(record, tmp_path):
    item = record(tmp_path)
    table = rows(item, [("a1", "a", "myocardium", "both_empty", np.nan)])
    row = board([item], table).iloc[0]
    assert math.isnan(row["dice"])
    assert pd.isna(row["rank"])
    assert row["excluded"] == 1


def test_no_records_give_an_empty_frame():
    frame = board([])
    assert frame.empty
    assert {"dataset", "source", "architecture", "rank", "dice"} <= set(frame.columns)


def test_infinite_distances_do_not_enter_a_mean(record, tmp_path):
    item = record(tmp_path)
    table = rows(item, [(case, case, "myocardium", "scored", 0.5) for case in ("a1", "b1")])
    table["hd95_mm"] = [4.0, np.inf]
    assert board([item], table).iloc[0]["hd95_mm"] == 4.0


def test_case_and_class_scores_have_one_row_each(two_seeds):
    records, tables = two_seeds
    group = comparison_groups(records, pd.concat(tables), NO_EPOCHS)[0]
    assert case_scores(group.cases)["case"].tolist() == ["a1", "a2", "b1"]
    classes = class_scores(group.cases)
    assert len(classes) == 5
    assert classes.loc[classes["failed"], "case"].tolist() == ["b1"]
    assert patient_means(case_scores(group.cases), "dice").index.tolist() == ["a", "b"]
