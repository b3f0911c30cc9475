"""Damaged files give an error that names them, or are read; they never crash, hang, or swell."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets import acdc, camus, decathlon, nifti
from datasets.case import Case, DatasetError

MUTATIONS = 200
MOST_BYTES = 64 << 20


def damaged(content: bytes, rng: np.random.Generator, most: int | None = None) -> bytes:
    """`content` with one to four bits flipped, bytes overwritten, cut out, or doubled.

    Args:
        content: The sound bytes.
        rng: Where chance comes from.
        most: Only the first so many bytes are touched.
    """
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        end = min(len(data), most or len(data))
        if not end:
            break
        at = int(rng.integers(end))
        length = int(rng.integers(1, 9))
        match int(rng.integers(5)):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                data[at : at + length] = rng.bytes(length)
            case 2:
                data[at : at + length] = b"\xff" * length
            case 3:
                del data[at : None if most is None and rng.integers(2) else at + length]
            case 4:
                data[at:at] = data[at : at + length]
    return bytes(data)


def fault_of(read: Callable[[], object]) -> str:
    """What `read` says is wrong with the files; empty where it reads them."""
    try:
        read()
    except DatasetError as error:
        return str(error)
    return ""


@pytest.fixture
def bounded():
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST_BYTES


@pytest.mark.parametrize("where", ["file", "header", "pixels"])
@pytest.mark.usefixtures("bounded")
def test_images_and_masks(tmp_path, nifti_file, where):
    rng = np.random.default_rng(3)
    image = nifti_file(tmp_path / "image.nii.gz", rng.integers(0, 999, (3, 8, 9)), dtype="i2")
    mask = nifti_file(tmp_path / "mask.nii.gz", rng.integers(0, 4, (3, 8, 9)), dtype="u1")
    case = Case("a", "a", image, mask)
    faults = set()
    for number in range(MUTATIONS):
        path = (image, mask)[number % 2]
        sound = path.read_bytes()
        if where == "file":
            path.write_bytes(damaged(sound, rng))
        else:
            plain = damaged(gzip.decompress(sound), rng, 352 if where == "header" else None)
            path.write_bytes(gzip.compress(plain, 1))
        fault = fault_of(lambda: nifti.read_pair(case, acdc.INFO))
        assert not fault or path.name in fault
        faults.add(fault)
        path.write_bytes(sound)
    assert len(faults) > 5


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("packed", [False, True])
def test_metaimages(tmp_path, mhd_file, packed):
    rng = np.random.default_rng(4)
    header = mhd_file(tmp_path / "a.mhd", rng.integers(0, 255, (8, 9), np.uint8), packed=packed)
    for number in range(MUTATIONS):
        path = nifti.source_files(header)[number % 2]
        sound = path.read_bytes()
        path.write_bytes(damaged(sound, rng))
        fault = fault_of(lambda: nifti.read_image(header, dims=2))
        assert not fault or str(tmp_path) in fault
        path.write_bytes(sound)


@pytest.mark.usefixtures("bounded")
def test_info_files(tmp_path, acdc_patient, camus_patient):
    rng = np.random.default_rng(5)
    acdc_root, camus_root = tmp_path / "acdc", tmp_path / "camus"
    acdc_patient(acdc_root / "training/patient001")
    camus_patient(camus_root / "database_nifti/patient0001")
    texts = [
        (acdc_root / "training/patient001/Info.cfg", lambda: acdc.read_cases(acdc_root)),
        (
            camus_root / "database_nifti/patient0001/Info_2CH.cfg",
            lambda: camus.read_cases(camus_root),
        ),
    ]
    for path, read in texts:
        sound = path.read_bytes()
        for _ in range(MUTATIONS):
            path.write_bytes(damaged(sound, rng))
            fault = fault_of(read)
            assert not fault or str(path.parent) in fault


@pytest.mark.usefixtures("bounded")
def test_listings(tmp_path, task02):
    rng = np.random.default_rng(6)
    task02(tmp_path)
    training = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
        for name in ("la_003", "la_004")
    ]
    sound = json.dumps({"name": "LeftAtrium", "training": training, "test": []}).encode()
    for _ in range(MUTATIONS):
        (tmp_path / "dataset.json").write_bytes(damaged(sound, rng))
        fault = fault_of(lambda: decathlon.read_cases(tmp_path))
        assert not fault or "dataset.json" in fault or "is missing" in fault


def test_hundreds_of_damages_under_limits_of_memory_and_time():
    """`BENCHMARK_FUZZ=500` makes more of them, `BENCHMARK_FUZZ_SEED` others."""
    count = os.environ.get("BENCHMARK_FUZZ", "120")
    ended = subprocess.run(
        [sys.executable, Path(__file__).with_name("fuzz.py"), count,
         "--seed", os.environ.get("BENCHMARK_FUZZ_SEED", "0")],
        capture_output=True, text=True, check=False,
        # OpenBLAS sets memory aside for every core, which would count against the limit.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = json.loads(ended.stdout)
    assert found["damages"] == int(count)
    assert found["peak_mib"] < 2048
    assert found["read"] > found["damages"] / 20
    assert found["kinds_of_refusal"] > 20


def test_pipes_and_devices_are_no_texts(tmp_path, acdc_patient):
    folder = acdc_patient(tmp_path / "training/patient001")
    (folder / "Info.cfg").unlink()
    os.mkfifo(folder / "Info.cfg")
    assert "Info.cfg should be a text file" in fault_of(lambda: acdc.read_cases(tmp_path))
