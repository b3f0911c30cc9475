"""Whole cases in bounded memory: planes come block by block, and the numbers are the same."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.pipeline import standardise
from benchmark.data.preprocessing import prepare, resample, resample_blocks
from benchmark.evaluation.inference import Predictor, native_blocks, softmax


class Mixing:
    """A network whose logits depend on the whole window, on the position in it and in the batch."""

    def __init__(self, classes=3):
        self.classes = classes

    def predict_on_batch(self, batch):
        rest = batch - batch.mean(axis=tuple(range(1, batch.ndim)), keepdims=True)
        ramp = np.linspace(-1, 1, batch[0].size, dtype=np.float32).reshape(batch[0].shape)
        return np.concatenate([rest * (k + 1) + k * ramp for k in range(self.classes)], axis=-1)


def whole(predictor, prepared):
    """Probabilities on the native grid as they are defined: all windows summed, then resampled."""
    image = standardise(prepared.image, prepared)
    window = (1, *predictor.patch) if len(predictor.patch) == 2 else predictor.patch
    lacking = [max(0, size - length) for length, size in zip(image.shape, window, strict=True)]
    padding = [(gap // 2, gap - gap // 2) for gap in lacking]
    padded = np.pad(image, padding, constant_values=(0.0 - prepared.mean) / prepared.std)
    axes = []
    for length, size in zip(padded.shape, window, strict=True):
        count = max(1, int(np.ceil((length - size) / max(1.0, size * (1 - predictor.overlap)))) + 1)
        axes.append(np.linspace(0, length - size, count).round().astype(int))
    weight = np.ones((), np.float32)
    for size in window:
        position = np.arange(size) - (size - 1) / 2
        weight = weight[..., np.newaxis] * np.exp(-0.5 * (position / (size / 8)) ** 2)
    weight = np.maximum(weight, 1e-3 * weight.max()).astype(np.float32)
    corners = list(itertools.product(*axes))
    total, norm = None, np.zeros((*padded.shape, 1), np.float32)
    for start in range(0, len(corners), predictor.batch_size):
        group = corners[start : start + predictor.batch_size]
        regions = [tuple(slice(a, a + n) for a, n in zip(each, window, strict=True))
                   for each in group]  # fmt: skip
        stack = np.stack([padded[region] for region in regions])[..., np.newaxis]
        stack = stack[:, 0] if len(predictor.patch) == 2 else stack
        parts = softmax(predictor.logits(stack)).reshape(len(group), *window, -1)
        if total is None:
            total = np.zeros((*padded.shape, parts.shape[-1]), np.float32)
        for region, part in zip(regions, parts, strict=True):
            total[region] += part * weight[..., np.newaxis]
            norm[region] += weight[..., np.newaxis]
    inner = tuple(slice(a, size - b) for (a, b), size in zip(padding, padded.shape, strict=True))
    return resample((total / norm)[inner], prepared.native_shape)


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 25), st.integers(3, 22), st.integers(3, 22)),
    target=st.tuples(
        st.sampled_from([None, 0.6, 1.0, 1.7]), st.sampled_from([0.8, 1.0, 1.9]), st.just(1.3)
    ),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.75]),
    patch=st.sampled_from([(8, 8), (4, 8, 8), (7, 8, 6)]),
    batch=st.integers(1, 5),
)
def test_blocks_are_bit_for_bit_the_whole(shape, target, overlap, patch, batch):
    image = np.random.default_rng(0).random(shape, np.float32)
    case = prepare(image, None, (1.0, 1.0, 1.0), target)
    predictor = Predictor(Mixing(), patch, batch_size=batch, overlap=overlap)
    expected = whole(predictor, case)
    found = np.concatenate(list(native_blocks(predictor.blocks(case), case)))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(predictor.mask(case), expected.argmax(axis=-1))


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 40), wanted=st.integers(1, 60), cuts=st.lists(st.integers(0, 40)),
    limit=st.sampled_from([1, 1 << 26]),
)  # fmt: skip
def test_resampling_in_blocks_is_resampling(rows, wanted, cuts, limit):
    array = np.random.default_rng(rows).random((rows, 5, 4, 2), np.float32)
    edges = sorted({0, rows, *(cut for cut in cuts if cut < rows)})
    blocks = [array[a:b] for a, b in itertools.pairwise(edges)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.data.preprocessing._BLOCK_BYTES", limit)
        found = list(resample_blocks(blocks, rows, (wanted, 7, 3)))
    np.testing.assert_array_equal(np.concatenate(found), resample(array, (wanted, 7, 3)))
    if limit == 1:
        assert all(len(block) == 1 for block in found)


def test_memory_does_not_grow_with_the_depth():
    """A case four times as deep takes as much beside its mask, which is one byte per voxel."""

    def peak(depth):
        case = prepare(
            np.random.default_rng(0).random((depth, 64, 64), np.float32), None,
            (1.0, 1.0, 1.0), (1.0, 2.0, 2.0),
        )  # fmt: skip
        predictor = Predictor(Mixing(classes=8), (8, 16, 16), batch_size=2, overlap=0.5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("benchmark.data.preprocessing._BLOCK_BYTES", 1 << 20)
            tracemalloc.start()
            try:
                mask = predictor.mask(case)
                return tracemalloc.get_traced_memory()[1] - mask.nbytes
            finally:
                tracemalloc.stop()

    assert peak(200) < 1.1 * peak(50)


def test_a_case_without_labels_is_prepared_as_one_with_them():
    image = np.random.default_rng(3).random((5, 20, 18), np.float32)
    bare = prepare(image, None, (3.0, 1.0, 1.0), (None, 2.0, 1.5))
    empty = prepare(image, np.zeros(image.shape, np.uint8), (3.0, 1.0, 1.0), (None, 2.0, 1.5))
    np.testing.assert_array_equal(bare.image, empty.image)
    np.testing.assert_array_equal(bare.mask, empty.mask)
    assert (bare.mean, bare.std, bare.box) == (empty.mean, empty.std, empty.box)
