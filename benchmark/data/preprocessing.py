"""Cases at native geometry become arrays on the protocol's grid, and predictions go back.

All resampling is separable: along each axis a voxel is a weighted sum of a few neighbours. The sums
are taken neighbour by neighbour, without BLAS, whose threads would fight with those that prepare
several cases at once, and whose order of summation differs between machines.
Voxel centres sit at half-integer positions, so that a grid and its resampled version cover the
same field of view. Enlarging is linear interpolation; shrinking widens the triangle kernel to the
new spacing, which averages instead of aliasing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

# Intensities outside these percentiles are clipped, as MRI has no absolute scale and a few bright
# vessels would otherwise set it (the range nnU-Net uses for clipping).
CLIP_PERCENTILES = (0.5, 99.5)

# What one block of `resample_blocks` takes at most.
_BLOCK_BYTES = 1 << 26

# Shares of a voxel closer than this are equal, and the lower label wins: rounding must not decide.
_TIE = 1e-5


@dataclass(frozen=True)
class Prepared:
    """One case on the protocol's grid.

    Attributes:
        image: Intensities scaled to [0, 1], ``(z, y, x)``; planar images have ``z = 1``.
        mask: Labels, same shape.
        mean: Mean intensity, with which networks' inputs are standardised.
        std: Standard deviation of the intensity, never zero.
        box: Foreground as ``((z0, z1), (y0, y1), (x0, x1))``, the whole image where it is empty.
        native_shape: Shape of the file's array.
        native_spacing_mm: Spacing of the file's array.
    """

    image: Array
    mask: Labels
    mean: float
    std: float
    box: tuple[tuple[int, int], ...]
    native_shape: tuple[int, ...]
    native_spacing_mm: tuple[float, ...]

    def in_memory(self) -> Prepared:
        """Return a copy whose arrays are no longer mapped from the disk."""
        return dataclasses.replace(self, image=np.array(self.image), mask=np.array(self.mask))


def prepare(
    image: Array,
    mask: Labels | None,
    spacing_mm: Sequence[float],
    target_mm: Sequence[float | None],
) -> Prepared:
    """Bring one case to the protocol's grid.

    Args:
        image: Intensities, ``(z, y, x)`` or ``(y, x)``.
        mask: Labels of the same shape; None where there are none, all is background then.
        spacing_mm: Spacing in the order of the axes.
        target_mm: Spacing wanted, ``(z, y, x)``; None keeps an axis as it is.
    """
    native_shape, native_spacing = image.shape, tuple(float(step) for step in spacing_mm)
    if image.ndim == 2:
        image, spacing_mm = image[np.newaxis], (1.0, *spacing_mm)
        mask = None if mask is None else mask[np.newaxis]
        target_mm = (None, *target_mm[1:])
    shape = target_shape(image.shape, spacing_mm, target_mm)
    scaled = resample(scale_intensity(image), shape)
    mean, std = float(scaled.mean()), max(float(scaled.std()), 1e-3)
    labels = np.broadcast_to(np.uint8(0), shape) if mask is None else resample_labels(mask, shape)
    return Prepared(
        image=np.clip(scaled, 0.0, 1.0, out=scaled),  # ours alone: no second copy of a volume
        mask=labels,
        mean=mean,
        std=std,
        box=tuple((0, size) for size in shape) if mask is None else foreground_box(labels),
        native_shape=native_shape,
        native_spacing_mm=native_spacing,
    )


def scale_intensity(image: Array) -> Array:
    """Clip to the 0.5th and 99.5th percentile and scale to [0, 1]; a constant image becomes 0."""
    low, high = np.percentile(image, CLIP_PERCENTILES)
    if high <= low:
        low, high = float(image.min()), float(image.max())
    if high <= low:
        return np.zeros_like(image, dtype=np.float32)
    scaled = np.empty(image.shape, np.float32)
    # One plane at a time: the arithmetic is in float64, and a whole volume of it is large.
    for target, plane in zip(scaled, image, strict=True):
        target[...] = (np.clip(plane, low, high) - low) / (high - low)
    return scaled


def target_shape(
    shape: Sequence[int], spacing_mm: Sequence[float], target_mm: Sequence[float | None]
) -> tuple[int, ...]:
    """Return the number of voxels that covers the same field of view at the target spacing."""
    return tuple(
        size if target is None else max(1, round(size * spacing / target))
        for size, spacing, target in zip(shape, spacing_mm, target_mm, strict=True)
    )


def resample(array: Array, shape: Sequence[int]) -> Array:
    """Resample the leading axes of an array to ``shape``; further axes are carried along."""
    for axis, size in enumerate(shape):
        if array.shape[axis] != size:
            array = _Taps.triangle(array.shape[axis], size).apply(array, axis)
    return np.ascontiguousarray(array)


def resample_blocks(blocks: Iterable[Array], rows: int, shape: Sequence[int]) -> Iterator[Array]:
    """Resample an array ``(z, y, x, classes)`` that comes, and leaves, in blocks of whole planes.

    The numbers are those of :func:`resample`; only a few planes are in memory at a time.

    Args:
        blocks: The array cut along z, from the first plane to the last.
        rows: Its planes in all.
        shape: ``(z, y, x)`` wanted.

    Yields:
        The resampled array cut along z, in order.
    """
    taps = _Taps.triangle(rows, shape[0])
    used = taps.share > 0
    first = np.where(used, taps.index, rows).min(axis=1)
    last = np.where(used, taps.index, -1).max(axis=1)
    held: Array | None = None
    base, done = 0, 0  # the first of the planes held, and how many were given away
    for block in blocks:
        held = block if held is None else np.concatenate([held, block])
        ready = int(np.searchsorted(last, base + len(held)))
        widest = max(math.prod(shape[1:]), math.prod(held.shape[1:3]))
        step = max(1, _BLOCK_BYTES // (4 * widest * held.shape[-1]))
        for start in range(done, ready, step):
            stop = min(start + step, ready)
            if rows == shape[0]:
                part = held[start - base : stop - base]
            else:
                index = np.clip(taps.index[start:stop] - base, 0, len(held) - 1)
                part = _Taps(index, taps.share[start:stop]).apply(held, 0)
            yield resample(part, (stop - start, *shape[1:]))
        done = ready
        end = base + len(held)
        keep = min(int(first[done]), end) if done < len(first) else end
        held, base = held[keep - base :], keep


def resample_labels(mask: Labels, shape: Sequence[int]) -> Labels:
    """Resample a label map class by class and take the class that covers most of each voxel.

    Only what the foreground reaches is computed: all else is background, most of the picture.
    """
    if mask.shape == tuple(shape):
        return np.ascontiguousarray(mask)
    result = np.zeros(tuple(shape), dtype=np.uint8)
    if not mask.any():
        return result
    part, reached, taps = mask, [], []
    for axis, (size, bounds) in enumerate(zip(shape, foreground_box(mask), strict=True)):
        rows, columns, local = _Taps.triangle(mask.shape[axis], size).around(*bounds)
        part = part[(slice(None),) * axis + (columns,)]
        reached.append(rows)
        taps.append(local)
    best = np.full([rows.stop - rows.start for rows in reached], -1.0, dtype=np.float32)
    labels = np.zeros(best.shape, dtype=np.uint8)
    for label in np.unique(part):
        share = (part == label).astype(np.float32)
        for axis, local in enumerate(taps):
            if mask.shape[axis] != shape[axis]:
                share = local.apply(share, axis)
        labels[share > best + _TIE] = label
        np.maximum(best, share, out=best)
    result[tuple(reached)] = labels
    return result


def foreground_box(mask: Labels) -> tuple[tuple[int, int], ...]:
    """Return the smallest box that holds all labelled voxels, as (start, stop) per axis."""
    bounds = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        hits = np.flatnonzero(mask.any(axis=others))
        bounds.append((int(hits[0]), int(hits[-1]) + 1) if hits.size else (0, mask.shape[axis]))
    return tuple(bounds)


@dataclass(frozen=True)
class _Taps:
    """Which voxels each new voxel of one axis is made of, and in which shares.

    Attributes:
        index: Old voxels, ``(new voxels, taps)``.
        share: Their shares, same shape; each row sums to one.
    """

    index: npt.NDArray[np.intp]
    share: Array

    @classmethod
    def triangle(cls, size_in: int, size_out: int) -> _Taps:
        """Return the taps of the triangle kernel, as wide as the larger of the two spacings."""
        scale = size_in / size_out
        width = max(scale, 1.0)
        centres = (np.arange(size_out) + 0.5) * scale - 0.5
        # Samples beyond the border repeat the border voxel: a centre outside is pulled onto it.
        centres = np.clip(centres, 0, size_in - 1)
        first = np.floor(centres - width).astype(np.intp) + 1
        index = first[:, np.newaxis] + np.arange(math.ceil(2 * width))
        share = np.maximum(0.0, 1.0 - np.abs(index - centres[:, np.newaxis]) / width)
        share[(index < 0) | (index >= size_in)] = 0.0
        share /= share.sum(axis=1, keepdims=True)
        return cls(np.clip(index, 0, size_in - 1), share.astype(np.float32))

    def apply(self, array: Array, axis: int) -> Array:
        """Return the array with this axis resampled."""
        along = (-1,) + (1,) * (array.ndim - axis - 1)
        result = np.zeros(1, np.float32)
        for index, share in zip(self.index.T, self.share.T, strict=True):
            term = array.take(index, axis)
            term *= share.reshape(along)
            result = np.add(result, term, out=term)
        return result

    def around(self, start: int, stop: int) -> tuple[slice, slice, _Taps]:
        """Return the new voxels that see old ones in the range, all old ones they see, and how."""
        seen = (self.index >= start) & (self.index < stop) & (self.share > 0)
        rows = np.flatnonzero(seen.any(axis=1))
        reached = slice(int(rows[0]), int(rows[-1]) + 1)
        index, share = self.index[reached], self.share[reached]
        used = index[share > 0]
        low, high = int(used.min()), int(used.max()) + 1
        return reached, slice(low, high), _Taps(np.clip(index, low, high - 1) - low, share)
