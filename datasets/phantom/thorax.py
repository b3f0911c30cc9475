"""What surrounds the heart in a short-axis slice: chest wall, lungs, liver, stomach, vessels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.phantom.geometry import Contour, Float, coverage, paint
from datasets.phantom.texture import smooth_field

LUNG, MUSCLE, LIVER, FAT = 0.04, 0.22, 0.3, 0.95


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
        ribs: angles at which ribs cross the slice.
    """

    outline: Contour
    centre: tuple[float, float]
    half_axes: tuple[float, float]
    fat_mm: float
    muscle_mm: float
    diaphragm_y: float
    slope: float
    blobs: tuple[Blob, ...]
    ribs: tuple[float, ...]

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
        cloud = smooth_field(shape, (7, 7), rng=rng, octaves=3)
        fat_mm = self.fat_mm * (1.0 + 0.5 * depth) * (1.0 + 0.35 * np.cos(angle * 2 + self.slope))
        inner = skin + fat_mm.astype(np.float32) + 2.0 * cloud

        image = np.zeros(shape, dtype=np.float32)
        paint(image, coverage(skin, pixel), FAT * (1.0 + 0.06 * cloud))
        paint(image, coverage(inner, 2 * pixel), MUSCLE * (1.0 + 0.15 * cloud))
        lung = inner + self.muscle_mm
        for rib in self.ribs:
            ay, ax = np.sin(rib), np.cos(rib)
            k = 1.0 / np.hypot(ay / self.half_axes[0], ax / self.half_axes[1])
            k = k * float(self.outline.factor(np.asarray(rib))) - self.fat_mm - self.muscle_mm / 2
            _blob(image, y, x, Blob(
                self.centre[0] + k * ay, self.centre[1] + k * ax, 3.5, 6.0, rib + np.pi / 2,
                0.6, 1.5, 0.1, 0, 99,
            ))
        paint(image, coverage(lung, pixel), LUNG)
        level = self.diaphragm_y - 14.0 * depth + self.slope * x + 0.0011 * x * x
        below = np.maximum(level - y, lung + 1.0).astype(np.float32)
        paint(image, coverage(below - 2.0, 2 * pixel), 0.12)
        paint(image, coverage(below, pixel), LIVER * (1.0 + 0.12 * cloud))
        for blob in self.blobs:
            if blob.first <= index <= blob.last:
                _blob(image, y, x, blob)
        return image


def _blob(image: Float, y: Float, x: Float, blob: Blob) -> None:
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
    pixel = float(x[0, 1] - x[0, 0])
    part = image[box]
    if blob.wall_mm > 0:
        paint(part, coverage(distance - blob.wall_mm, pixel), blob.wall_value)
    paint(part, coverage(distance, pixel), blob.value)


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
    waves = tuple((float(a), float(b)) for a, b in rng.uniform(-0.035, 0.035, (4, 2)))
    diaphragm = heart[0] + below_mm
    slope = float(rng.uniform(-0.12, 0.12))
    blobs: list[Blob] = []

    def add(y: float, x: float, size: float, value: float, *, wall: float = 0.0, round_: float = 0.7,
            wall_value: float = 0.1, first: int = 0, last: int = 99) -> None:
        ratio = float(rng.uniform(round_, 1.0))
        blobs.append(Blob(y, x, size * ratio, size, float(rng.uniform(0, np.pi)), value, wall,
                          wall_value, first, last))

    # Spleen, stomach and bowel to the right under the diaphragm, with fat between them.
    for _ in range(11):
        first = int(rng.integers(-2, slices - 2))
        add(diaphragm + float(rng.uniform(18, 95)), heart[1] + float(rng.uniform(-10, 95)),
            float(rng.uniform(8, 24)), float(rng.choice([0.15, 0.28, 0.4, 0.55, 0.85])),
            wall=float(rng.uniform(0, 3)), wall_value=float(rng.uniform(0.1, 0.9)), first=first,
            last=first + int(rng.integers(3, 7)))
    for _ in range(9):  # liver vessels
        add(diaphragm + float(rng.uniform(12, 80)), heart[1] - float(rng.uniform(5, 80)),
            float(rng.uniform(1.5, 4.5)), float(rng.uniform(0.5, 0.75)))
    for _ in range(22):  # lung vessels
        first = int(rng.integers(-2, slices))
        add(heart[0] - float(rng.uniform(25, 95)), heart[1] + float(rng.uniform(-45, 70)),
            float(rng.uniform(0.8, 2.6)), float(rng.uniform(0.25, 0.7)), first=first,
            last=first + int(rng.integers(1, 4)))
    # The descending aorta: round and as bright as the heart's blood.
    add(heart[0] + float(rng.uniform(28, 50)), heart[1] + float(rng.uniform(62, 78)),
        float(rng.uniform(9, 12)), float(rng.uniform(0.8, 1.0)), wall=1.5, round_=0.9)
    return Thorax(
        outline=Contour(waves),
        centre=(heart[0] + float(rng.uniform(25, 45)), heart[1] + float(rng.uniform(0, 20))),
        half_axes=(float(rng.uniform(150, 170)), float(rng.uniform(108, 122))),
        fat_mm=float(rng.uniform(9, 22)),
        muscle_mm=float(rng.uniform(8, 13)),
        diaphragm_y=diaphragm,
        slope=slope,
        blobs=tuple(blobs),
        ribs=tuple(float(a) for a in -np.pi + np.arange(9) * 0.38 + rng.uniform(0, 0.3)),
    )
