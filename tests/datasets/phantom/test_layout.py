"""The phantoms' files: official layout, determinism, atomic appearance, respect for real scans."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets.case import DatasetError
from datasets.nifti import read_pair
from datasets.phantom import MARKER, VERSION, folder_name, left_atrium, write_phantom
from datasets.phantom.echo import split_sizes
from datasets.phantom.layout import publish, write_nifti

PATIENTS = {"decathlon": 1, "acdc": 5, "camus": 3}
SEED = 7


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(("dataset", "cases"), [("decathlon", 1), ("acdc", 10), ("camus", 12)])
def test_the_datasets_own_loader_reads_the_phantom(phantoms, dataset: str, cases: int) -> None:
    found = datasets.find(dataset, phantoms)
    assert found is not None
    assert found.source == "phantom"
    listed = datasets.read_cases(dataset, found.root)
    assert len(listed) == cases
    info = datasets.info(dataset)
    for case in listed:
        image, mask = read_pair(case, info)
        assert image.array.shape == mask.array.shape
        assert set(np.unique(mask.array)) == {0, *info.classes.values()}
        assert (image.array >= 0).all()


def test_acdc_geometry_and_groups(phantoms) -> None:
    found = datasets.find("acdc", phantoms)
    info = datasets.info("acdc")
    listed = datasets.read_cases("acdc", found.root)
    assert {case.metadata["group"] for case in listed} == {"NOR", "MINF", "DCM", "HCM", "RV"}
    empty = without_right = 0
    for case in listed:
        image, mask = read_pair(case, info)
        slices, rows, columns = image.array.shape
        assert 8 <= slices <= 14
        assert 200 <= min(rows, columns) <= max(rows, columns) <= 256
        assert image.spacing_mm[0] == 10.0
        assert 1.37 <= image.spacing_mm[1] <= 1.68
        # As in the real release some slices have no heart and some no right ventricle.
        empty += sum(not part.any() for part in mask.array)
        without_right += sum(part.any() and not (part == 1).any() for part in mask.array)
    assert empty > 3
    assert without_right > 3


def test_camus_frames_of_a_view_have_one_size_and_views_differ(phantoms) -> None:
    found = datasets.find("camus", phantoms)
    info = datasets.info("camus")
    shapes: dict[tuple[str, str], set[tuple[int, ...]]] = {}
    for case in datasets.read_cases("camus", found.root):
        image, _ = read_pair(case, info)
        assert image.spacing_mm == pytest.approx((0.308, 0.308))
        assert image.array.shape[1] > image.array.shape[0]
        view = (case.patient, case.metadata["view"])
        shapes.setdefault(view, set()).add(image.array.shape)
        assert case.metadata["quality"] in {"Good", "Medium", "Poor"}
    assert all(len(sizes) == 1 for sizes in shapes.values())
    assert len({size for sizes in shapes.values() for size in sizes}) > 3


def test_camus_lists_name_every_patient_once(phantoms) -> None:
    lists = phantoms / "CAMUS_public" / "database_split"
    names = [
        name
        for part in ("training", "validation", "testing")
        for name in (lists / f"subgroup_{part}.txt").read_text().split()
    ]
    assert sorted(names) == ["patient0001", "patient0002", "patient0003"]
    assert split_sizes(500) == (400, 50, 50)
    assert split_sizes(2) == (2, 0, 0)
    assert split_sizes(16) == (12, 2, 2)


def test_decathlon_geometry_and_index(phantoms) -> None:
    root = phantoms / "Task02_Heart"
    index = json.loads((root / "dataset.json").read_text())
    assert index["numTraining"] == len(index["training"]) == 1
    assert index["numTest"] == len(index["test"]) == 1
    for name in [*index["test"], *(p for pair in index["training"] for p in pair.values())]:
        assert (root / name).is_file()
    case = datasets.read_cases("decathlon", datasets.find("decathlon", phantoms).root)[0]
    image, _ = read_pair(case, datasets.info("decathlon"))
    assert image.spacing_mm == pytest.approx((1.37, 1.25, 1.25))
    assert image.array.shape[1:] == (320, 320)
    assert 90 <= image.array.shape[0] <= 100


@pytest.mark.parametrize("dataset", ["acdc", "camus"])
def test_same_seed_same_files_and_patients_do_not_depend_on_their_number(
    phantoms, tmp_path: Path, dataset: str
) -> None:
    write_phantom(dataset, tmp_path, patients=1, seed=SEED)
    again, first = digests(tmp_path), digests(phantoms)
    images = [name for name in again if name.endswith((".nii.gz", "Info.cfg"))]
    assert images
    assert all(again[name] == first[name] for name in images)
    write_phantom(dataset, tmp_path, patients=1, seed=SEED + 1)
    other = digests(tmp_path)
    assert all(
        other.get(name) != again[name] for name in images if name.endswith("0001_2CH_ED.nii.gz")
    )


def test_same_seed_same_decathlon_files(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(left_atrium, "SIZE", 80)  # for the sake of time
    for folder in ("one", "two"):
        write_phantom("decathlon", tmp_path / folder, patients=1, seed=SEED)
    found = digests(tmp_path / "one")
    assert len(found) >= 3
    assert digests(tmp_path / "two") == found


@pytest.mark.parametrize("dataset", list(PATIENTS))
def test_marker_names_the_parameters(markers, dataset: str) -> None:
    marker = markers[dataset]
    assert marker["dataset"] == dataset
    assert marker["patients"] == PATIENTS[dataset]
    assert marker["seed"] == SEED
    assert marker["version"] == VERSION
    assert len(marker["truth"]) == PATIENTS[dataset]


def counting(calls: list[Path]) -> Callable[[Path], dict[str, object]]:
    def build(folder: Path) -> dict[str, object]:
        calls.append(folder)
        write_nifti(folder / "a.nii.gz", np.zeros((2, 3, 4), np.uint8), (3.0, 2.0, 1.0))
        return {"patient": len(calls)}

    return build


def test_an_equal_phantom_is_left_and_another_replaced(tmp_path: Path) -> None:
    calls: list[Path] = []
    target = tmp_path / "new" / "RELEASE"
    publish(target, {"seed": 1}, counting(calls))
    publish(target, {"seed": 1}, counting(calls))
    assert len(calls) == 1
    publish(target, {"seed": 2}, counting(calls))
    assert len(calls) == 2
    assert json.loads((target / MARKER).read_text())["seed"] == 2
    # A phantom that lost an image is written again.
    (target / "a.nii.gz").unlink()
    publish(target, {"seed": 2}, counting(calls))
    assert len(calls) == 3
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["RELEASE"]


def test_a_failed_writing_leaves_no_trace(tmp_path: Path) -> None:
    def fail(folder: Path) -> dict[str, object]:
        (folder / "half").write_text("written")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        publish(tmp_path / "RELEASE", {"seed": 1}, fail)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_replacement_keeps_the_old_phantom(tmp_path: Path) -> None:
    target = tmp_path / "RELEASE"
    publish(target, {"seed": 1}, counting([]))
    before = digests(target)

    def fail(folder: Path) -> dict[str, object]:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        publish(target, {"seed": 2}, fail)
    assert digests(target) == before


def test_the_slower_of_two_writers_takes_the_others_files(tmp_path: Path) -> None:
    target = tmp_path / "RELEASE"

    def overtaken(folder: Path) -> dict[str, object]:
        publish(target, {"seed": 1}, counting([]))
        return counting([])(folder)

    publish(target, {"seed": 1}, overtaken)
    assert json.loads((target / MARKER).read_text())["seed"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["RELEASE"]


def test_real_scans_are_never_overwritten(tmp_path: Path) -> None:
    scan = tmp_path / "ACDC" / "training" / "scan.nii.gz"
    scan.parent.mkdir(parents=True)
    scan.write_text("precious")
    with pytest.raises(DatasetError, match="not a phantom"):
        write_phantom("acdc", tmp_path, patients=1, seed=0)
    assert scan.read_text() == "precious"


def test_a_root_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DatasetError, match="file cannot be written"):
        write_phantom("acdc", tmp_path / "file", patients=1, seed=0)


@pytest.mark.parametrize(("patients", "seed"), [(0, 0), (1, -1)])
def test_impossible_numbers_are_refused(tmp_path: Path, patients: int, seed: int) -> None:
    with pytest.raises(DatasetError, match="at least"):
        write_phantom("acdc", tmp_path, patients=patients, seed=seed)


def test_an_unknown_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="acdc, camus, decathlon"):
        write_phantom("brain", tmp_path, patients=1, seed=0)
    assert folder_name("camus") == "CAMUS_public"
