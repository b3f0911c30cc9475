from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmark.data.cache import MAKERS, Cache
from benchmark.errors import DataError
from datasets import acdc
from datasets.case import Case

ROOT = Path(__file__).resolve().parents[2]


def write_case(folder, index: int) -> Case:
    rng = np.random.default_rng(index)
    mask = np.zeros((24, 20, 4), np.uint8)
    mask[8:16, 6:12, 1:3] = 3
    image = (100 * rng.random(mask.shape) + 50 * mask).astype(np.int16)
    paths = []
    for name, array in (("image", image), ("mask", mask)):
        paths.append(folder / f"{name}{index}.nii.gz")
        nib.save(nib.Nifti1Image(array, np.diag([1.5, 1.5, 10.0, 1.0])), paths[-1])
    return Case(f"case{index}", f"patient{index}", *paths, {})


@pytest.fixture
def cases(tmp_path):
    return [write_case(tmp_path, index) for index in range(3)]


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", acdc.INFO, (None, 2.0, 2.0))


def entries(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


def test_prepares_in_order_and_reports_progress(cache, cases):
    seen = []
    loaded = cache.load(cases, lambda done, total: seen.append((done, total)))
    assert [cached.case.id for cached in loaded] == ["case0", "case1", "case2"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    prepared = loaded[0].prepared
    assert prepared.image.shape == prepared.mask.shape == (4, 15, 18)
    assert prepared.native_shape == (4, 20, 24)
    assert prepared.native_spacing_mm == pytest.approx((10.0, 1.5, 1.5))
    assert set(np.unique(prepared.mask)) == {0, 3}


def test_second_start_reads_memory_mapped_arrays_and_writes_nothing(cache, cases, tmp_path):
    first = cache.load(cases)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")}
    second = cache.load(cases)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")} == before
    for one, two in zip(first, second, strict=True):
        assert isinstance(two.prepared.image, np.memmap)
        np.testing.assert_array_equal(one.prepared.image, two.prepared.image)
        assert one.prepared.box == two.prepared.box


def test_changed_file_or_setting_makes_a_new_entry(cache, cases, tmp_path):
    cache.load(cases)
    count = len(entries(tmp_path))
    Cache(tmp_path / "cache", acdc.INFO, (None, 3.0, 3.0)).load(cases[:1])
    assert len(entries(tmp_path)) == count + 3
    changed = np.zeros((24, 20, 4), np.uint8)
    nib.save(nib.Nifti1Image(changed, np.diag([1.5, 1.5, 10.0, 1.0])), cases[0].mask)
    assert not cache.load(cases[:1])[0].prepared.mask.any()


@pytest.mark.parametrize("maker", MAKERS, ids=lambda module: module.__name__)
def test_edited_code_makes_a_new_entry(cache, cases, tmp_path, monkeypatch, maker):
    cache.load(cases[:1])
    edited = tmp_path / "edited.py"
    edited.write_text(Path(maker.__file__).read_text() + "# another line\n")
    monkeypatch.setattr(maker, "__file__", str(edited))
    Cache(tmp_path / "cache", acdc.INFO, (None, 2.0, 2.0)).load(cases[:1])
    assert len(entries(tmp_path)) == 2 * 3


def test_entry_without_its_last_file_is_no_entry(cache, cases, tmp_path):
    cache.load(cases[:1])
    (described,) = (tmp_path / "cache").rglob("*.json")
    image = described.with_name(described.name.replace(".json", ".image.npy"))
    described.unlink()
    image.write_bytes(b"half")
    assert cache.load(cases[:1])[0].prepared.image.shape == (4, 15, 18)


def test_what_a_killed_process_left_is_swept_after_a_day(cache, cases, tmp_path):
    cache.load(cases[:1])
    (described,) = (tmp_path / "cache").rglob("*.json")
    described.unlink()
    young, old, other = (
        described.with_name(f".{name}.image.npy.{number}.tmp")
        for number, name in enumerate((described.stem, described.stem, "case1-0123"))
    )
    for path in (young, old, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (0, 0))
    cache.load(cases[:1])
    assert (young.exists(), old.exists(), other.exists()) == (True, False, True)


def test_truncated_file_is_named(cache, cases):
    content = cases[1].image.read_bytes()
    cases[1].image.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=str(cases[1].image)):
        cache.load(cases)


def test_mask_of_another_shape_is_named(cache, cases):
    nib.save(nib.Nifti1Image(np.zeros((24, 20, 5), np.uint8), np.diag([1.5, 1.5, 10, 1])),
             cases[2].mask)  # fmt: skip
    with pytest.raises(DataError, match=r"case2|mask2"):
        cache.load(cases)


def test_unexpected_label_is_named(cache, cases):
    nib.save(nib.Nifti1Image(np.full((24, 20, 4), 9, np.uint8), np.diag([1.5, 1.5, 10, 1])),
             cases[2].mask)  # fmt: skip
    with pytest.raises(DataError, match="9"):
        cache.load(cases)


def damage_json(text: str):
    return lambda stem: stem.with_suffix(".json").write_text(text)


def cut(name: str, keep: float):
    def apply(stem):
        path = stem.with_name(f"{stem.name}.{name}.npy")
        content = path.read_bytes()
        path.write_bytes(content[: int(keep * len(content))])

    return apply


def replace_array(name: str, make):
    def apply(stem):
        path = stem.with_name(f"{stem.name}.{name}.npy")
        np.save(path, make(np.load(path)), allow_pickle=True)

    return apply


@pytest.mark.parametrize(
    "damage",
    [
        damage_json(""),
        damage_json("{"),
        damage_json("null"),
        damage_json("[1, 2]"),
        damage_json('{"shape": 3}'),
        damage_json('{"shape": [4, 15, 18]}'),
        lambda stem: stem.with_suffix(".json").write_bytes(b"\xff\x00" * 99),
        cut("image", 0),
        cut("image", 0.01),
        cut("image", 0.999),
        cut("mask", 0.5),
        lambda stem: stem.with_name(f"{stem.name}.mask.npy").unlink(),
        lambda stem: stem.with_name(f"{stem.name}.mask.npy").write_bytes(b"\x93NUMPY\x01\x00" * 99),
        replace_array("mask", lambda array: array[:-1]),
        replace_array("mask", lambda array: array.astype(np.int64)),
        replace_array("image", lambda array: np.array({"not": "an array"}, dtype=object)),
        replace_array("image", lambda array: array.T.copy().T),
    ],
)
def test_damaged_entry_is_made_again(cache, cases, tmp_path, damage):
    (whole,) = cache.load(cases[:1])
    image, mask = np.array(whole.prepared.image), np.array(whole.prepared.mask)
    del whole
    (described,) = (tmp_path / "cache").rglob("*.json")
    damage(described.with_suffix(""))
    (again,) = cache.load(cases[:1])
    np.testing.assert_array_equal(again.prepared.image, image)
    np.testing.assert_array_equal(again.prepared.mask, mask)
    assert len(entries(tmp_path)) == 3


# Runs in a process of its own, which forks before it has any thread.
KILLED_AND_RACING = """
import os, signal, sys
from pathlib import Path
import nibabel  # before the forks, which would each import it
from benchmark.data.cache import Cache
from datasets import acdc
from datasets.case import Case

folder, sources = Path(sys.argv[1]), Path(sys.argv[2])
cases = [Case(f"case{k}", f"p{k}", sources / f"image{k}.nii.gz", sources / f"mask{k}.nii.gz", {})
         for k in range(3)]

def child(work, cache, cases):
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        Cache(cache, acdc.INFO, (None, 2.0, 2.0), workers=1).load(cases)
        os._exit(0)
    finally:
        os._exit(1)

def die_at(step):
    # Before and after every one of the steps that put something on the disk.
    calls = 0
    def counted(original):
        def call(*arguments):
            nonlocal calls
            for late in (False, True):
                if late:
                    result = original(*arguments)
                if calls == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                calls += 1
            return result
        return call
    os.fsync = counted(os.fsync)
    Path.replace = counted(Path.replace)

ends = []
for step in range(99):
    _, status = os.waitpid(child(lambda: die_at(step), folder / f"killed{step}", cases[:1]), 0)
    ends.append(status)
    if status == 0:
        break
racing = [child(lambda: None, folder / "racing", cases) for _ in range(4)]
ends.extend(os.waitpid(pid, 0)[1] for pid in racing)
print(*ends)
"""


def test_survives_a_kill_at_any_step_and_four_processes_at_once(cases, tmp_path):
    """A case of three files, each flushed and renamed: 12 moments at which to die."""
    script = tmp_path / "script.py"
    script.write_text(KILLED_AND_RACING)
    ended = subprocess.run(
        [sys.executable, script, tmp_path / "caches", tmp_path],
        check=True, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.stdout.split() == ["9"] * 12 + ["0"] * 5
    folders = sorted((tmp_path / "caches").iterdir())
    assert len(folders) == 14
    fresh = Cache(tmp_path / "cache", acdc.INFO, (None, 2.0, 2.0)).load(cases)
    for folder in folders:
        loaded = Cache(folder, acdc.INFO, (None, 2.0, 2.0)).load(cases)
        for one, two in zip(fresh, loaded, strict=True):
            np.testing.assert_array_equal(one.prepared.image, two.prepared.image)
            np.testing.assert_array_equal(one.prepared.mask, two.prepared.mask)
            assert (one.prepared.mean, one.prepared.box) == (two.prepared.mean, two.prepared.box)


MEASURED = """
import json, sys
from pathlib import Path
import datasets
from benchmark.data import cache

root = datasets.find("acdc", Path(sys.argv[1])).root
prepare, prepared = cache.prepare, []
cache.prepare = lambda *arguments: prepared.append(1) or prepare(*arguments)
starts = []
for _ in range(2):
    cases = datasets.read_cases("acdc", root)
    loaded = cache.Cache(Path(sys.argv[2]), datasets.info("acdc"), (None, 1.25, 1.25)).load(cases)
    starts.append(len(prepared))
# Not `ru_maxrss`, which a process inherits from the one that started it.
peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps({"cases": len(loaded), "prepared": starts, "peak_mib": peak}))
"""


def test_real_scans_are_prepared_once_and_take_little_memory(real_data, tmp_path):
    """All ACDC scans at hand on the grid of the full profile."""
    if not (real_data / "ACDC").is_dir():
        pytest.skip("no ACDC at hand")
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, real_data, tmp_path / "cache"],
        check=True, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    found = json.loads(ended.stdout)
    assert found["cases"] > 0
    assert found["prepared"] == [found["cases"]] * 2
    assert found["peak_mib"] < 1536
