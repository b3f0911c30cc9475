"""The left atrium with its veins and appendage, and the chambers and vessels round it.

The truth is one solid: an ellipsoidal body, four pulmonary veins cut a little way from it, and the
appendage, melted together. The neighbours are as bright, parted from it by thin walls or, at the
mitral valve and in the veins, by next to nothing, which is what makes the atrium hard.

Coordinates are (z, y, x) in mm from the atrium's centre: z to the head, y to the back, x to the
patient's left (the right of the picture).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.phantom.geometry import Point, Shape, ellipsoid, scaled, tube, union, volume_ml
from datasets.phantom.texture import spread


@dataclass(frozen=True)
class Part:
    """A neighbour of the atrium: its solid, its signal relative to blood, and its wall."""

    shape: Shape
    value: float
    wall_mm: float = 0.0
    wall_value: float = 0.3


@dataclass(frozen=True)
class Atrium:
    """One patient.

    Attributes:
        label: the solid that is annotated.
        lumen: all blood that belongs to it in the image, veins beyond their cut included.
        parts: neighbours, in the order in which they are painted.
        truth_ml: volume of `label`.
        veins_ml: share of it outside the body.
    """

    label: Shape
    lumen: Shape
    parts: tuple[Part, ...]
    truth_ml: float
    veins_ml: float


def turned(yaw: float, pitch: float, roll: float) -> NDArray[np.floating]:
    """Rotation matrix of (z, y, x): yaw about z, pitch about x, roll about y, in radians."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_z = np.array([[1, 0, 0], [0, cy, -sy], [0, sy, cy]])
    about_x = np.array([[cp, -sp, 0], [sp, cp, 0], [0, 0, 1]])
    about_y = np.array([[cr, 0, -sr], [0, 1, 0], [sr, 0, cr]])
    return np.asarray(about_z @ about_x @ about_y)


def random_atrium(*, rng: np.random.Generator) -> Atrium:
    """Draw one patient's atrium and its neighbours."""

    def near(point: Point, by: float = 2.5) -> Point:
        z, y, x = (float(p + d) for p, d in zip(point, rng.uniform(-by, by, 3), strict=True))
        return z, y, x

    radii = (
        float(rng.uniform(23, 29)), float(rng.uniform(18, 23)), float(rng.uniform(31, 38)),
    )  # fmt: skip
    turn = turned(*(float(a) for a in rng.uniform(-0.16, 0.16, 3)))
    body = ellipsoid((0.0, 0.0, 0.0), radii, turn)
    bump = ellipsoid(
        near((-6, -5, 8)), (0.75 * radii[0], 0.85 * radii[1], 0.6 * radii[2]), turn
    )  # fmt: skip
    # Ostium and end of the four veins: right and left, superior and inferior.
    courses = (
        ((9, -1, -27), (19, -7, -52)), ((-11, 6, -26), (-17, 15, -47)),
        ((12, 2, 27), (23, 8, 48)), ((-5, 9, 25), (-11, 23, 41)),
    )  # fmt: skip
    veins, beyond = [], []
    for start, end in courses:
        tip = near(end, 3.5)
        width = float(rng.uniform(5.5, 8.0))
        veins.append(tube((near(start, 1.5), tip), (width * 1.25, width)))
        onward = np.subtract(tip, start) / np.linalg.norm(np.subtract(tip, start))
        far = np.add(tip, onward * rng.uniform(14, 26) + rng.uniform(-5, 5, 3))
        z, y, x = (float(v) for v in far)
        beyond.append(tube((tip, (z, y, x)), (width, 0.55 * width)))
    neck = near((8, -9, 27), 1.5)
    appendage = tube(
        (neck, near((15, -24, 38)), near((12, -40, 36)), near((7, -46, 27))),
        (float(rng.uniform(6, 8)), float(rng.uniform(7, 9.5)), 6.5, 3.5),
    )
    label = union((body, bump, *veins, appendage), 7.0)
    # Scaling to a volume drawn beforehand makes the truth a round statement, not a by-product.
    target = float(np.clip(spread(88.0, 24.0, rng=rng), 52.0, 135.0))
    factor = (target / volume_ml(label)) ** (1 / 3)
    label, trunk = scaled(label, factor), scaled(union((body, bump), 7.0), factor)
    lumen = union((label, *(scaled(v, factor) for v in beyond)), 3.0)
    truth = volume_ml(label)
    parts = _neighbours(factor * np.asarray(radii), rng)
    return Atrium(label, lumen, parts, truth, truth - volume_ml(trunk))


def _neighbours(radii: NDArray[np.floating], rng: np.random.Generator) -> tuple[Part, ...]:
    """Chambers and vessels round an atrium of those half-axes (z, y, x)."""
    deep, wide = float(radii[1]), float(radii[2])
    blood = [float(v) for v in rng.uniform(0.82, 1.08, 9)]
    off = rng.uniform(-3, 3, (9, 3))

    def at(index: int, z: float, y: float, x: float) -> Point:
        dz, dy, dx = (float(v) for v in off[index])
        return z + dz, y + dy, x + dx

    # The ventricles' long axis runs forward, to the left and down.
    axis = turned(float(rng.uniform(0.55, 0.8)), float(rng.uniform(0.3, 0.5)), 0.0)
    left = at(0, -30, -deep - 35, 36)
    wall = float(rng.uniform(8, 11))
    size = float(rng.uniform(22, 27))
    esophagus = at(7, 0, deep + 7, 8)
    aorta = at(4, 0, deep + 20, 27)
    root = at(5, 4, -deep - 17, -6)
    return (
        Part(ellipsoid(at(1, -28, -deep - 36, -18), (34, 44, 26), axis), blood[0], 3.0),
        Part(ellipsoid(at(2, -14, -deep - 10, -wide - 12), (32, 24, 22)), blood[1], 2.0),
        Part(ellipsoid(left, (size + wall, 48 + wall, size + wall), axis), 0.3, 0.0),
        Part(ellipsoid(left, (size, 48, size), axis), blood[2]),
        # Blood passes the mitral ring; the closed valve is the atrium's own thin wall.
        Part(tube(((-10, -deep + 3, 13), (-24, -deep - 26, 30)), (12.5, 15)), blood[2]),
        Part(tube((at(3, 14, -deep - 8, -wide + 2), at(3, 70, -deep - 6, -wide + 4)), (10, 9)),
             blood[3], 1.5),
        Part(tube((at(3, -34, -deep + 8, -wide - 4), at(3, -80, -deep + 14, -wide - 2)), (12, 13)),
             blood[3] * 0.9, 1.5),
        Part(tube(((-75, aorta[1], aorta[2]), (80, aorta[1] - 4, aorta[2] - 4)),
                  (float(rng.uniform(10, 13)),) * 2), blood[4], 1.8),
        Part(tube((at(6, 0, -deep - 42, 12), (30, -deep - 22, 17), (36, -deep + 2, 22)),
                  (13, 12, 9)), blood[6], 1.8),
        Part(tube(((34, -deep - 16, 14), (38, -deep - 4, -16), (37, -deep + 4, -wide - 14)),
                  (11, 10, 7)), blood[6], 1.8),
        Part(tube((root, (34, root[1] - 6, root[2] - 12), (80, root[1] - 2, root[2] - 4)),
                  (15, 14, 13)), blood[5], 1.8, 0.25),
        Part(tube(((-70, esophagus[1] + 4, esophagus[2] + 6), (80, esophagus[1], esophagus[2] - 8)),
                  (6, 6)), 0.38, 1.5, 0.2),
    )  # fmt: skip
