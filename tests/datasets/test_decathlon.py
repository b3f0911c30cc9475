from __future__ import annotations

import json

import pytest

from datasets import decathlon
from datasets.case import DatasetError
from datasets.nifti import read_pair


def write_listing(root, numbers=(3, 4), **changes):
    content = {
        "name": "LeftAtrium",
        "labels": {"0": "background", "1": "left atrium"},
        "training": [
            {
                "image": f"./imagesTr/la_{number:03d}.nii.gz",
                "label": f"./labelsTr/la_{number:03d}.nii.gz",
            }
            for number in numbers
        ],
        "test": ["./imagesTs/la_001.nii.gz"],
    } | changes
    (root / "dataset.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    "top",
    [
        "Task02_Heart",
        ".",
        "2018LA_Seg_Training Set",
        "Heart MRI Image - Left Atrial Segmentation/task02_heart",
    ],
)
def test_the_release_is_found_by_its_content(tmp_path, task02, top):
    task02(tmp_path / top)
    root = decathlon.find_root(tmp_path)
    assert root == tmp_path / top
    assert [case.id for case in decathlon.read_cases(root)] == ["la_003", "la_004"]


def test_other_tasks_are_not_taken_for_it(tmp_path, task02):
    root = task02(tmp_path / "Task04_Hippocampus")
    for folder in ("imagesTr", "labelsTr"):
        for path in (root / folder).glob("la_*"):
            path.rename(path.with_name(path.name.replace("la_", "hippocampus_")))
    assert decathlon.find_root(tmp_path) is None


@pytest.mark.parametrize("listed", [False, True])
def test_appledouble_files_are_no_cases(tmp_path, task02, listed):
    task02(tmp_path)
    (tmp_path / "imagesTr/._la_009.nii.gz").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "labelsTr/._la_009.nii.gz").write_bytes(b"\x00\x05\x16\x07")
    if listed:
        write_listing(tmp_path)
        (tmp_path / "._dataset.json").write_bytes(b"\x00\x05\x16\x07")
    cases = decathlon.read_cases(tmp_path)
    assert [case.id for case in cases] == ["la_003", "la_004"]
    assert read_pair(cases[0], decathlon.INFO)[1].array.max() == 1


def test_the_unlabelled_test_scans_are_no_cases(tmp_path, task02):
    task02(tmp_path)
    (tmp_path / "imagesTs").mkdir()
    (tmp_path / "imagesTs/la_001.nii.gz").write_bytes(b"never opened")
    write_listing(tmp_path)
    assert len(decathlon.read_cases(tmp_path)) == 2


def test_the_listing_decides(tmp_path, task02):
    task02(tmp_path, [3, 4, 5])
    write_listing(tmp_path, [4, 5])
    assert [case.id for case in decathlon.read_cases(tmp_path)] == ["la_004", "la_005"]


def test_unpacked_files_are_found_under_their_listed_names(tmp_path, task02, nifti_file):
    task02(tmp_path)
    write_listing(tmp_path)
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder / "la_003.nii.gz").unlink()
        nifti_file(tmp_path / folder / "la_003.nii", [[[0, 1], [1, 0]]], dtype="u1")
    assert decathlon.read_cases(tmp_path)[0].image.name == "la_003.nii"


@pytest.mark.parametrize(
    ("gone", "listed"), [("imagesTr", True), ("labelsTr", True), ("imagesTr", False)]
)
def test_a_missing_file_is_named(tmp_path, task02, gone, listed):
    task02(tmp_path)
    if listed:
        write_listing(tmp_path)
    (tmp_path / gone / "la_004.nii.gz").unlink()
    with pytest.raises(DatasetError, match=rf"{gone}/la_004\.nii\.gz is missing"):
        decathlon.read_cases(tmp_path)


def test_a_listed_case_that_is_not_there_names_the_listing(tmp_path, task02):
    task02(tmp_path)
    write_listing(tmp_path, [3, 4, 30])
    with pytest.raises(DatasetError, match=r"la_030\.nii\.gz is missing, .*dataset\.json lists it"):
        decathlon.read_cases(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"training": 3}',
        '{"training": [3]}',
        '{"training": [{"image": "./imagesTr/la_003.nii.gz"}]}',
        '{"training": [{"image": 3, "label": 4}]}',
        '{"training": [{"image": "../imagesTr/la_003.nii.gz", "label": "/etc/passwd"}]}',
        '{"training": [{"image": "imagesTr/la_003.nii.gz", "label": "labelsTr/la_004.nii.gz"}]}',
        '{"numTraining": ' + "9" * 5000 + "}",
        "[" * 100_000,
    ],
)
def test_a_broken_listing_is_named(tmp_path, task02, text):
    task02(tmp_path)
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DatasetError, match=r"dataset\.json"):
        decathlon.read_cases(tmp_path)


def test_an_empty_root_says_what_was_expected(tmp_path):
    with pytest.raises(DatasetError, match=r"no labelled case\. Expected .*labelsTr"):
        decathlon.read_cases(tmp_path)


def _tree(root, stems, **entries):
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
        for stem in stems:
            (root / folder / f"{stem}.nii.gz").write_bytes(b"\x1f\x8b")
    listing = [
        {"image": f"./imagesTr/{s}.nii.gz", "label": f"./labelsTr/{s}.nii.gz"} for s in stems
    ]
    (root / "dataset.json").write_text(json.dumps({"training": listing, **entries}))
    return root


def test_other_scans_in_this_layout_carry_their_name(tmp_path):
    official = _tree(tmp_path / "a", ["la_003", "la_030"], reference="King's College London")
    assert decathlon.release(official) == ""
    named = _tree(tmp_path / "b", ["la_003"], reference="STACOM 2018 Atrial Segmentation Challenge")
    assert decathlon.release(named) == "LA2018"
    unknown = _tree(tmp_path / "c", ["la_001"])
    assert decathlon.release(unknown) == "not the official cases"
    (official / "dataset.json").unlink()
    assert decathlon.release(official) == ""


def test_scans_of_the_atrial_challenge_are_called_so(real_data):
    import datasets

    found = datasets.find("decathlon", real_data)
    assert (found.source, found.release) == ("real", "LA2018")
