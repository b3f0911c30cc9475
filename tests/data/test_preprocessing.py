from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.preprocessing import (
    foreground_box,
    prepare,
    resample,
    resample_labels,
    scale_intensity,
    target_shape,
)

sizes = st.integers(1, 24)


@settings(deadline=None, max_examples=60)
@given(st.tuples(sizes, sizes, sizes), st.tuples(sizes, sizes, sizes), st.floats(-5, 5))
def test_constant_stays_constant(shape, target, value):
    result = resample(np.full(shape, value, np.float32), target)
    assert result.shape == target
    np.testing.assert_allclose(result, value, rtol=1e-5, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 30), st.integers(1, 60))
def test_values_stay_within_the_range(size, target):
    rng = np.random.default_rng(size * 100 + target)
    array = rng.normal(size=(size, 3)).astype(np.float32)
    result = resample(array, (target, 3))
    assert result.min() >= array.min() - 1e-5
    assert result.max() <= array.max() + 1e-5


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_enlarging_a_ramp_is_linear_in_the_field_of_view(factor):
    ramp = np.arange(10, dtype=np.float32)
    fine = resample(ramp, (10 * factor,))
    centres = (np.arange(10 * factor) + 0.5) / factor - 0.5
    np.testing.assert_allclose(fine, np.clip(centres, 0, 9), atol=1e-5)


def test_enlarging_agrees_with_opencv():
    cv2 = pytest.importorskip("cv2")
    image = np.random.default_rng(0).random((17, 23)).astype(np.float32)
    ours = resample(image, (40, 51))
    theirs = cv2.resize(image, (51, 40), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_shrinking_averages_instead_of_aliasing():
    stripes = np.tile([0.0, 1.0], 64).astype(np.float32)
    small = resample(stripes, (32,))
    np.testing.assert_allclose(small[1:-1], 0.5, atol=1e-5)


def test_trailing_axes_are_carried_along():
    array = np.random.default_rng(1).random((4, 5, 6, 3)).astype(np.float32)
    together = resample(array, (7, 5, 9))
    for channel in range(3):
        np.testing.assert_allclose(
            together[..., channel], resample(array[..., channel], (7, 5, 9)), atol=1e-6
        )


def test_labels_keep_volume_and_invent_no_class():
    mask = np.zeros((20, 64, 64), np.uint8)
    mask[5:15, 10:40, 20:50] = 3
    mask[5:15, 15:30, 25:40] = 1
    small = resample_labels(mask, (20, 32, 32))
    assert set(np.unique(small)) == {0, 1, 3}
    for label in (1, 3):
        assert 4 * (small == label).sum() == pytest.approx((mask == label).sum(), rel=0.1)


def test_target_shape_covers_the_same_field_of_view():
    assert target_shape((10, 256, 216), (10, 1.5, 1.5), (None, 2.0, 3.0)) == (10, 192, 108)
    assert target_shape((1, 3, 3), (1, 1, 1), (None, 100, 100)) == (1, 1, 1)


def test_planar_image_becomes_one_slice_and_remembers_its_shape():
    image = np.random.default_rng(2).random((60, 40)).astype(np.float32)
    mask = (image > 0.5).astype(np.uint8)
    prepared = prepare(image, mask, (0.3, 0.3), (None, 0.6, 0.6))
    assert prepared.image.shape == prepared.mask.shape == (1, 30, 20)
    assert prepared.native_shape == (60, 40)
    assert prepared.native_spacing_mm == (0.3, 0.3)


def test_intensity_is_clipped_and_scaled():
    image = np.linspace(0, 1000, 10_000, dtype=np.float32).reshape(100, 100)
    image[0, 0] = 1e6
    scaled = scale_intensity(image)
    assert scaled.min() == 0
    assert scaled.max() == 1
    assert scaled[50, 50] == pytest.approx(0.5, abs=0.02)


def test_rare_signal_and_constant_images_do_not_divide_by_zero():
    rare = np.zeros((100, 100), np.float32)
    rare[0, 0] = 7
    assert scale_intensity(rare).max() == 1
    assert scale_intensity(np.full((4, 4), 5, np.float32)).max() == 0


def test_foreground_box():
    mask = np.zeros((4, 5, 6), np.uint8)
    assert foreground_box(mask) == ((0, 4), (0, 5), (0, 6))
    mask[1, 2:4, 5] = 1
    assert foreground_box(mask) == ((1, 2), (2, 4), (5, 6))


@settings(deadline=None, max_examples=40)
@given(st.tuples(sizes, sizes, sizes), st.tuples(sizes, sizes, sizes), st.integers(0, 99))
def test_labels_are_those_of_the_whole_picture(shape, target, seed):
    """Only the surroundings of the foreground are computed; nothing is lost outside them."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, np.uint8)
    start = [int(rng.integers(size)) for size in shape]
    stop = [int(rng.integers(first, size)) + 1 for first, size in zip(start, shape, strict=True)]
    inside = tuple(map(slice, start, stop))
    mask[inside] = rng.integers(0, 4, mask[inside].shape)
    shares = np.stack([resample((mask == k).astype(np.float32), target) for k in range(4)])
    np.testing.assert_allclose(shares.sum(axis=0), 1.0, atol=1e-5)
    ours = resample_labels(mask, target)
    covered = np.take_along_axis(shares, ours[np.newaxis].astype(int), 0)[0]
    assert (covered >= shares.max(axis=0) - 1e-4).all()
    clear = np.sort(shares, axis=0)
    clear = clear[-1] - clear[-2] > 1e-4
    np.testing.assert_array_equal(ours[clear], shares.argmax(axis=0)[clear])


def test_one_interpolation_is_the_weighted_sum_of_a_triangle():
    """Against the dense matrix of the kernel's definition."""
    rng = np.random.default_rng(4)
    for before, after in ((30, 11), (11, 30), (17, 16), (7, 1), (1, 5)):
        scale = before / after
        centres = np.clip((np.arange(after) + 0.5) * scale - 0.5, 0, before - 1)
        distance = np.abs(np.arange(before) - centres[:, np.newaxis])
        weights = np.maximum(0.0, 1.0 - distance / max(scale, 1.0))
        weights /= weights.sum(axis=1, keepdims=True)
        array = rng.random((before, 3)).astype(np.float32)
        np.testing.assert_allclose(resample(array, (after, 3)), weights @ array, atol=1e-6)
