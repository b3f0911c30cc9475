"""How one short-axis slice of a heart looks in cine MRI."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from datasets.phantom.geometry import Float, coverage, paint
from datasets.phantom.texture import smooth_field
from datasets.phantom.thorax import Blob, paint_blob
from datasets.phantom.ventricles import Ventricles


@dataclass(frozen=True)
class Style:
    """Signals (fat of the chest wall near 1) and scanner settings of one patient."""

    blood: float
    right_blood: float
    muscle: float
    fat: float
    fat_mm: float
    papillary_mm: float
    noise: float
    blur: float
    gain: float


def random_style(*, rng: np.random.Generator) -> Style:
    """Draw the contrast of one patient."""
    blood = float(rng.uniform(0.85, 1.05))
    return Style(
        blood=blood, right_blood=blood * float(rng.uniform(0.78, 0.98)),
        muscle=float(rng.uniform(0.2, 0.32)), fat=float(rng.uniform(0.55, 0.85)),
        fat_mm=float(rng.uniform(1.5, 6.0)), papillary_mm=float(rng.uniform(3.0, 5.5)),
        noise=float(rng.uniform(0.018, 0.04)), blur=float(rng.uniform(0.45, 0.75)),
        gain=float(rng.uniform(220, 700)),
    )  # fmt: skip


def _vessels(
    heart: Ventricles, y: float, x: float, z: float, rng: np.random.Generator
) -> list[Blob]:
    """Left atrium and great vessels, which take the ventricles' place above the base."""
    size = heart.outer_radius * float(rng.uniform(0.6, 0.7))
    c, s = np.cos(heart.septum), np.sin(heart.septum)
    far = max(0.0, heart.base - z) * 0.25
    atrium = Blob(y + 6 + far, x + 8, size * 0.8, size * 1.15, 0.5, 0.72, 2.0, 0.3, 0, 99)
    aorta = Blob(y + 16 * s - 12, x + 16 * c, 13, 14, 0, 0.92, 1.8, 0.2, 0, 99)
    blobs = [atrium, aorta]
    if heart.depth_at(z) <= 0:
        blobs.append(Blob(y + 42 * s + 14, x + 42 * c, 18, 21, 1.0, 0.75, 2.0, 0.25, 0, 99))
        blobs.append(Blob(y + 36 * s - 26, x + 30 * c, 12, 14, 0.3, 0.85, 1.5, 0.2, 0, 99))
    return blobs


def _grain(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> Float:
    """Round speckles of unit spread, `sigma` pixels wide."""
    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, truncate=3.0)
    return noise / np.float32(noise.std())


def draw_heart(
    image: Float, heart: Ventricles, y: Float, x: Float, z: float, style: Style,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Lay one slice of the ventricles over the surroundings, blurred through the slice."""
    pixel = float(x[0, 1] - x[0, 0])
    shape = image.shape
    inner_share, outer_share, right_share = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    coat, wall = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    cloud = smooth_field(shape, (9, 9), rng=rng, octaves=3)
    heights = (z - 3.6, z - 1.8, z + 1.8, z + 3.6, z)
    # Fat gathers in the grooves and between the right ventricle and the chest wall.
    fat_mm = style.fat_mm * (1.0 + np.cos(np.arctan2(y, x) - np.float32(heart.septum + 0.5)))
    for height in heights:
        inner, outer, right = heart.distances(height, y, x)
        inner_share += coverage(inner, pixel) / len(heights)
        outer_share += coverage(outer, pixel) / len(heights)
        right_share += coverage(right, pixel) / len(heights)
        wall += coverage(right - 3.0, pixel) / len(heights)
        coat += coverage(np.minimum(outer, right - 3.0) - fat_mm - 2.0 * cloud, 2.0) / len(heights)
    inner_middle, right_middle = inner, right  # the last height is the slice's middle
    # The pericardium is a thin dark line round the fat that lies on the heart.
    paint(image, np.clip(2.0 * coat, 0.0, 1.0), 0.12)
    paint(image, np.clip(2.0 * coat - 1.0, 0.0, 1.0), style.fat * (0.8 + 0.3 * cloud))
    if z < heart.base:
        for blob in _vessels(heart, 0.0, 0.0, z, rng):
            paint_blob(image, y, x, blob)
    paint(image, wall, style.muscle)
    # Trabeculae: muscle mixed into the blood along the walls, which observers count as cavity.
    grain = _grain(shape, 1.3, rng)
    mesh: Float = np.clip(grain - 0.2, 0.0, 1.0)
    near_right: Float = np.clip(1.2 + right_middle / np.float32(2.5 * style.papillary_mm), 0.1, 1.0)
    near_left: Float = np.clip(1.1 + inner_middle / np.float32(style.papillary_mm), 0.0, 1.0)
    flow: Float = 1.0 + np.float32(0.05) * cloud
    paint(image, right_share, style.right_blood * flow * (1.0 - 0.6 * mesh * near_right))
    uneven: Float = 1.0 + np.float32(0.1) * cloud + np.float32(0.05) * grain
    paint(image, outer_share, style.muscle * uneven)
    paint(image, inner_share, style.blood * flow * (1.0 - 0.75 * mesh * near_left))
    radius = heart.inner_radius_at(z)
    depth = (z - heart.base) / heart.length
    if radius > 6.0 and 0.15 < depth < 0.9:
        for side in (-1.15, 1.05):
            angle = heart.septum + np.pi + side
            size = style.papillary_mm * (0.6 + 0.5 * depth) * float(rng.uniform(0.8, 1.2))
            place = max(0.0, radius - 0.9 * size)
            paint_blob(image, y, x, Blob(
                place * np.sin(angle), place * np.cos(angle), min(size, 0.45 * radius),
                min(size * 1.2, 0.5 * radius), angle, style.muscle * 1.15, 0.0, 0.0, 0, 99,
            ))  # fmt: skip
