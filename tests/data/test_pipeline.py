from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmark.data.augmentation import augmenter
from benchmark.data.cache import CachedCase
from benchmark.data.pipeline import samples, training_batches, validation_batches
from benchmark.data.preprocessing import prepare
from datasets.case import Case


def cached(index: int, shape=(5, 40, 48)) -> CachedCase:
    rng = np.random.default_rng(index)
    mask = np.zeros(shape, np.uint8)
    mask[1:4, 25:33, 8:20] = 1
    image = (rng.random(shape) + mask).astype(np.float32)
    case = Case(f"case{index}", f"patient{index}", Path("x"), Path("y"), {})
    return CachedCase(case, prepare(image, mask, (1.0,) * len(shape), (None, 1.0, 1.0)))


CASES = [cached(index) for index in range(3)]


def stream(**changes):
    options = {
        "patch": (32, 32), "batch_size": 4, "augmentation": "standard", "seed": 7, "stop": 12,
    } | changes  # fmt: skip
    return training_batches(CASES, **options)


def test_shapes_and_types():
    images, masks = next(stream())
    assert images.shape == (4, 32, 32, 1)
    assert images.dtype == np.float32
    assert masks.shape == (4, 32, 32)
    assert masks.dtype == np.uint8
    images, masks = next(stream(patch=(8, 32, 32), batch_size=2))
    assert images.shape == (2, 8, 32, 32, 1)
    assert masks.shape == (2, 8, 32, 32)


def test_rule_the_stream_depends_on_seed_and_position_only():
    first, again = list(stream()), list(stream())
    assert len(first) == 12
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])
    other = next(stream(seed=8))
    assert not np.array_equal(first[0][0], other[0])


def test_an_interrupted_stream_goes_on_at_the_same_sample():
    whole = list(stream())
    rest = list(stream(start=9))
    assert len(rest) == 3
    for one, two in zip(whole[9:], rest, strict=True):
        np.testing.assert_array_equal(one[0], two[0])


def test_rule_batch_depends_on_seed_and_position_however_it_is_reached():
    """A budget of seconds has no last batch; where a stream ends does not change what it gives."""
    whole = list(stream(augmentation="standard"))
    endless = stream(augmentation="standard", start=9, stop=10**14)
    for one, two in zip(whole[9:], endless, strict=False):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])
    endless.close()


@pytest.mark.parametrize("patch", [(32, 32), (4, 32, 32)])
def test_rule_the_stream_is_the_same_for_any_number_of_threads(patch):
    """Augmentation draws, noise of OpenCV included, in whatever thread a batch is made."""
    alone, *others = (list(stream(patch=patch, threads=threads)) for threads in (0, 1, 2, 4))
    for other in others:
        assert len(other) == len(alone) == 12
        for one, two in zip(alone, other, strict=True):
            np.testing.assert_array_equal(one[0], two[0])
            np.testing.assert_array_equal(one[1], two[1])


@pytest.mark.parametrize("start", [1, 5, 11])
@pytest.mark.parametrize("threads", [1, 4])
def test_rule_a_stream_that_starts_at_k_begins_with_element_k(start, threads):
    whole = list(stream(threads=1))
    rest = list(stream(start=start, threads=threads))
    assert len(rest) == 12 - start
    for one, two in zip(whole[start:], rest, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])


def test_two_threads_are_taken_only_where_the_training_keeps_two(monkeypatch):
    from benchmark.data import pipeline

    for processors, threads in ((1, 1), (2, 1), (4, 2), (16, 4), (128, 4)):
        monkeypatch.setattr(
            os, "sched_getaffinity", lambda _, n=processors: set(range(n)), raising=False
        )
        assert pipeline.default_threads() == threads


def test_every_pass_visits_every_slice_once_in_a_new_order():
    positions = samples(CASES, 2)
    assert len(positions) == 15
    assert samples(CASES, 3) == [(0, -1), (1, -1), (2, -1)]
    batches = list(islice(stream(batch_size=15, augmentation="none", patch=(40, 48)), 2))
    sums = [sorted(float(image.sum()) for image in images) for images, _ in batches]
    np.testing.assert_allclose(sums[0], sums[1], rtol=1e-5)
    assert not np.array_equal(batches[0][0], batches[1][0])


def test_two_patches_in_three_hold_the_whole_foreground():
    whole = 8 * 12
    counts = [
        int(mask.sum())
        for _, masks in stream(augmentation="none", patch=(24, 24), batch_size=16, stop=40)
        for mask in masks
        if mask.any()
    ]
    share = np.mean(np.asarray(counts) == whole)
    assert 0.7 < share < 0.98


def test_image_smaller_than_the_patch_is_centred_in_zeros():
    images, masks = next(stream(patch=(64, 64), augmentation="none"))
    assert images.shape == (4, 64, 64, 1)
    assert not masks[:, :12].any()
    assert not masks[:, 52:].any()
    border = images[:, 0, 0, 0]
    assert np.all(border < 0)  # zero intensity, standardised


def test_validation_patches_are_fixed_and_unaugmented():
    one, two = (
        validation_batches(CASES, patch=(32, 32), batch_size=4, count=6, seed=1) for _ in range(2)
    )
    assert [len(images) for images, _ in one] == [4, 2]
    np.testing.assert_array_equal(one[1][0], two[1][0])


def test_augmentation_moves_image_and_mask_together():
    image = np.zeros((2, 64, 64), np.float32)
    image[:, 20:40, 24:44] = 1.0
    mask = (image > 0).astype(np.uint8)
    moved, labels = augmenter("standard")(image, mask, np.random.default_rng(5))
    assert not np.array_equal(labels, mask)
    inside, outside = moved[labels == 1].mean(), moved[labels == 0].mean()
    assert inside > outside + 0.5
    np.testing.assert_array_equal(labels[0], labels[1])  # one draw for the whole volume


def test_augmentation_adds_no_label():
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 4, (1, 48, 48)).astype(np.uint8)
    image = rng.random((1, 48, 48)).astype(np.float32)
    for seed in range(20):
        _, labels = augmenter("standard")(image, mask, np.random.default_rng(seed))
        assert set(np.unique(labels)) <= {0, 1, 2, 3}


@pytest.mark.parametrize("name", ["standard", "mirrored", "none"])
def test_augmentation_is_a_function_of_its_generator(name):
    image = np.random.default_rng(0).random((1, 32, 32)).astype(np.float32)
    mask = (image > 0.5).astype(np.uint8)
    one = augmenter(name)(image, mask, np.random.default_rng(3))
    two = augmenter(name)(image, mask, np.random.default_rng(3))
    np.testing.assert_array_equal(one[0], two[0])
