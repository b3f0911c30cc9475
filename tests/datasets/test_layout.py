from __future__ import annotations

import numpy as np
import pytest

import datasets
from datasets import layout
from datasets.case import Case, DatasetError


def test_the_marker_makes_a_release_a_phantom(tmp_path, acdc_patient):
    acdc_patient(tmp_path / "ACDC/training/patient001")
    assert datasets.find("acdc", tmp_path) == datasets.Found(tmp_path / "ACDC", "real")
    (tmp_path / "ACDC" / layout.PHANTOM_MARKER).write_text("{}")
    assert datasets.find("acdc", tmp_path) == datasets.Found(tmp_path / "ACDC", "phantom")


@pytest.mark.parametrize("inner", ["database", "database_nifti"])
def test_the_marker_counts_for_the_inner_folder_too(tmp_path, inner):
    (tmp_path / layout.PHANTOM_MARKER).write_text("{}")
    assert layout.is_phantom(tmp_path / inner)
    assert not layout.is_phantom(tmp_path / "elsewhere")


def test_real_files_are_preferred_to_phantoms(tmp_path, acdc_patient):
    acdc_patient(tmp_path / "ACDC/training/patient001")
    (tmp_path / "ACDC" / layout.PHANTOM_MARKER).write_text("{}")
    acdc_patient(tmp_path / "downloads/database/training/patient001")
    found = datasets.find("acdc", tmp_path)
    assert found == datasets.Found(tmp_path / "downloads/database", "real")


def test_the_search_is_bounded(tmp_path):
    visited = []
    for name in ("a", "b", "a/x", "a/x/deep", "patient001", "patient001/y", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("")
    assert layout.search(tmp_path, lambda folder: visited.append(folder)) is None
    assert visited == [tmp_path, tmp_path / "a", tmp_path / "b", tmp_path / "a/x"]


def test_the_fingerprint_knows_names_and_sizes_but_not_the_root(tmp_path, acdc_patient):
    digests = []
    for top in ("here", "there"):
        acdc_patient(tmp_path / top / "training/patient001")
        cases = datasets.read_cases("acdc", tmp_path / top)
        digests.append(datasets.fingerprint("acdc", tmp_path / top, cases))
    assert digests[0] == digests[1]
    with cases[0].mask.open("ab") as file:
        file.write(b"\0")
    assert datasets.fingerprint("acdc", tmp_path / "there", cases) != digests[0]
    assert datasets.fingerprint("acdc", tmp_path / "there", cases[1:]) != digests[0]
    cases[0].mask.unlink()
    with pytest.raises(DatasetError, match=r"_gt\.nii\.gz cannot be read"):
        datasets.fingerprint("acdc", tmp_path / "there", cases)


def test_the_fingerprint_sees_the_pixels_beside_a_header(tmp_path, mhd_file):
    paths = [mhd_file(tmp_path / f"{name}.mhd", np.zeros((4, 5), np.uint8)) for name in "ab"]
    cases = [Case("a", "a", *paths)]
    before = datasets.fingerprint("camus", tmp_path, cases)
    (tmp_path / "a.raw").write_bytes(bytes(21))
    assert datasets.fingerprint("camus", tmp_path, cases) != before
