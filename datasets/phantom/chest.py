"""The chest in axial slices, round the heart: skin, fat, muscle, ribs, lungs, spine, liver."""

from __future__ import annotations

import numpy as np

from datasets.phantom.geometry import Contour, Float, coverage, paint
from datasets.phantom.texture import smooth_field, stretch

LUNG, MUSCLE, LIVER, FAT, MARROW = 0.07, 0.3, 0.42, 0.75, 0.45
KEY_MM = 8.0


def draw_chest(axes: tuple[Float, Float, Float], *, rng: np.random.Generator) -> Float:
    """Signal of a chest without its heart; blood would be near 1.

    The chest changes slowly along the body: slices every few millimetres are drawn and the others
    lie between them.

    Args:
        axes: coordinates in mm along z (to the head), y (to the back), x (to the patient's left)
            from the left atrium's centre.
        rng: source of randomness.

    Returns:
        Array (z, y, x).
    """
    z, y, x = axes
    count = max(2, int(np.ptp(z) / KEY_MM) + 1)
    outline = Contour(tuple((float(a), float(b)) for a, b in rng.normal(0, 0.015, (3, 2))))
    half = (float(rng.uniform(100, 116)), float(rng.uniform(150, 176)))
    fat_mm, muscle_mm = float(rng.uniform(8, 18)), float(rng.uniform(12, 18))
    spine = (float(rng.uniform(44, 50)), float(rng.uniform(-6, 4)))
    dome = float(rng.uniform(-55, -35))
    ribs = rng.uniform(0, 0.25)
    cloud = smooth_field((y.size, x.size), (14, 14), rng=rng, octaves=3)
    vessels = _vessels(rng)

    dy, dx = y[:, None] + 12.0, x[None, :]
    angle = np.arctan2(dy, dx)
    reach = np.hypot(dy, dx)
    edge = outline.factor(angle) / np.hypot(np.sin(angle) / half[0], np.cos(angle) / half[1])
    keys = np.empty((count, y.size, x.size), dtype=np.float32)
    for key, height in zip(keys, np.linspace(z[0], z[-1], count), strict=True):
        skin = (reach - edge * (1.0 - 0.0006 * height)).astype(np.float32)
        key[:] = 0.0
        paint(key, coverage(skin, 1.5), FAT * (1.0 + 0.08 * cloud))
        thickness = fat_mm * (1.0 + 0.4 * np.cos(2 * angle))
        muscle = skin + thickness.astype(np.float32)
        paint(key, coverage(muscle + 1.5 * cloud, 2.5), MUSCLE * (1.0 + 0.15 * cloud))
        cavity = muscle + muscle_mm
        # Ribs run obliquely, so that they pass through a slice as spots that wander with z.
        rib = np.cos(9.0 * (angle + ribs) + 0.35 * height) - 0.55
        spot = np.maximum(-rib * 25.0, np.abs(cavity - 5.0) - 3.5).astype(np.float32)
        paint(key, coverage(spot, 2.0), 0.5)
        paint(key, coverage(cavity, 1.5), LUNG * (1.0 + 0.3 * cloud))
        _paint_disks(key, y, x, float(height), vessels)
        # The mediastinum: fat and soft tissue between the lungs, down to the spine.
        middle = np.maximum(np.abs(dx - 4.0) - (26.0 + 0.12 * dy), cavity + 2.0) + 5.0 * cloud
        paint(key, coverage(middle.astype(np.float32), 3.0), 0.4 * (1.0 + 0.25 * cloud))
        liver = np.hypot((height - dome + 60.0) / 60.0, np.hypot((dx + 62) / 82, (dy + 4) / 84))
        paint(key, coverage(np.maximum((liver - 1) * 60.0, cavity + 1.0).astype(np.float32), 3.0),
              LIVER * (1.0 + 0.1 * cloud))  # fmt: skip
        _paint_spine(key, y, x, spine, float(height), cloud)
        paint(key, coverage(-(muscle + 1.0), 2.0), FAT * (1.0 + 0.08 * cloud))
        paint(key, coverage(-skin, 1.5), 0.0)
    return stretch(keys, (z.size, y.size, x.size))


def _vessels(rng: np.random.Generator) -> list[tuple[float, ...]]:
    """Lung vessels as (y, x, radius, signal, z, half-length); small ones are far from the heart."""
    found: list[tuple[float, ...]] = []
    for _ in range(110):
        side = float(rng.choice([-1.0, 1.0]))
        x = side * float(rng.uniform(55, 125))
        y = float(rng.uniform(-45, 55))
        size = float(rng.uniform(1.2, 5.0)) * (1.35 - abs(x) / 130)
        z = float(rng.uniform(-70, 70))
        found.append((y, x, size, float(rng.uniform(0.3, 0.9)), z, float(rng.uniform(5, 16))))
    return found


def _paint_disks(
    image: Float, y: Float, x: Float, height: float, vessels: list[tuple[float, ...]]
) -> None:
    for cy, cx, radius, value, z, half in vessels:
        if abs(height - z) < half:
            _disk(image, y, x, cy + 0.4 * (height - z), cx + 0.3 * (height - z), radius, value)


def _disk(
    image: Float, y: Float, x: Float, cy: float, cx: float, radius: float, value: float
) -> None:
    rows = slice(*np.searchsorted(y, (cy - radius - 2, cy + radius + 2)))
    columns = slice(*np.searchsorted(x, (cx - radius - 2, cx + radius + 2)))
    distance = np.hypot(y[rows, None] - cy, x[None, columns] - cx) - radius
    paint(image[rows, columns], coverage(distance.astype(np.float32), 1.5), value)


def _paint_spine(
    image: Float, y: Float, x: Float, spine: tuple[float, float], height: float, cloud: Float
) -> None:
    """Vertebral body with its rim, canal with bright fluid, and the arch with its process."""
    cy, cx = spine
    rows = slice(*np.searchsorted(y, (cy - 26, cy + 85)))
    columns = slice(*np.searchsorted(x, (cx - 55, cx + 55)))
    part, texture = image[rows, columns], cloud[rows, columns]
    dy, dx = y[rows, None] - cy, x[None, columns] - cx
    back = np.maximum(np.abs(dx) - 44.0, np.abs(dy - 36.0) - 22.0).astype(np.float32)
    paint(part, coverage(back + 4.0 * texture, 4.0), MUSCLE * (1.0 + 0.2 * texture))
    disc = 0.5 + 0.5 * np.cos(height / 30.0 * 2 * np.pi)
    body = ((np.hypot(dy / 14.0, dx / 17.0) - 1.0) * 14.0).astype(np.float32)
    paint(part, coverage(body - 2.0, 1.5), 0.15)
    paint(part, coverage(body, 1.5), MARROW * (0.75 + 0.35 * disc) * (1.0 + 0.12 * texture))
    arch = (np.abs(np.hypot((dy - 22.0) / 1.0, dx) - 13.0) - 3.5).astype(np.float32)
    process = np.maximum(np.abs(dx) - 3.5, np.abs(dy - 46.0) - 12.0).astype(np.float32)
    paint(part, coverage(np.minimum(arch, process), 2.0), 0.35)
    canal = (np.hypot(dy - 22.0, dx) - 8.0).astype(np.float32)
    paint(part, coverage(canal, 1.5), 0.85)
    paint(part, coverage(canal + 3.5, 1.5), 0.5)
