"""What every dataset of the catalogue promises, on synthetic files and on real ones if at hand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets import nifti, splits

REPOSITORY = Path(__file__).parents[2]
REAL = Path(os.environ.get("BENCHMARK_REAL_DATA", REPOSITORY / "data"))
SAFE_NAME = re.compile(r"[A-Za-z0-9_]+")

every_dataset = pytest.mark.parametrize("name", datasets.NAMES)


def run_python(code: str, **options) -> str:
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, **options
    )
    return process.stdout.strip()


@every_dataset
def test_the_description_is_complete(name):
    info = datasets.info(name)
    assert info.name == name
    assert info.modality in ("MRI", "ultrasound")
    assert info.dims in (2, 3)
    assert sorted(info.classes.values()) == list(range(1, len(info.classes) + 1))
    assert all(re.fullmatch(r"[a-z_]+", name) for name in info.classes)
    for text in (info.title, info.licence, info.citation, info.homepage, info.instructions):
        assert text.strip() == text != ""
    assert all(count > 0 for count in info.counts.values())
    for name, labels in info.regions.items():
        assert name not in info.classes
        assert len(labels) > 1
        assert set(labels) <= set(info.classes.values())
    hash(info)


@pytest.mark.parametrize(
    ("name", "case", "told"),
    [
        ("acdc", "patient001_ES", ("patient001", {"phase": "ES"})),
        ("acdc", "patient001_frame01", ("patient001", {})),
        ("acdc", "patient0001_2CH_ED", ("", {})),
        ("camus", "patient0001_2CH_ED", ("patient0001", {"view": "2CH", "phase": "ED"})),
        ("camus", "patient0001_2CH_half_sequence", ("", {})),
        ("decathlon", "la_003", ("la_003", {})),
    ],
)
def test_names_of_cases_tell_patients(name, case, told):
    assert datasets.parse_case(name, case) == told


@every_dataset
def test_nothing_is_found_where_nothing_is(name, tmp_path):
    assert datasets.find(name, tmp_path) is None
    assert datasets.find(name, tmp_path / "nowhere") is None
    with pytest.raises(datasets.DatasetError, match="Expected"):
        datasets.read_cases(name, tmp_path)


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(datasets.DatasetError, match="Did you mean 'acdc'"):
        datasets.info("adcc")


def test_the_catalogue_is_light():
    code = (
        "import sys, pathlib, datasets, datasets.splits\n"
        "for name in datasets.NAMES: datasets.find(name, pathlib.Path('tests'))\n"
        "print([n for n in ('numpy', 'nibabel', 'keras', 'scipy') if n in sys.modules])"
    )
    assert run_python(code, cwd=REPOSITORY) == "[]"


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "datasets").rglob("*.py")), ids=lambda path: path.stem
)
def test_the_room_knows_no_other(path):
    imports = re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
    assert not {"keras", "tensorflow", "benchmark", "architectures", "mlflow"} & set(imports)


def check_release(name: str, data_root: Path, source: str) -> None:
    """The promises of `find`, `read_cases`, `fingerprint`, and `read_pair`."""
    found = datasets.find(name, data_root)
    assert found is not None
    assert found.source == source
    cases = datasets.read_cases(name, found.root)
    info = datasets.info(name)
    assert [case.id for case in cases] == sorted({case.id for case in cases})
    assert all(SAFE_NAME.fullmatch(case.id) for case in cases)
    assert all(case.image.is_file() and case.mask.is_file() for case in cases)
    assert all(isinstance(v, str) and v for case in cases for v in case.metadata.values())
    if info.phases:
        assert {case.metadata["phase"] for case in cases} == set(info.phases)
    digest = datasets.fingerprint(name, found.root, cases)
    assert digest == datasets.fingerprint(name, found.root, cases[::-1])
    for case in (cases[0], cases[-1]):
        image, mask = nifti.read_pair(case, info)
        assert image.array.ndim == info.dims == len(image.spacing_mm)
        assert image.array.shape == mask.array.shape
        assert (image.array.dtype, mask.array.dtype) == (np.float32, np.uint8)
        assert mask.array.any()


@every_dataset
@pytest.mark.skipif(not REAL.is_dir(), reason="no real scans at hand")
def test_real_scans(name):
    if datasets.find(name, REAL) is None:
        pytest.skip(f"no real {name} at hand")
    check_release(name, REAL, "real")


@pytest.mark.skipif(not (REAL / "CAMUS_public").is_dir(), reason="no real scans at hand")
def test_the_official_split_of_camus_is_400_50_50():
    from datasets.camus_lists import read_lists

    sides = [entry["official"] for entry in read_lists(REAL / "CAMUS_public").values()]
    assert [sides.count(s) for s in ("training", "validation", "testing")] == [400, 50, 50]


@pytest.mark.skipif(not (REAL / "ACDC").is_dir(), reason="no real scans at hand")
def test_volumes_of_real_masks_are_the_known_ones():
    reference = REAL.parent / "reference/acdc_volumes.csv"
    if not reference.is_file():
        pytest.skip("no reference volumes at hand")
    rows = [line.split(",") for line in reference.read_text().splitlines()]
    known = {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[1:]}
    cases = datasets.read_cases("acdc", REAL / "ACDC")[::8]
    for case in cases:
        mask = nifti.read_mask(case.mask, (1, 2, 3), dims=3)
        pixel_ml = float(np.prod(mask.spacing_mm)) / 1000
        for chamber, label in (("lv", 3), ("rv", 1)):
            volume_ml = np.count_nonzero(mask.array == label) * pixel_ml
            column = f"{chamber}_{'edv' if case.metadata['phase'] == 'ED' else 'esv'}_ml"
            assert volume_ml == pytest.approx(float(known[case.patient][column]), rel=1e-4)
        assert case.metadata["group"] == known[case.patient]["group"]


@every_dataset
def test_phantoms(name, phantoms):
    check_release(name, phantoms, "phantom")


def test_phantoms_of_an_unknown_dataset(tmp_path):
    with pytest.raises(datasets.DatasetError, match="Expected a dataset among"):
        datasets.write_phantom("adcc", tmp_path, patients=2, seed=0)


def test_every_split_is_named_after_its_function():
    assert all(function.__name__ == name for name, function in splits.SPLITS.items())
