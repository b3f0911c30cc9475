"""Graded corruption of images: what a worse scanner, coil, probe or patient does to a picture.

Five kinds with five severities each, after the idea of ImageNet-C (Hendrycks and Dietterich, ICLR
2019); severity 0 is the image itself, to the bit. An image is corrupted on its own grid before it
is prepared. Intensities are taken in units of the range between the 0.5th and the 99.5th percentile
of the image, lengths in millimetres. A random pattern depends on the case and the kind only: all
architectures see the same image, and a higher severity is more of the same pattern.

A change of contrast that is linear would be undone by the preparation, which scales every image to
its own range; so contrast is a gamma curve here.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

SEVERITIES = 5
# Raised with every change of what a kind or severity means: curves are then measured again.
VERSION = 1

# Size of the grains of speckle: about the axial and lateral resolution of a cardiac probe.
GRAIN_MM = 0.7
# Most half-waves of a bias field across the image: coils are wide.
_HALF_WAVES = 2
_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class Corruption:
    """One kind.

    Attributes:
        title: Its name for people.
        unit: What a level is a number of.
        levels: The level of each severity, from 1.
        apply: Function of the scaled image, its spacing in mm, the level and a generator.
    """

    title: str
    unit: str
    levels: tuple[float, ...]
    apply: Callable[[Array, Sequence[float], float, np.random.Generator], Array]


def corrupt(
    image: Array,
    spacing_mm: Sequence[float],
    *,
    name: str,
    severity: int,
    case: str,
    modality: str = "MRI",
) -> Array:
    """Return a corrupted copy of an image; at severity 0 the image itself.

    Args:
        image: Intensities as stored, ``(z, y, x)`` or ``(y, x)``.
        spacing_mm: Spacing of its axes.
        name: A kind of :data:`CORRUPTIONS`.
        severity: From 0 to :data:`SEVERITIES`.
        case: Id of the case, which seeds what is random.
        modality: ``MRI`` or ``ultrasound``, whose noise is another.
    """
    if severity == 0:
        return image
    low, high = np.percentile(image, _PERCENTILES)
    if high <= low:
        return image  # a constant image has no range to be corrupted in
    kind = kind_for(name, modality)
    seed = int.from_bytes(hashlib.sha256(f"{case}|{name}".encode()).digest()[:8])
    scaled = ((image - low) / (high - low)).astype(np.float32)
    worse = kind.apply(scaled, spacing_mm, kind.levels[severity - 1], np.random.default_rng(seed))
    return np.asarray(worse * (high - low) + low, np.float32)


def kind_for(name: str, modality: str) -> Corruption:
    """Return the kind as it is for a modality: the noise of ultrasound is speckle."""
    return SPECKLE if name == "noise" and modality == "ultrasound" else CORRUPTIONS[name]


def _rician(
    image: Array, spacing_mm: Sequence[float], level: float, rng: np.random.Generator
) -> Array:
    """Magnitude of a complex signal with Gaussian noise (Gudbjartsson and Patz, 1995)."""
    real, imaginary = rng.standard_normal((2, *image.shape), dtype=np.float32)
    shown = np.maximum(image, 0.0)  # a magnitude is not negative
    below = np.minimum(image, 0.0)
    return np.asarray(np.hypot(shown + level * real, level * imaginary) + below, np.float32)


def _speckle(
    image: Array, spacing_mm: Sequence[float], level: float, rng: np.random.Generator
) -> Array:
    """Multiplicative noise of correlated grains; no pixel becomes darker than the darkest."""
    from scipy.ndimage import gaussian_filter

    noise = rng.standard_normal(image.shape, dtype=np.float32)
    sigma = [GRAIN_MM / 2.355 / step for step in spacing_mm]
    noise = gaussian_filter(noise, sigma, mode="reflect")
    noise /= max(float(noise.std()), 1e-6)
    shown = np.maximum(image, 0.0)
    return np.asarray(
        shown * np.maximum(1.0 + level * noise, 0.0) + np.minimum(image, 0.0), np.float32
    )


def _bias_field(
    image: Array, spacing_mm: Sequence[float], level: float, rng: np.random.Generator
) -> Array:
    """A smooth gain between 1 / level and level: a few long waves across the image."""
    axes = np.meshgrid(
        *(np.linspace(0.0, np.pi, size, dtype=np.float32) for size in image.shape),
        indexing="ij", sparse=True,
    )  # fmt: skip
    field = np.zeros(image.shape, np.float32)
    for halves in itertools.product(range(_HALF_WAVES + 1), repeat=image.ndim):
        if 0 < sum(halves) <= _HALF_WAVES:
            amplitude, phase = rng.uniform(-1.0, 1.0), rng.uniform(0.0, 2 * np.pi)
            angle = sum(count * axis for count, axis in zip(halves, axes, strict=True)) + phase
            field += np.asarray(amplitude * np.cos(angle), np.float32)
    field /= max(float(np.abs(field).max()), 1e-6)
    return np.asarray(image * np.exp(math.log(level) * field), np.float32)


def _blur(
    image: Array, spacing_mm: Sequence[float], level: float, rng: np.random.Generator
) -> Array:
    """A Gaussian of the same width in mm along all axes."""
    from scipy.ndimage import gaussian_filter

    sigma = [level / step for step in spacing_mm]
    return np.asarray(gaussian_filter(image, sigma, mode="reflect"), np.float32)


def _contrast(
    image: Array, spacing_mm: Sequence[float], level: float, rng: np.random.Generator
) -> Array:
    """A gamma curve, darker or brighter as the case's coin falls; the ends of the range stay."""
    gamma = level if rng.random() < 0.5 else 1.0 / level
    inside = np.clip(image, 0.0, 1.0)
    return np.asarray(image + (inside**gamma - inside), np.float32)


def _resolution(
    image: Array, spacing_mm: Sequence[float], level: float, rng: np.random.Generator
) -> Array:
    """Voxels of at least so many mm, shown on the grid of the original."""
    from benchmark.data.preprocessing import resample, target_shape

    coarse = target_shape(image.shape, spacing_mm, [max(level, step) for step in spacing_mm])
    return resample(resample(image, coarse), image.shape)


CORRUPTIONS: Mapping[str, Corruption] = {
    "noise": Corruption(
        "Rician noise", "of the range", (0.02, 0.05, 0.1, 0.15, 0.25), _rician
    ),
    "bias_field": Corruption("Bias field", "× gain", (1.1, 1.3, 1.6, 2.0, 3.0), _bias_field),
    "blur": Corruption("Blur", "mm", (0.5, 1.0, 2.0, 3.0, 4.0), _blur),
    "contrast": Corruption("Contrast", "gamma", (1.2, 1.5, 2.0, 2.7, 3.5), _contrast),
    "resolution": Corruption("Resolution", "mm", (2.0, 3.0, 4.0, 6.0, 8.0), _resolution),
}  # fmt: skip
SPECKLE = Corruption("Speckle", "of the signal", (0.1, 0.2, 0.4, 0.6, 0.9), _speckle)
