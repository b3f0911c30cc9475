from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from benchmark.data.cache import Cache
from benchmark.errors import DataError
from datasets import acdc
from datasets.case import Case


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


def test_entry_without_its_last_file_is_no_entry(cache, cases, tmp_path):
    cache.load(cases[:1])
    (described,) = (tmp_path / "cache").rglob("*.json")
    image = described.with_name(described.name.replace(".json", ".image.npy"))
    described.unlink()
    image.write_bytes(b"half")
    assert cache.load(cases[:1])[0].prepared.image.shape == (4, 15, 18)


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
