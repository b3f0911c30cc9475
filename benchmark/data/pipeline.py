"""Prepared cases become batches: patches, augmentation, order.

The stream is a pure function of its position: element ``i`` depends on the seeds and on ``i`` only,
never on the architecture, on the number of threads or on what was read before.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from benchmark.data.augmentation import Augment, augmenter
from benchmark.data.cache import CachedCase
from benchmark.data.preprocessing import Array, Prepared
from benchmark.environment import available_processors

T = TypeVar("T", bound=np.generic)
Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]

# Part of the training patches that is sure to hold the whole foreground of the case (or, where the
# patch is smaller, a piece of it); the others are drawn anywhere, so that networks learn the
# background they meet at inference.
FOREGROUND_SHARE = 0.67

# Threads that make batches, at most: they share the interpreter's lock, and more of them only wait.
MOST_THREADS = 4
# Batches that are made ahead of the training.
AHEAD = 8


def samples(cases: Sequence[CachedCase], dims: int) -> list[tuple[int, int]]:
    """List what one pass over the cases consists of: ``(case, slice)``, or ``(case, -1)`` in 3D."""
    if dims == 3:
        return [(index, -1) for index in range(len(cases))]
    return [
        (index, z)
        for index, cached in enumerate(cases)
        for z in range(cached.prepared.image.shape[0])
    ]


def training_batches(
    cases: Sequence[CachedCase],
    *,
    patch: Sequence[int],
    batch_size: int,
    augmentation: str,
    seed: int,
    stop: int,
    start: int = 0,
    threads: int | None = None,
) -> Generator[Batch, None, None]:
    """Yield the batches of a whole training, pass after pass over the cases, each shuffled anew.

    Args:
        cases: Prepared training cases.
        patch: Input size, ``(y, x)`` or ``(z, y, x)``.
        batch_size: Patches per batch.
        augmentation: Name of the recipe.
        seed: Seed of order, position and augmentation.
        stop: Number of batches of the whole training.
        start: Number of batches to skip, for going on where a run was interrupted.
        threads: How many make batches ahead; what they make does not depend on it. None takes
            :func:`default_threads`.

    Yields:
        Images ``(batch, *patch, 1)`` standardised per case, and masks ``(batch, *patch)``.
    """
    import grain

    dims = len(patch)
    listing = samples(cases, dims)
    augment = augmenter(augmentation)

    def make(sample: tuple[int, int], rng: np.random.Generator) -> Batch:
        index, z = sample
        return _example(cases[index].prepared, z, patch, rng, augment)

    stream = (
        grain.MapDataset.source(listing)
        .seed(seed)
        .shuffle()
        .repeat(math.ceil(stop * batch_size / len(listing)))
        .random_map(make)
        .batch(batch_size)
    )
    options = grain.ReadOptions(
        num_threads=default_threads() if threads is None else threads, prefetch_buffer_size=AHEAD
    )
    yield from stream[start:stop].to_iter_dataset(options)


def default_threads() -> int:
    """Return how many threads make batches: half the processors of this process, at most four.

    On two processors a second one takes its time from the training: 0.65 ms of processor time for
    a patch of 96×96 instead of 0.42 ms, for the same number of patches a second.
    """
    return max(1, min(MOST_THREADS, available_processors() // 2))


def validation_batches(
    cases: Sequence[CachedCase],
    *,
    patch: Sequence[int],
    batch_size: int,
    count: int,
    seed: int,
) -> list[Batch]:
    """Return a fixed set of patches, spread evenly over the validation cases, unaugmented.

    They serve to choose the best epoch only; scores are computed on whole cases. The last batch may
    be smaller than the others.
    """
    dims = len(patch)
    listing = samples(cases, dims)
    chosen = np.linspace(0, len(listing) - 1, min(count, len(listing))).round().astype(int)
    rng = np.random.default_rng(seed)
    augment = augmenter("none")
    examples = [
        _example(cases[listing[i][0]].prepared, listing[i][1], patch, rng, augment) for i in chosen
    ]
    return [
        (
            np.stack([image for image, _ in examples[start : start + batch_size]]),
            np.stack([mask for _, mask in examples[start : start + batch_size]]),
        )
        for start in range(0, len(examples), batch_size)
    ]


def standardise(image: Array, prepared: Prepared) -> Array:
    """Give an image in [0, 1] zero mean and unit deviation, by the statistics of its whole case."""
    result = np.subtract(image, prepared.mean, dtype=np.float32)
    result /= prepared.std
    return result


def _example(
    prepared: Prepared,
    z: int,
    patch: Sequence[int],
    rng: np.random.Generator,
    augment: Augment,
) -> Batch:
    window = (1, *patch) if len(patch) == 2 else tuple(patch)
    start = _corner(prepared, z, window, rng)
    image, mask = _cut(prepared.image, start, window), _cut(prepared.mask, start, window)
    image, mask = augment(image, mask, rng)
    image = standardise(image, prepared)
    if len(patch) == 2:
        image, mask = image[0], mask[0]
    return image[..., np.newaxis], mask


def _corner(
    prepared: Prepared, z: int, window: Sequence[int], rng: np.random.Generator
) -> tuple[int, ...]:
    """Choose where a patch starts; negative where the image is smaller than the patch."""
    safe = rng.random() < FOREGROUND_SHARE
    corner = []
    for axis, size in enumerate(window):
        length = prepared.image.shape[axis]
        if axis == 0 and z >= 0:
            corner.append(z)
            continue
        if length <= size:  # the whole axis fits: centred
            corner.append(-((size - length) // 2))
            continue
        low, high = 0, length - size
        if safe:
            begin, end = prepared.box[axis]
            if end - begin <= size:  # starts that keep all foreground inside
                low, high = max(low, end - size), min(high, begin)
            else:  # starts that lie wholly inside the foreground
                low, high = max(low, begin), min(high, end - size)
        corner.append(int(rng.integers(low, high + 1)))
    return tuple(corner)


def _cut(array: npt.NDArray[T], start: Sequence[int], size: Sequence[int]) -> npt.NDArray[T]:
    """Copy a window out of an array; what lies outside is zero."""
    source, target = [], []
    for begin, length, limit in zip(start, size, array.shape, strict=True):
        first, last = max(begin, 0), min(begin + length, limit)
        source.append(slice(first, last))
        target.append(slice(first - begin, last - begin))
    part = array[tuple(source)]
    if part.shape == tuple(size):
        return np.array(part)
    window = np.zeros(size, array.dtype)
    window[tuple(target)] = part
    return window
