"""What surrounds the heart in a short-axis slice: chest wall, lungs, liver, stomach, vessels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.phantom.geometry import Contour, Float, coverage, paint
from datasets.phantom.texture import smooth_field

LUNG, MUSCLE, LIVER, FAT, INK = 0.05, 0.22, 0.27, 0.9, 0.07
INK_MM = 1.1
"""Width of the dark seam where fat and water share a pixel and cancel (bSSFP's etching)."""


@dataclass(frozen=True)
class Blob:
    """Filled ellipse with a thin wall, present in slices `first` to `last`. Lengths in mm."""

    y: float
    x: float
    radius_y: float
    radius_x: float
    angle: float
    value: float
    wall_mm: float
    wall_value: float
    first: int
    last: int


@dataclass(frozen=True)
class Thorax:
    """Surroundings of one patient's heart, in mm from the image's centre.

    Attributes:
        outline: wobble of the skin.
        centre: (y, x) of the trunk.
        half_axes: (y, x) of the trunk.
        fat_mm: mean thickness of the subcutaneous fat.
        muscle_mm: thickness of the chest wall's muscle.
        diaphragm_y: height of the diaphragm under the heart.
        slope: its fall per mm to the right.
        blobs: organs and vessels, painted in order.
        fat_angle: direction in which that fat is thickest, radians.
    """

    outline: Contour
    centre: tuple[float, float]
    half_axes: tuple[float, float]
    fat_mm: float
    muscle_mm: float
    diaphragm_y: float
    slope: float
    blobs: tuple[Blob, ...]
    fat_angle: float

    def draw(self, y: Float, x: Float, index: int, depth: float, rng: np.random.Generator) -> Float:
        """Signal of one slice before the heart is laid into it.

        Args:
            y: column (rows, 1) of coordinates.
            x: row (1, columns) of coordinates.
            index: number of the slice from the base.
            depth: 0 at the base to 1 at the apex: fat thickens and the diaphragm rises.
            rng: source of the textures.

        Returns:
            Array (rows, columns) of signals with fat near 1.
        """
        shape = (y.shape[0], x.shape[1])
        pixel = float(x[0, 1] - x[0, 0])
        dy, dx = y - self.centre[0], x - self.centre[1]
        angle = np.arctan2(dy, dx)
        scale = np.hypot(dy / self.half_axes[0], dx / self.half_axes[1])
        reach = np.hypot(dy, dx)
        edge = reach / np.maximum(scale, 1e-3) * self.outline.factor(angle)
        skin = (reach - edge).astype(np.float32)
        cloud = smooth_field(shape, (8, 8), rng=rng, octaves=4) * np.float32(0.8)
        fat_mm = self.fat_mm * (1.0 + 0.7 * depth) * (
            1.0 + 0.5 * np.cos(angle - self.fat_angle) + 0.25 * np.cos(2 * angle)
        )  # fmt: skip
        inner = skin + fat_mm.astype(np.float32) + 1.5 * cloud

        image = np.zeros(shape, dtype=np.float32)
        paint(image, coverage(skin, pixel), FAT * (1.0 + 0.07 * cloud))
        paint(image, coverage(inner, pixel), INK)
        paint(image, coverage(inner + INK_MM, pixel), MUSCLE * (1.0 + 0.2 * cloud))
        lung = inner + self.muscle_mm
        spots = np.cos(13.0 * angle + self.fat_angle) - 0.35
        rib = np.maximum(-spots * 12.0, np.abs(lung - 0.45 * self.muscle_mm) - 3.5)
        paint(image, coverage(rib.astype(np.float32), 2.0), 0.55 * (1.0 + 0.3 * cloud))
        paint(image, coverage(np.abs(lung - 1.5) - 0.8, 1.5), 0.45)
        paint(image, coverage(lung, pixel), LUNG * (1.0 + 0.5 * cloud))
        # Below the diaphragm fat lies between the organs.
        level = self.diaphragm_y - 12.0 * depth + self.slope * x + 0.0013 * x * x + 1.5 * cloud
        below = np.maximum(level - y, lung + 1.0).astype(np.float32)
        paint(image, coverage(below, pixel), INK)
        paint(image, coverage(below + 2.5, pixel), 0.55 * (1.0 + 0.4 * cloud))
        for blob in self.blobs:
            if blob.first <= index <= blob.last:
                paint_blob(image, y, x, blob, cloud)
        # Organs end at the chest wall and at the skin.
        paint(image, coverage(-(lung + 2.0), 2.0) * coverage(inner + INK_MM, pixel)
              * coverage(-below - 1.0, 2.0) * coverage(-rib.astype(np.float32), 2.0),
              MUSCLE * (1.0 + 0.2 * cloud))  # fmt: skip
        paint(image, coverage(-inner - INK_MM, pixel) * coverage(skin, pixel),
              FAT * (1.0 + 0.07 * cloud))  # fmt: skip
        paint(image, coverage(-skin, pixel), 0.0)
        return image


def paint_blob(image: Float, y: Float, x: Float, blob: Blob, texture: Float | None = None) -> None:
    """Lay one ellipse over a slice, its inside modulated by a texture of the slice's shape."""
    reach = max(blob.radius_y, blob.radius_x) + blob.wall_mm + 3.0
    rows = np.flatnonzero(np.abs(y[:, 0] - blob.y) < reach)
    columns = np.flatnonzero(np.abs(x[0] - blob.x) < reach)
    if rows.size == 0 or columns.size == 0:
        return
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    dy, dx = y[box[0]] - blob.y, x[:, box[1]] - blob.x
    c, s = np.float32(np.cos(blob.angle)), np.float32(np.sin(blob.angle))
    along, across = c * dx + s * dy, c * dy - s * dx
    level = np.hypot(along / blob.radius_x, across / blob.radius_y)
    distance = ((level - 1.0) * min(blob.radius_x, blob.radius_y)).astype(np.float32)
    value: Float | float = blob.value
    if texture is not None:
        value = blob.value * (1.0 + 0.15 * texture[box])
        # Organs are no ellipses: the texture pushes their borders.
        distance += np.float32(0.12 * min(blob.radius_x, blob.radius_y)) * texture[box]
    pixel = float(x[0, 1] - x[0, 0])
    part = image[box]
    if blob.wall_mm > 0:
        paint(part, coverage(distance - blob.wall_mm, pixel), blob.wall_value)
    paint(part, coverage(distance, pixel), value)


def random_thorax(
    heart: tuple[float, float], below_mm: float, slices: int, *, rng: np.random.Generator
) -> Thorax:
    """A trunk around a heart.

    Args:
        heart: (y, x) of the left ventricle's centre.
        below_mm: distance from there to the diaphragm.
        slices: number of slices, for organs that appear in some only.
        rng: source of randomness.
    """
    waves = tuple((float(a), float(b)) for a, b in rng.uniform(-0.016, 0.016, (3, 2)))
    diaphragm = heart[0] + below_mm
    blobs: list[Blob] = []

    def add(
        y: float, x: float, size: float, value: float, *, ratio: float = 0.8, seam: float = INK_MM,
        edge: float = INK, angle: float | None = None, first: int = -9, last: int = 99,
    ) -> None:  # fmt: skip
        turn = float(rng.uniform(0, np.pi)) if angle is None else angle
        blobs.append(Blob(y, x, size * ratio, size, turn, value, seam, edge, first, last))

    def draw(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    # Bowel and stomach to the right under the diaphragm, then the spleen and the liver.
    for _ in range(30):
        first = int(rng.integers(-4, slices - 1))
        add(diaphragm + draw(16, 130), heart[1] + draw(-50, 95), draw(6, 20),
            float(rng.choice([0.08, 0.2, 0.28, 0.4, 0.85])), ratio=draw(0.5, 1.0),
            seam=draw(0.8, 3.0), edge=float(rng.choice([INK, INK, 0.35])), first=first,
            last=first + int(rng.integers(2, 6)))  # fmt: skip
    add(diaphragm + draw(26, 40), heart[1] + draw(48, 70), draw(26, 34), draw(0.3, 0.4),
        ratio=0.55, angle=draw(1.0, 1.6))  # fmt: skip
    liver = draw(1.0, 1.3)
    add(diaphragm + 48 * liver, heart[1] - draw(52, 66), 72 * liver, LIVER, ratio=draw(0.6, 0.7),
        angle=draw(0.15, 0.5), last=int(rng.integers(slices - 4, slices)))  # fmt: skip
    for _ in range(9):  # liver vessels
        add(diaphragm + draw(22, 70), heart[1] - draw(20, 90), draw(1.2, 4.0), draw(0.5, 0.8),
            ratio=draw(0.4, 1.0), seam=0.0)  # fmt: skip
    for _ in range(55):  # lung vessels, larger near the heart
        first, away = int(rng.integers(-2, slices)), draw(48, 105)
        turn = draw(-2.9, 0.3)
        add(heart[0] + away * np.sin(turn), heart[1] + away * np.cos(turn),
            draw(0.9, 2.8) * 60 / away, draw(0.2, 0.75), seam=0.0, ratio=draw(0.4, 1.0),
            first=first, last=first + int(rng.integers(0, 3)))  # fmt: skip
    # The descending aorta: round and as bright as the heart's blood; beside it the spine.
    aorta = heart[0] + draw(26, 50), heart[1] + draw(62, 78)
    add(aorta[0] + draw(5, 12), aorta[1] + draw(22, 27), 20, 0.3, ratio=0.8, edge=0.5)
    add(aorta[0], aorta[1], draw(9, 12), draw(0.8, 1.0), ratio=draw(0.9, 1.0))
    return Thorax(
        outline=Contour(waves),
        centre=(heart[0] + draw(75, 105), heart[1] + draw(-10, 8)),
        half_axes=(draw(190, 215), draw(128, 144)),
        fat_mm=draw(9, 20), muscle_mm=draw(8, 13), diaphragm_y=diaphragm,
        slope=draw(-0.12, 0.12), blobs=tuple(blobs), fat_angle=draw(-1.2, 1.2),
    )  # fmt: skip
