"""Folders of masks by any tool: names matched, misfits refused, no case dropped in silence."""

from __future__ import annotations

import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import datasets
from benchmark.errors import DataError
from benchmark.evaluation.cases import foreground_mean
from benchmark.evaluation.folders import COLUMNS, score_folders
from benchmark.evaluation.matching import case_name
from benchmark.evaluation.metrics import METRICS
from datasets import nifti

SPACING_MM = (8.0, 1.5, 1.25)
AFFINE = np.diag([*SPACING_MM[::-1], 1.0])
ACDC = datasets.info("acdc")


def write(path, array, *, affine=AFFINE, dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array.T.astype(dtype), affine), path)
    return path


@pytest.fixture
def mask():
    label_map = np.zeros((4, 20, 24), np.uint8)
    label_map[1:3, 4:12, 4:12] = 1
    label_map[1:3, 12:18, 12:20] = 3
    return label_map


@pytest.fixture
def folders(tmp_path, mask):
    """Two true masks and predictions of them, one voxel off."""
    for name in ("la_003", "la_004"):
        write(tmp_path / "truth" / f"{name}.nii.gz", mask)
        write(tmp_path / "made" / f"{name}.nii.gz", np.roll(mask, 1, axis=2))
    return tmp_path / "truth", tmp_path / "made"


def assert_same(rows, others):
    pd.testing.assert_frame_equal(pd.DataFrame(rows), pd.DataFrame(others))  # NaN is NaN there


def test_scores_are_those_of_the_masks(folders, mask):
    scores = score_folders(*folders)
    assert [(row["case"], row["class"]) for row in scores.rows] == [
        ("la_003", "label_1"), ("la_003", "label_3"), ("la_004", "label_1"), ("la_004", "label_3"),
    ]  # fmt: skip
    assert set(scores.rows[0]) == set(COLUMNS)
    pair = mask == 3, np.roll(mask, 1, axis=2) == 3
    for name, metric in METRICS.items():
        assert scores.rows[1][name] == pytest.approx(metric(*pair, SPACING_MM)), name
    assert (scores.missing, scores.unused, scores.unannotated) == ([], [], [])
    assert COLUMNS[:12] == (
        "case", "class", "dice", "iou", "precision", "recall", "hd_mm", "hd95_mm", "assd_mm",
        "masd_mm", "nsd", "volume_error_ml",
    )  # fmt: skip


def test_definition_and_tolerance_reach_the_scores(folders, mask):
    options = {"definition": "area_weighted", "tolerance_mm": 0.5}
    (row, *_) = score_folders(*folders, **options).rows
    pair = mask == 1, np.roll(mask, 1, axis=2) == 1
    for name in ("hd95_mm", "assd_mm", "nsd"):
        assert row[name] == pytest.approx(METRICS[name](*pair, SPACING_MM, **options))


@pytest.mark.parametrize(
    "name",
    ["la_003.nii", "la_003.nii.gz", "la_003_gt.nii.gz", "deep/er/la_003_seg.nii.gz",
     "la_003/la_003_trans.nii.gz"],
)  # fmt: skip
def test_names_that_tools_give(tmp_path, mask, name):
    truth = write(tmp_path / "truth" / "la_003_gt.nii.gz", mask)
    path = write(tmp_path / "made" / name, mask)
    write(tmp_path / "made" / "._la_003.nii.gz", mask)  # what a Mac leaves beside it
    (tmp_path / "made" / "plans.json").write_text("{}")
    assert case_name(path) == "la_003"
    scores = score_folders(tmp_path / "truth", tmp_path / "made")
    assert [row["dice"] for row in scores.rows] == [1.0, 1.0]
    assert scores.unused == []
    assert_same(score_folders(truth, path).rows, scores.rows)


def test_two_files_are_meant_for_each_other(tmp_path, mask):
    pair = write(tmp_path / "a.nii.gz", mask), write(tmp_path / "b.nii", mask)
    assert {row["case"] for row in score_folders(*pair).rows} == {"a"}


def test_an_image_beside_its_mask_is_not_taken_for_one(tmp_path, mask):
    write(tmp_path / "truth" / "p1.nii.gz", mask * 60)
    write(tmp_path / "truth" / "p1_gt.nii.gz", mask)
    write(tmp_path / "made" / "p1.nii.gz", mask)
    scores = score_folders(tmp_path / "truth", tmp_path / "made")
    assert scores.classes == {"label_1": 1, "label_3": 3}


def test_rule_a_missing_prediction_is_a_missed_case(folders, mask):
    truth, made = folders
    (made / "la_004.nii.gz").unlink()
    scores = score_folders(truth, made)
    assert scores.missing == ["la_004"]
    lost = [row for row in scores.rows if row["case"] == "la_004"]
    assert [row["outcome"] for row in lost] == ["missed", "missed"]
    assert [row["dice"] for row in lost] == [0.0, 0.0]
    diagonal_mm = np.linalg.norm(np.multiply(mask.shape, SPACING_MM))
    assert [row["hd95_mm"] for row in lost] == pytest.approx([diagonal_mm] * 2)
    full = foreground_mean([row for row in scores.rows if row["case"] == "la_003"], "dice")
    assert foreground_mean(scores.rows, "dice") == pytest.approx(full / 2)
    left = score_folders(truth, made, skip_missing=True)
    assert {row["case"] for row in left.rows} == {"la_003"}
    assert left.missing == ["la_004"]


def test_predictions_without_a_truth_are_named(folders, mask):
    truth, made = folders
    extra = write(made / "la_099.nii.gz", mask)
    scores = score_folders(truth, made)
    assert scores.unused == [extra]
    assert len(scores.rows) == 4


def test_classes_by_name(folders):
    scores = score_folders(*folders, classes={"left": 3, "right": 1})
    assert [row["class"] for row in scores.rows[:2]] == ["left", "right"]
    assert scores.ignored == []
    scores = score_folders(*folders, classes={"left": 3})
    assert [row["class"] for row in scores.rows] == ["left"] * 2
    assert scores.ignored == [1]


def test_float_masks_of_whole_numbers_are_read_and_others_refused(folders, mask):
    truth, made = folders
    wanted = score_folders(truth, made).rows
    write(made / "la_003.nii.gz", np.roll(mask, 1, axis=2), dtype=np.float32)
    assert_same(score_folders(truth, made).rows, wanted)
    write(made / "la_003.nii.gz", mask * 0.5, dtype=np.float64)
    with pytest.raises(DataError, match=r"made/la_003\.nii\.gz holds values.*0\.5"):
        score_folders(truth, made)


def test_a_label_that_is_no_class_of_the_dataset_is_named(folders, mask):
    truth, made = folders
    write(made / "la_004.nii.gz", mask + 4 * (mask == 1))
    with pytest.raises(DataError, match=r"la_004\.nii\.gz holds .* labels: 5.*\[0, 1, 2, 3\]"):
        score_folders(truth, made, info=ACDC)


def test_a_label_that_only_a_prediction_has_is_an_invention(folders, mask):
    truth, made = folders
    write(made / "la_004.nii.gz", mask + 4 * (mask == 1))
    rows = {(row["case"], row["class"]): row for row in score_folders(truth, made).rows}
    assert rows["la_003", "label_5"]["outcome"] == "both_empty"
    assert rows["la_004", "label_5"]["outcome"] == "spurious"
    assert rows["la_004", "label_1"]["outcome"] == "missed"


def flat_patients(folder, mask, names):
    """Each with its own size of the left ventricle, so that patients cannot be confused."""
    for index, name in enumerate(names):
        label_map = mask.copy()
        label_map[1:3, 4 : 4 + index] = 2
        write(folder / f"{name}.nii.gz", label_map)
    return folder


@pytest.mark.parametrize("names", [
    ["patient001_ED", "patient001_ES", "patient002_ED", "patient002_ES"],
    ["patient001_ED_gt", "patient001_ES_gt", "patient002_ED_gt", "patient002_ES_gt"],
])  # fmt: skip
def test_names_tell_the_patients_of_a_flat_folder(tmp_path, mask, names):
    folder = flat_patients(tmp_path / "masks", mask, names)
    scores = score_folders(folder, folder, info=ACDC)
    assert [row["patient"] for row in scores.rows[::3]] == ["patient001"] * 2 + ["patient002"] * 2
    assert [row["phase"] for row in scores.rows[::3]] == ["ED", "ES"] * 2
    ef = [row["patient"] for row in scores.clinical if row["endpoint"] == "lv_ef"]
    assert ef == ["patient001", "patient002"]
    assert scores.unplaced == []


def test_cases_whose_names_tell_no_patient_have_no_endpoints(tmp_path, mask):
    names = ["patient001_ED", "patient001_ES", "patient002_frame01_gt", "somebody"]
    folder = flat_patients(tmp_path / "masks", mask, names)
    scores = score_folders(folder, folder, info=ACDC)
    assert scores.unplaced == ["patient002_frame01", "somebody"]
    assert {row["patient"] for row in scores.clinical} == {"patient001"}
    patients = {row["case"]: row["patient"] for row in scores.rows}
    assert (patients["patient002_frame01"], patients["somebody"]) == ("patient002", "")


def test_every_atrium_is_a_patient(tmp_path, mask):
    folder = flat_patients(tmp_path / "masks", mask % 2, ["la_003", "anybody"])
    for path in folder.iterdir():
        write(path, (mask > 0).astype(np.uint8))
    scores = score_folders(folder, folder, info=datasets.info("decathlon"))
    assert [row["patient"] for row in scores.clinical] == ["anybody", "la_003"]


def _moved():
    affine = AFFINE.copy()
    affine[2, 3] = 4.0
    return affine


def _flipped():
    return AFFINE @ np.diag([-1.0, 1, 1, 1])


@pytest.mark.parametrize(
    ("change", "affine", "said"),
    [
        (lambda mask: mask[:, :, :-1], AFFINE, r"the shape \(4, 20, 23\).*\(4, 20, 24\)"),
        (lambda mask: mask, np.diag([1.25, 1.5, 9, 1]), r"the spacing 9 x 1.5 x 1.25 mm"),
        (lambda mask: mask, _moved(), "4 mm away"),
        (lambda mask: mask, _flipped(), "mm away"),
    ],
    ids=["shape", "spacing", "origin", "flip"],
)
def test_another_grid_is_refused(folders, mask, change, affine, said):
    truth, made = folders
    write(made / "la_004.nii.gz", change(mask), affine=affine)
    with pytest.raises(DataError, match=rf"made/la_004\.nii\.gz has .*{said}.*Resample"):
        score_folders(truth, made)


def test_rounding_of_headers_is_no_other_grid(folders, mask):
    truth, made = folders
    affine = AFFINE + 1e-5
    affine[3] = (0, 0, 0, 1)
    write(made / "la_004.nii.gz", mask, affine=affine)
    assert len(score_folders(truth, made).rows) == 4


def test_what_cannot_be_compared_is_refused(folders, tmp_path, mask):
    truth, made = folders
    with pytest.raises(DataError, match="nothing"):
        score_folders(tmp_path / "none", made)
    with pytest.raises(DataError, match="nothing"):
        score_folders(truth, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="found none"):
        score_folders(tmp_path / "empty", made)
    with pytest.raises(DataError, match="la_003, la_004, found no NIfTI mask"):
        score_folders(truth, tmp_path / "empty")
    write(tmp_path / "other" / "case_1.nii.gz", mask)
    with pytest.raises(DataError, match=r"la_003, la_004, found case_1\.nii\.gz"):
        score_folders(truth, tmp_path / "other")
    write(made / "again" / "la_003.nii.gz", mask)
    with pytest.raises(DataError, match="expected one mask of case la_003"):
        score_folders(truth, made)


def test_masks_without_a_label_are_refused(tmp_path, mask):
    truth = write(tmp_path / "t" / "a.nii.gz", 0 * mask)
    with pytest.raises(DataError, match="masks with labels"):
        score_folders(truth, truth)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantoms")
    for name in ("acdc", "camus"):
        datasets.write_phantom(name, root, patients=1, seed=0)
    return root


@pytest.mark.parametrize("named", ["id", "file"])
def test_the_tree_of_a_dataset_as_truth(phantoms, tmp_path, named):
    cases = datasets.read_cases("acdc", datasets.find("acdc", phantoms).root)
    for case in cases:
        name = case.id if named == "id" else case_name(case.mask)
        shutil.copy(case.mask, tmp_path / f"{name}.nii.gz")
    scores = score_folders(phantoms, tmp_path, info=ACDC)
    assert [row["case"] for row in scores.rows[::3]] == [case.id for case in cases]
    assert {row["class"] for row in scores.rows} == set(ACDC.classes)
    assert {row["patient"] for row in scores.rows} == {case.patient for case in cases}
    assert {row["phase"] for row in scores.rows} == {"ED", "ES"}
    assert all(row["group"] for row in scores.rows)
    assert foreground_mean(scores.rows, "dice") == 1.0


def test_phantoms_are_called_so(phantoms, folders):
    assert score_folders(phantoms, phantoms, info=ACDC).source == "phantom"
    patient = phantoms / "ACDC" / "training" / "patient001"
    scores = score_folders(*[patient / "patient001_frame01_gt.nii.gz"] * 2)
    assert {scores.source, *(row["source"] for row in scores.rows)} == {"phantom"}
    assert score_folders(*folders).source == ""


def test_the_fraction_of_a_phantom_is_not_that_of_the_official_method(phantoms):
    scores = score_folders(phantoms, phantoms, info=datasets.info("camus"))
    methods = {row["method"] for row in scores.clinical}
    assert "camus_official" in methods
    assert "camus_stated" not in methods


def test_regions_come_with_the_dataset(phantoms):
    scores = score_folders(phantoms, phantoms, info=datasets.info("camus"))
    rows = [row for row in scores.rows if row["class"] == "epicardium"]
    assert {(row["kind"], row["dice"], row["hd_mm"]) for row in rows} == {("region", 1.0, 0.0)}
    assert {(row["view"], row["phase"]) for row in rows} == {
        (view, phase) for view in ("2CH", "4CH") for phase in ("ED", "ES")
    }


def test_a_class_that_no_truth_shows_is_not_scored(folders):
    scores = score_folders(*folders, info=ACDC)
    assert scores.unannotated == ["myocardium"]
    assert {row["class"] for row in scores.rows} == {"right_ventricle", "left_ventricle"}
    info = replace(ACDC, regions={"all": (1, 3), "some": (1, 2)})
    assert "all" in {row["class"] for row in score_folders(*folders, info=info).rows}


@pytest.mark.parametrize("name", datasets.NAMES)
def test_real_truth_against_itself_is_perfect(real_data, name, tmp_path):
    found = datasets.find(name, real_data)
    if found is None or found.source != "real":
        pytest.skip(f"no real {name} at hand")
    info = datasets.info(name)
    for case in datasets.read_cases(name, found.root)[:2]:
        volume = nifti.read_mask(case.mask, info.classes.values(), dims=info.dims)
        nifti.write_mask(tmp_path / f"{case.id}.nii.gz", volume.array, like=volume)
    scores = score_folders(found.root, tmp_path, info=info, skip_missing=True)
    rows = scores.rows
    ours = [row for row in scores.clinical if row["method"] != "camus_stated"]
    assert ours
    assert all(row["truth"] == row["prediction"] for row in ours)
    assert {row["outcome"] for row in rows} == {"scored"}
    for metric in METRICS.values():
        if metric.direction in ("higher", "lower"):
            perfect = 1.0 if metric.direction == "higher" else 0.0
            assert {row[metric.name] for row in rows} == {perfect}, metric.name
