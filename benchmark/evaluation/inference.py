"""Whole cases through a network of fixed input size: windows, blending, the native grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.pipeline import standardise
from benchmark.data.preprocessing import Array, Labels, Prepared, resample_blocks


class Predictor:
    """Applies a model to patches and to whole cases.

    Windows of the training size slide over the case with a stated overlap; where they overlap,
    probabilities are averaged with Gaussian weights (sigma = an eighth of the window, as nnU-Net
    does), because a network sees least context at the rim of a window. Every batch has the same
    size (the last is filled up with zeros), so that no backend compiles twice.

    Args:
        model: A model from ``(batch, *patch, 1)`` to logits ``(batch, *patch, classes)``, or to a
            list of such, the finest first.
        patch: Window, ``(y, x)`` for planar and ``(z, y, x)`` for volumetric networks.
        batch_size: Windows per forward pass.
        overlap: Overlap of neighbouring windows as a part of the window, in [0, 1).
        exclusive: Whether classes exclude each other (softmax), or each is a mask of its own
            (a sigmoid per class, for networks trained with ``one_vs_rest``).
    """

    def __init__(
        self,
        model: Any,
        patch: Sequence[int],
        *,
        batch_size: int,
        overlap: float,
        exclusive: bool = True,
    ) -> None:
        self.model = model
        self.patch = tuple(patch)
        self.batch_size = batch_size
        self.overlap = overlap
        self.activation = softmax if exclusive else sigmoid

    def warm_up(self) -> None:
        """Let the backend compile, with one batch of zeros."""
        self.logits(np.zeros((1, *self.patch, 1), np.float32))

    def logits(self, images: Array) -> Array:
        """Return logits ``(n, *patch, classes)`` of standardised patches ``(n, *patch, 1)``."""
        outputs = []
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            missing = self.batch_size - len(batch)
            if missing:
                batch = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), batch.dtype)])
            result = self.model.predict_on_batch(batch)
            if isinstance(result, list):  # deep supervision: the finest output comes first
                result = result[0]
            result = np.asarray(result, np.float32)
            outputs.append(result[: self.batch_size - missing])
        return np.concatenate(outputs)

    def blocks(self, prepared: Prepared) -> Iterator[Array]:
        """Yield class probabilities on the prepared grid as blocks of whole planes.

        A plane is given away when no further window reaches it, so that the memory needed is that
        of the planes of one window, whatever the volume's depth.

        Yields:
            Arrays ``(planes, y, x, classes)``, together ``(z, y, x, classes)``.
        """
        window = (1, *self.patch) if len(self.patch) == 2 else self.patch
        padding = [
            ((size - length) // 2, size - length - (size - length) // 2)
            if length < size
            else (0, 0)
            for length, size in zip(prepared.image.shape, window, strict=True)
        ]
        shape = tuple(
            before + length + after
            for (before, after), length in zip(padding, prepared.image.shape, strict=True)
        )
        inner = tuple(
            slice(before, size - after)
            for (before, after), size in zip(padding, shape, strict=True)
        )
        weight = _gaussian(window)
        total: Array | None = None
        norm = np.zeros((window[0], *shape[1:]), np.float32)
        base = 0  # the plane that stands first in `total`
        slabs: dict[int, Array] = {}
        for group in _batches(list(_corners(shape, window, self.overlap)), self.batch_size):
            slabs = {z: slabs[z] if z in slabs else _slab(prepared, z, window[0], padding)
                     for z in dict.fromkeys(corner[0] for corner in group)}  # fmt: skip
            views = [slabs[corner[0]][_region((0, *corner[1:]), window)] for corner in group]
            stack = np.stack(views)[..., np.newaxis]
            if len(self.patch) == 2:
                stack = stack[:, 0]
            parts = self.activation(self.logits(stack)).reshape(len(group), *window, -1)
            if total is None:
                total = np.zeros((*norm.shape, parts.shape[-1]), np.float32)
            for corner, part in zip(group, parts, strict=True):
                if corner[0] > base:
                    ready = corner[0] - base
                    yield _mean(total[:ready], norm[:ready])[:, inner[1], inner[2]]
                    base = corner[0]
                    for sums in (total, norm):
                        sums[:-ready] = sums[ready:]
                        sums[-ready:] = 0.0
                region = _region((0, *corner[1:]), window)
                total[region] += part * weight[..., np.newaxis]
                norm[region] += weight
        assert total is not None  # an image has at least one window
        yield _mean(total, norm)[inner]

    def probabilities(self, prepared: Prepared) -> Array:
        """Return class probabilities ``(z, y, x, classes)`` on the prepared grid."""
        return np.concatenate(list(self.blocks(prepared)))

    def mask(self, prepared: Prepared) -> Labels:
        """Return the label map on the native grid of the case, in the shape of its file.

        Probabilities are resampled linearly to the native grid, then the most probable class is
        taken: resampling labels instead would leave steps of the working grid.
        """
        return label_map(native_blocks(self.blocks(prepared), prepared), prepared)


def native_blocks(blocks: Iterable[Array], prepared: Prepared) -> Iterator[Array]:
    """Bring probabilities from the prepared to the native grid, block by block.

    Args:
        blocks: As :meth:`Predictor.blocks` yields them.
        prepared: The case.

    Yields:
        Arrays ``(planes, y, x, classes)``; a planar case has one plane.
    """
    shape = prepared.native_shape
    volume = (1, *shape) if len(shape) == 2 else shape
    return resample_blocks(blocks, prepared.image.shape[0], volume)


def label_map(blocks: Iterable[Array], prepared: Prepared) -> Labels:
    """Return the most probable class of every voxel of the native grid, in the file's shape.

    Args:
        blocks: As :func:`native_blocks` yields them.
        prepared: The case.
    """
    shape = prepared.native_shape
    labels = np.empty((1, *shape) if len(shape) == 2 else shape, np.uint8)
    done = 0
    for block in blocks:
        labels[done : done + len(block)] = block.argmax(axis=-1)
        done += len(block)
    return labels.reshape(shape)


def softmax(logits: Array) -> Array:
    """Return probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


def sigmoid(logits: Array) -> Array:
    """Return the probability of each class on its own."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), np.float32)


def _slab(prepared: Prepared, z: int, depth: int, padding: Sequence[tuple[int, int]]) -> Array:
    """Standardised planes of a case, those that a window at `z` sees, with its padding."""
    short = padding[0] != (0, 0)  # a case with fewer planes than the window is seen whole
    planes = prepared.image if short else prepared.image[z : z + depth]
    outside = (0.0 - prepared.mean) / prepared.std  # what zero intensity is after standardising
    return np.pad(standardise(np.asarray(planes), prepared), padding, constant_values=outside)


def _corners(
    shape: Sequence[int], window: Sequence[int], overlap: float
) -> Iterator[tuple[int, ...]]:
    """Yield the corners of evenly spread windows that cover the shape."""
    axes = []
    for length, size in zip(shape, window, strict=True):
        step = max(1.0, size * (1.0 - overlap))
        count = max(1, math.ceil((length - size) / step) + 1)
        axes.append(np.linspace(0, length - size, count).round().astype(int).tolist())
    yield from itertools.product(*axes)


def _mean(total: Array, norm: Array) -> Array:
    return np.asarray(total / norm[..., np.newaxis], np.float32)


def _region(corner: Sequence[int], window: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(start, start + size) for start, size in zip(corner, window, strict=True))


def _gaussian(window: Sequence[int]) -> npt.NDArray[np.float32]:
    weight = np.ones((), np.float32)
    for size in window:
        position = np.arange(size) - (size - 1) / 2
        weight = weight[..., np.newaxis] * np.exp(-0.5 * (position / (size / 8)) ** 2)
    return np.asarray(np.maximum(weight, 1e-3 * weight.max()), np.float32)


def _batches(corners: Sequence[tuple[int, ...]], size: int) -> Iterator[Sequence[tuple[int, ...]]]:
    return (corners[start : start + size] for start in range(0, len(corners), size))
