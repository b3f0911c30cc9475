from __future__ import annotations

import numpy as np
import pytest

from datasets import camus
from datasets.case import DatasetError
from datasets.nifti import read_pair

FRAMES = ["patient0001_2CH_ED", "patient0001_2CH_ES", "patient0001_4CH_ED", "patient0001_4CH_ES"]


def write_lists(folder, training=(), validation=(), testing=(), prefix="subgroup"):
    folder.mkdir(parents=True, exist_ok=True)
    sides = {"training": training, "validation": validation, "testing": testing}
    for side, numbers in sides.items():
        text = "".join(f"patient{number:04d}\n" for number in numbers)
        (folder / f"{prefix}_{side}.txt").write_text(text)


def write_old_release(root, mhd_file, subset, patient, *, masks=True, packed=False):
    folder = root / subset / patient
    for view in camus.VIEWS:
        for phase in ("ED", "ES"):
            pixels = np.arange(35, dtype=np.uint8).reshape(7, 5)
            mhd_file(folder / f"{patient}_{view}_{phase}.mhd", pixels, packed=packed)
            if masks:
                mhd_file(folder / f"{patient}_{view}_{phase}_gt.mhd", pixels % 4, packed=packed)
        mhd_file(folder / f"{patient}_{view}_sequence.mhd", np.zeros((7, 5), np.uint8))
        (folder / f"Info_{view}.cfg").write_text("ED: 1\nES: 9\nImageQuality: Poor\nLVef: 31\n")


@pytest.mark.parametrize(
    ("top", "root"),
    [
        ("CAMUS_public/database_nifti", "CAMUS_public"),
        ("database_nifti", "."),
        ("echo files/CAMUS_public/database_nifti", "echo files/CAMUS_public"),
        (".", "."),
    ],
)
def test_the_nifti_release_is_found(tmp_path, camus_patient, top, root):
    camus_patient(tmp_path / top / "patient0001")
    assert camus.find_root(tmp_path) == tmp_path / root
    assert [case.id for case in camus.read_cases(tmp_path / root)] == FRAMES


@pytest.mark.parametrize("top", ["CAMUS", ".", "data/old release"])
def test_the_older_release_is_found(tmp_path, mhd_file, top):
    write_old_release(tmp_path / top, mhd_file, "training", "patient0001")
    write_old_release(tmp_path / top, mhd_file, "testing", "patient0002", masks=False)
    root = camus.find_root(tmp_path)
    assert root == tmp_path / top
    cases = camus.read_cases(root)
    assert [case.id for case in cases] == FRAMES
    assert cases[0].metadata["subset"] == "training"
    assert cases[0].metadata["quality"] == "Poor"
    assert cases[0].metadata["ef_percent"] == "31"


@pytest.mark.parametrize("packed", [False, True])
def test_frames_of_the_older_release_are_read_with_unequal_spacing(tmp_path, mhd_file, packed):
    write_old_release(tmp_path, mhd_file, "training", "patient0001", packed=packed)
    image, mask = read_pair(camus.read_cases(tmp_path)[0], camus.INFO)
    assert image.array.shape == (7, 5)
    assert image.spacing_mm == (0.308, 0.154)
    assert image.array[1, 0] == 5
    np.testing.assert_array_equal(mask.array, np.arange(35).reshape(7, 5) % 4)


def test_metadata(tmp_path, camus_patient):
    camus_patient(tmp_path / "database_nifti/patient0001", views=["2CH"])
    write_lists(tmp_path / "database_split", validation=[1])
    assert camus.read_cases(tmp_path)[0].metadata == {
        "view": "2CH",
        "phase": "ED",
        "quality": "Good",
        "sex": "F",
        "age": "56",
        "ef_percent": "54",
        "order": "ED-ES",
        "official": "validation",
    }


def test_info_files_may_be_sparse_or_absent(tmp_path, camus_patient):
    folder = camus_patient(tmp_path / "database_nifti/patient0001")
    (folder / "Info_2CH.cfg").write_text("ED: 1\nES: 2\nNbFrame: 2\n")
    (folder / "Info_4CH.cfg").unlink()
    metadata = [dict(case.metadata) for case in camus.read_cases(tmp_path)]
    assert metadata[0] == {"view": "2CH", "phase": "ED", "order": "ED-ES"}
    assert metadata[2] == {"view": "4CH", "phase": "ED"}


def test_quality_is_of_the_view(tmp_path, camus_patient):
    folder = camus_patient(tmp_path / "database_nifti/patient0001")
    (folder / "Info_4CH.cfg").write_text("ED: 1\nES: 2\nImageQuality: Poor\n")
    quality = {
        case.metadata["view"]: case.metadata["quality"] for case in camus.read_cases(tmp_path)
    }
    assert quality == {"2CH": "Good", "4CH": "Poor"}


def test_half_sequences_are_volumes_and_no_cases(tmp_path, camus_patient):
    camus_patient(tmp_path / "database_nifti/patient0001")
    assert [case.id for case in camus.read_cases(tmp_path)] == FRAMES
    sequences = camus.read_half_sequences(tmp_path)
    assert [case.id for case in sequences] == [
        "patient0001_2CH_half_sequence",
        "patient0001_4CH_half_sequence",
    ]
    image, mask = read_pair(sequences[0], camus.SEQUENCE_INFO)
    assert image.array.shape == mask.array.shape == (4, 7, 5)
    assert "phase" not in sequences[0].metadata


def test_es_may_come_before_ed(tmp_path, camus_patient):
    camus_patient(tmp_path / "database_nifti/patient0001", ed=18, es=1)
    assert {case.metadata["order"] for case in camus.read_half_sequences(tmp_path)} == {"ES-ED"}
    phases = {case.id[-2:]: case.metadata["phase"] for case in camus.read_cases(tmp_path)}
    assert phases == {"ED": "ED", "ES": "ES"}


def test_no_half_sequence_says_what_was_expected(tmp_path, camus_patient):
    folder = camus_patient(tmp_path / "database_nifti/patient0001")
    for path in folder.glob("*half*"):
        path.unlink()
    with pytest.raises(DatasetError, match="half sequences of the NIfTI release"):
        camus.read_half_sequences(tmp_path)


def test_planar_images_come_upright_with_and_without_a_third_axis(
    tmp_path, camus_patient, nifti_file
):
    folder = camus_patient(tmp_path / "database_nifti/patient0001")
    picture = np.arange(35, dtype=np.uint8).reshape(7, 5)
    nifti_file(folder / "patient0001_2CH_ED.nii.gz", picture)
    nifti_file(folder / "patient0001_2CH_ED_gt.nii.gz", (picture % 4)[None], (1.0, 0.5, 0.5))
    image, mask = read_pair(camus.read_cases(tmp_path)[0], camus.INFO)
    np.testing.assert_array_equal(image.array, picture)
    np.testing.assert_array_equal(mask.array, picture % 4)
    assert image.spacing_mm == mask.spacing_mm == (0.5, 0.5)


def test_a_mask_may_lack_the_myocardium_or_a_cut_atrium(tmp_path, camus_patient, nifti_file):
    folder = camus_patient(tmp_path / "database_nifti/patient0001")
    only_ventricle = np.zeros((7, 5), np.uint8)
    only_ventricle[2:4] = 1
    nifti_file(folder / "patient0001_2CH_ED_gt.nii.gz", only_ventricle)
    _, mask = read_pair(camus.read_cases(tmp_path)[0], camus.INFO)
    assert set(np.unique(mask.array)) == {0, 1}


def test_labels_mean_what_camus_says():
    assert camus.INFO.classes == {"left_ventricle": 1, "myocardium": 2, "left_atrium": 3}


@pytest.mark.parametrize(
    "gone",
    [
        "patient0001_2CH_ES.nii.gz",
        "patient0001_2CH_ES_gt.nii.gz",
    ],
)
def test_a_missing_file_is_named(tmp_path, camus_patient, gone):
    folder = camus_patient(tmp_path / "database_nifti/patient0001")
    (folder / gone).unlink()
    with pytest.raises(DatasetError, match=f"{gone} is missing"):
        camus.read_cases(tmp_path)


def test_half_a_view_is_named(tmp_path, camus_patient):
    folder = camus_patient(tmp_path / "database_nifti/patient0001")
    for path in folder.glob("*4CH_ED*"):
        path.unlink()
    with pytest.raises(DatasetError, match=r"patient0001_4CH_ED\.nii\.gz is missing"):
        camus.read_cases(tmp_path)


def test_a_mask_missing_from_the_older_release_is_named(tmp_path, mhd_file):
    write_old_release(tmp_path, mhd_file, "training", "patient0001")
    (tmp_path / "training/patient0001/patient0001_2CH_ED_gt.mhd").unlink()
    with pytest.raises(DatasetError, match=r"patient0001_2CH_ED_gt\.mhd is missing"):
        camus.read_cases(tmp_path)


def test_the_lists_lie_beside_the_images_whichever_folder_was_given(tmp_path, camus_patient):
    camus_patient(tmp_path / "database_nifti/patient0001")
    write_lists(tmp_path / "database_split", testing=[1])
    cases = camus.read_cases(tmp_path / "database_nifti")
    assert {case.metadata["official"] for case in cases} == {"testing"}


def test_the_ten_folds_are_read(tmp_path, camus_patient):
    camus_patient(tmp_path / "database_nifti/patient0001")
    for fold in range(1, 11):
        sides = ["training"] * 11
        sides[4], sides[5] = "validation", "testing"
        write_lists(tmp_path / "listSubGroups", **{sides[fold]: [1]}, prefix=f"subGroup{fold}")
    assert camus.read_cases(tmp_path)[0].metadata["tenfold"] == "TTTVETTTTT"


def test_a_patient_on_two_sides_is_a_fault(tmp_path, camus_patient):
    camus_patient(tmp_path / "database_nifti/patient0001")
    write_lists(tmp_path / "database_split", training=[1], testing=[1])
    with pytest.raises(DatasetError, match=r"subgroup_testing\.txt: patient0001 is in the train"):
        camus.read_cases(tmp_path)


def test_a_list_of_something_else_is_named(tmp_path, camus_patient):
    camus_patient(tmp_path / "database_nifti/patient0001")
    write_lists(tmp_path / "database_split", training=[1])
    (tmp_path / "database_split/subgroup_testing.txt").write_text("<html>404</html>")
    with pytest.raises(DatasetError, match=r"subgroup_testing\.txt: expected one patient per line"):
        camus.read_cases(tmp_path)


def test_an_empty_root_says_what_was_expected(tmp_path):
    assert camus.find_root(tmp_path) is None
    with pytest.raises(DatasetError, match=r"no labelled case\. Expected .*database_nifti"):
        camus.read_cases(tmp_path)
