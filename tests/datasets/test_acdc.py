from __future__ import annotations

import numpy as np
import pytest

from datasets import acdc
from datasets.case import DatasetError
from datasets.nifti import read_pair


@pytest.mark.parametrize("top", ["ACDC", "database", "ACDC/database", "my scans", "."])
def test_every_top_folder_of_the_archives_is_found(tmp_path, acdc_patient, top):
    acdc_patient(tmp_path / top / "training/patient001")
    assert acdc.find_root(tmp_path) == tmp_path / top


def test_testing_alone_is_a_release(tmp_path, acdc_patient):
    acdc_patient(tmp_path / "database/testing/patient101")
    root = acdc.find_root(tmp_path)
    assert [case.metadata["subset"] for case in acdc.read_cases(root)] == ["testing"] * 2


def test_the_4d_file_and_the_citations_are_no_cases(tmp_path, acdc_patient):
    acdc_patient(tmp_path / "training/patient001")
    (tmp_path / "training/MANDATORY_CITATION.md").write_text("Bernard et al.")
    cases = acdc.read_cases(tmp_path)
    assert [case.id for case in cases] == ["patient001_ED", "patient001_ES"]
    assert cases[1].image.name == "patient001_frame12.nii.gz"
    assert cases[1].mask.name == "patient001_frame12_gt.nii.gz"
    assert cases[1].metadata == {
        "phase": "ES",
        "subset": "training",
        "frame": "12",
        "group": "DCM",
        "height_cm": "184.0",
        "weight_kg": "95.0",
    }


def test_patient090_has_no_frame_01(tmp_path, acdc_patient):
    acdc_patient(tmp_path / "training/patient090", ed=4, es=11)
    cases = acdc.read_cases(tmp_path)
    assert {case.metadata["phase"]: case.image.name for case in cases} == {
        "ED": "patient090_frame04.nii.gz",
        "ES": "patient090_frame11.nii.gz",
    }


def test_info_without_height_and_weight_and_with_a_placeholder_for_the_frames(
    tmp_path, acdc_patient
):
    folder = acdc_patient(tmp_path / "training/patient001")
    (folder / "Info.cfg").write_text("ED: 1\r\nES: 12\r\nGroup: RV\r\nNbFrame: 1\r\n")
    assert {case.metadata["group"] for case in acdc.read_cases(tmp_path)} == {"RV"}


def test_portrait_and_landscape_keep_their_shapes(tmp_path, acdc_patient, nifti_file):
    folder = acdc_patient(tmp_path / "training/patient001")
    for frame, shape in (("01", (6, 9, 4)), ("12", (18, 4, 9))):
        for suffix in ("", "_gt"):  # a mask may be empty: the slices above the heart are
            nifti_file(folder / f"patient001_frame{frame}{suffix}.nii.gz", np.zeros(shape, "u1"))
    shapes = [read_pair(case, acdc.INFO)[1].array.shape for case in acdc.read_cases(tmp_path)]
    assert shapes == [(6, 9, 4), (18, 4, 9)]


def test_a_volume_of_one_slice_stays_a_volume(tmp_path, acdc_patient, nifti_file):
    folder = acdc_patient(tmp_path / "training/patient001")
    for suffix in ("", "_gt"):
        nifti_file(folder / f"patient001_frame01{suffix}.nii.gz", np.zeros((1, 9, 4), "u1"))
    image, mask = read_pair(acdc.read_cases(tmp_path)[0], acdc.INFO)
    assert image.array.shape == mask.array.shape == (1, 9, 4)
    assert image.spacing_mm == (10.0, 1.5, 1.5)


def test_labels_mean_what_acdc_says():
    assert acdc.INFO.classes == {"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3}


def test_packs_of_slices_are_not_taken_for_the_release(tmp_path):
    slices = tmp_path / "ACDC/data/slices"
    slices.mkdir(parents=True)
    (slices / "patient001_frame01_slice_0.h5").write_bytes(b"\x89HDF\r\n")
    assert acdc.find_root(tmp_path) is None
    with pytest.raises(DatasetError, match="lost the pixel spacing"):
        acdc.read_cases(tmp_path / "ACDC")


def test_testing_patients_without_masks_are_left_out(tmp_path, acdc_patient):
    acdc_patient(tmp_path / "training/patient001")
    acdc_patient(tmp_path / "testing/patient101", masks=False)
    assert {case.patient for case in acdc.read_cases(tmp_path)} == {"patient001"}


def test_training_patients_without_masks_are_a_fault(tmp_path, acdc_patient):
    acdc_patient(tmp_path / "training/patient001", masks=False)
    with pytest.raises(DatasetError, match=r"patient001_frame01_gt\.nii\.gz is missing"):
        acdc.read_cases(tmp_path)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("patient001_frame12.nii.gz", r"patient001_frame12\.nii\.gz is missing"),
        ("patient001_frame12_gt.nii.gz", r"patient001_frame12_gt\.nii\.gz is missing"),
        ("Info.cfg", r"Info\.cfg cannot be read"),
    ],
)
def test_a_missing_file_is_named(tmp_path, acdc_patient, gone, message):
    (acdc_patient(tmp_path / "training/patient001") / gone).unlink()
    with pytest.raises(DatasetError, match=message):
        acdc.read_cases(tmp_path)


def test_a_frame_that_the_info_names_and_nobody_has(tmp_path, acdc_patient):
    folder = acdc_patient(tmp_path / "training/patient001")
    (folder / "Info.cfg").write_text("ED: 1\nES: 13\n")
    with pytest.raises(DatasetError, match=r"frame13\.nii\.gz is missing, although .*ES is 13"):
        acdc.read_cases(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "ED: 1\n",
        "ED: 1\nES: twelve\n",
        "ED: 1\nES: 0\n",
        "ED: 1\nES: -2\n",
        "ED: 1\nES: 1\n",
        "ED 1\nES 12\n",
        "",
        "ED: 1\nES: " + "9" * 5000,
        "\0\0\0",
    ],
)
def test_a_broken_info_is_named(tmp_path, acdc_patient, text):
    folder = acdc_patient(tmp_path / "training/patient001")
    (folder / "Info.cfg").write_text(text)
    with pytest.raises(DatasetError, match=r"patient001.Info\.cfg"):
        acdc.read_cases(tmp_path)


def test_an_info_that_is_no_text_is_named(tmp_path, acdc_patient):
    folder = acdc_patient(tmp_path / "training/patient001")
    (folder / "Info.cfg").write_bytes(b"ED: 1\nES: \xff\xfe\n")
    with pytest.raises(DatasetError, match=r"Info\.cfg should be text"):
        acdc.read_cases(tmp_path)


def test_the_same_patient_in_both_subsets_is_a_fault(tmp_path, acdc_patient):
    acdc_patient(tmp_path / "training/patient001")
    acdc_patient(tmp_path / "testing/patient001")
    with pytest.raises(DatasetError, match="hold the same patient"):
        acdc.read_cases(tmp_path)


def test_folders_that_bear_the_files_names_are_looked_into(tmp_path, acdc_patient):
    folder = acdc_patient(tmp_path / "training/patient001")
    for path in sorted(folder.glob("*frame*.nii.gz")):
        content = path.read_bytes()
        path.unlink()
        path.mkdir()
        (path / path.name).write_bytes(content)
    image, _ = read_pair(acdc.read_cases(tmp_path)[0], acdc.INFO)
    assert image.array.shape == (2, 6, 5)


def test_a_folder_in_place_of_a_file_is_named(tmp_path, acdc_patient):
    folder = acdc_patient(tmp_path / "training/patient001")
    path = folder / "patient001_frame01_gt.nii.gz"
    path.unlink()
    path.mkdir()
    with pytest.raises(DatasetError, match=r"frame01_gt\.nii\.gz is a folder but should be a file"):
        acdc.read_cases(tmp_path)


def test_an_empty_root_says_what_was_expected(tmp_path):
    with pytest.raises(DatasetError, match=r"no labelled case\. Expected .*training/"):
        acdc.read_cases(tmp_path)
