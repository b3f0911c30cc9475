"""Dice by subgroup, the parts of what Dice lacks, and the worst cases."""

import numpy as np
import pandas as pd
import pytest

from benchmark.report import postprocessing
from benchmark.report.document import latex, markdown
from benchmark.report.errors import write_errors
from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import leaderboard
from benchmark.report.losses import PARTS, loss_frame
from benchmark.report.subgroups import subgroup_frame, subgroup_table
from benchmark.report.worst import WORST, worst_cases, worst_frame

ERRORS = ["volume_truth_ml", "area_truth_cm2", *PARTS, "dice_base", "dice_mid", "dice_apex"]


@pytest.fixture
def groups(record, finished, tmp_path):
    records = [
        record(tmp_path, name, dataset, "real", seed=seed)
        for dataset in ("acdc", "camus")
        for name in ("unet", "vnet")
        for seed in (0, 1)
    ]
    return comparison_groups(*finished(records, patients=10, slices=False))


def values(frame, kind, architecture="unet"):
    mine = frame[(frame["kind"] == kind) & (frame["architecture"] == architecture)]
    return dict(zip(mine["subgroup"], mine["dice"], strict=True))


def test_subgroups_follow_what_the_dataset_says_of_its_cases(groups):
    frame = subgroup_frame(groups)
    kinds = {name: set(part["kind"]) for name, part in frame.groupby("dataset")}
    assert kinds == {
        "acdc": {"group", "phase", "position", "size"},
        "camus": {"phase", "view", "quality", "size"},
    }
    acdc = frame[frame["dataset"] == "acdc"]
    assert set(values(acdc, "group")) == {"NOR", "MINF", "DCM", "HCM", "RV"}
    assert set(values(acdc, "position")) == {"base", "mid", "apex"}
    assert set(values(acdc, "size")) == {"small", "medium", "large"}
    inside = frame.dropna(subset=["dice_low"])
    assert inside["dice"].between(inside["dice_low"], inside["dice_high"]).all()


def test_a_subgroup_is_scored_as_the_leaderboard_is(groups):
    """Both phases of a patient weigh alike, so their mean over patients is that of the table."""
    board = leaderboard(groups)
    frame = subgroup_frame(groups)
    camus = frame[frame["dataset"] == "camus"]
    row = board[(board["dataset"] == "camus") & (board["architecture"] == "unet")].iloc[0]
    assert np.mean(list(values(camus, "phase").values())) == pytest.approx(row["dice"])
    assert np.mean(list(values(camus, "view").values())) == pytest.approx(row["dice"])
    part = camus[(camus["kind"] == "quality") & (camus["architecture"] == "unet")]
    mean = np.average(part["dice"], weights=part["patients"])
    assert mean == pytest.approx(row["dice"])
    assert part["patients"].sum() == 10


def test_a_third_of_each_class_is_small(groups):
    cases = groups[0].cases
    once = cases[(cases["architecture"] == "unet") & (cases["seed"] == 0)]
    once = once[once["volume_truth_ml"] > 0]
    sizes = once.groupby("class")["volume_truth_ml"]
    small = once[once["volume_truth_ml"] <= sizes.transform(lambda v: v.quantile(1 / 3))]
    frame = subgroup_frame(groups[:1])
    row = frame[(frame["subgroup"] == "small") & (frame["architecture"] == "unet")].iloc[0]
    assert row["patients"] == small["patient"].nunique()
    assert row["cases"] == small["case"].nunique()


def test_what_was_never_measured_has_no_row(record, finished, tmp_path):
    records, cases, epochs = finished([record(tmp_path)], patients=4, slices=False)
    bare = cases.drop(columns=[*ERRORS, "group", "view", "quality"])
    groups = comparison_groups(records, bare, epochs)
    assert set(subgroup_frame(groups)["kind"]) == {"phase"}
    assert loss_frame(groups).empty
    write_errors(tmp_path, groups)
    text = (tmp_path / "errors.md").read_text(encoding="utf-8")
    assert "Where Dice is lost" not in text
    assert "Worst cases" in text


def test_subgroups_are_printed_by_kind_with_their_patients(groups):
    table = subgroup_table(subgroup_frame(groups), groups[0])
    assert [column.heading for column in table.columns] == [
        "Split by", "Subgroup", "Patients", "U-Net", "V-Net",
    ]  # fmt: skip
    rows = [[cell.text for cell in row] for row in table.rows]
    assert [row[1] for row in rows if row[0] == "Slice position"] == ["base", "mid", "apex"]
    assert [row[1] for row in rows if row[0] == "Structure size"] == ["small", "medium", "large"]
    assert [row[2] for row in rows if row[0] == "Phase"] == ["10", "10"]
    assert len(table.breaks) == 3


def test_the_parts_of_a_loss_add_up_to_what_dice_lacks(groups):
    frame, board = loss_frame(groups), leaderboard(groups)
    assert len(frame) == 2 * 2 * 3
    np.testing.assert_allclose(frame[list(PARTS)].sum(axis=1), frame["loss"])
    for row in frame.itertuples():
        name = (board["dataset"] == row.dataset) & (board["architecture"] == row.architecture)
        assert 1 - row.loss == pytest.approx(board.loc[name, f"dice_{row[6]}"].item())


def test_worst_cases_come_worst_first_with_their_classes(groups):
    found = worst_cases(groups[0])
    assert len(found) == 2 * WORST
    unet = found[found["architecture"] == "unet"]
    assert unet["dice"].is_monotonic_increasing
    assert unet["place"].tolist() == list(range(1, WORST + 1))
    first = unet.iloc[0]
    assert first["case"] == "patient004_ES"
    assert first["dice_myocardium"] == 0
    assert first["dice"] == pytest.approx(
        first[["dice_right_ventricle", "dice_myocardium", "dice_left_ventricle"]].mean()
    )
    assert pd.isna(
        worst_frame(groups)
        .query("dataset == 'acdc' and case == 'patient003_ES'")
        .get("dice_right_ventricle", pd.Series(dtype=float))
    ).all()


def test_error_files_are_written_and_say_what_base_means(groups, tmp_path):
    paths = write_errors(tmp_path, groups)
    assert [path.name for path in paths] == [
        "errors.csv", "errors_by_kind.csv", "worst_cases.csv", "errors.md", "errors.tex",
    ]  # fmt: skip
    acdc, camus = paths[3].read_text(encoding="utf-8").split("\n## ")[1:]
    assert "base is the end whose last slice shows more" in acdc
    assert "Slice position" not in camus
    assert "Base, mid, apex" not in camus
    assert "Small, medium, large" in camus
    assert "Image quality" in camus
    assert "were excluded (absent from truth and prediction) and" in acdc
    assert ("Phantom data" in acdc) == groups[0].phantom
    text = paths[4].read_text(encoding="utf-8")
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 6
    assert r"\addlinespace" in text


def test_postprocessing_is_told_by_class_with_both_means(record, cases, tmp_path):
    runs = [record(tmp_path, seed=seed) for seed in (0, 1)]
    for item, after in zip(runs, (0.92, 0.9), strict=True):
        item["postprocessing"] = {
            "classes": {
                "left_ventricle": {
                    "applied": after > 0.9,
                    "validation_dice_without": 0.9,
                    "validation_dice_with": after,
                },
                "myocardium": {
                    "applied": False,
                    "validation_dice_without": None,
                    "validation_dice_with": None,
                },
            }
        }
    tables = pd.concat([cases(item, 2) for item in runs])
    (group,) = groups = comparison_groups(runs, tables, pd.DataFrame())
    rows = [[cell.text for cell in row] for row in postprocessing.table(group).rows]
    assert rows == [
        ["U-Net", "myocardium", "0 of 2", "—", "—"],
        ["U-Net", "left ventricle", "1 of 2", "0.9000", "0.9100"],
    ]
    write_errors(tmp_path, groups)
    assert "### Post-processing" in (tmp_path / "errors.md").read_text(encoding="utf-8")


def test_a_run_without_scores_has_no_errors(record, tmp_path):
    groups = comparison_groups([record(tmp_path, status="oom")], pd.DataFrame(), pd.DataFrame())
    assert subgroup_frame(groups).empty
    assert loss_frame(groups).empty
    assert worst_frame(groups).empty
    write_errors(tmp_path, groups)
    assert "Nothing" in (tmp_path / "errors.md").read_text(encoding="utf-8")
    assert markdown("x", []) != latex([])
