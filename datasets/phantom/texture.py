"""Random fields and scanner effects shared by the phantoms; arrays are float32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


def stretch(field: Float, shape: Sequence[int]) -> Float:
    """Resample an array to `shape` with smooth interpolation between neighbours.

    Gathers instead of a matrix product, so that the result is the same to the last bit whatever
    the number of threads of the linear algebra library.
    """
    # The last axis first: the largest steps are then copies of whole rows.
    for axis in reversed(range(field.ndim)):
        size = shape[axis]
        known = field.shape[axis]
        if known == size:
            continue
        place = np.linspace(0.0, known - 1.0, size)
        below = np.minimum(place.astype(int), max(known - 2, 0))
        share = (place - below).astype(np.float32)
        share = share * share * (3.0 - 2.0 * share)
        share = share.reshape([-1 if a == axis else 1 for a in range(field.ndim)])
        lower = np.take(field, below, axis=axis)
        upper = np.take(field, np.minimum(below + 1, known - 1), axis=axis)
        field = lower + share * (upper - lower)
    return field


def smooth_field(
    shape: Sequence[int], cells: Sequence[int], *, rng: np.random.Generator, octaves: int = 1
) -> Float:
    """Value noise of unit spread: independent normals on a coarse grid, drawn out to `shape`.

    Args:
        shape: shape of the result.
        cells: number of independent values along each axis in the coarsest layer.
        rng: source of randomness.
        octaves: layers; each doubles the cells and halves the amplitude.
    """
    total = np.zeros(tuple(shape), dtype=np.float32)
    for octave in range(octaves):
        grid = [min(max(2, c * 2**octave), n) for c, n in zip(cells, shape, strict=True)]
        noise = rng.standard_normal(grid, dtype=np.float32)
        total += stretch(noise, shape) * np.float32(0.5**octave)
    return total


def rician(signal: Float, sigma: float, *, rng: np.random.Generator) -> Float:
    """Magnitude of a signal with complex Gaussian noise of spread `sigma`.

    Gudbjartsson and Patz, "The Rician distribution of noisy MRI data", MRM 34:910-914, 1995.
    """
    real = rng.standard_normal(signal.shape, dtype=np.float32)
    real *= np.float32(sigma)
    real += signal
    imaginary = rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary *= np.float32(sigma)
    real *= real
    imaginary *= imaginary
    real += imaginary
    return np.sqrt(real, out=real)


def spread(mean: float, deviation: float, *, rng: np.random.Generator, reach: float = 1.6) -> float:
    """A normal draw kept within `reach` deviations of its mean."""
    return mean + deviation * float(np.clip(rng.standard_normal(), -reach, reach))
