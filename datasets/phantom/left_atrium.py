"""Whole-heart bSSFP-like MRI in the layout of the Decathlon's Task02_Heart: the left atrium.

The truth is one solid: an ellipsoidal body, four pulmonary veins cut where they leave it, and the
appendage. Around it lie chambers and vessels of the same brightness, parted from it by thin walls
or, at the mitral valve and in the veins, by nothing much, which is what makes the atrium hard.

Coordinates are (z, y, x) in mm from the atrium's centre: z to the head, y to the back, x to the
patient's left (the right of the picture).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from datasets.phantom.chest import draw_chest
from datasets.phantom.geometry import (
    Float,
    Point,
    Shape,
    coverage,
    ellipsoid,
    paint,
    scaled,
    tube,
    union,
    volume_ml,
)
from datasets.phantom.layout import write_nifti
from datasets.phantom.texture import rician, smooth_field, spread

SPACING_MM = (1.37, 1.25, 1.25)
SIZE = 320


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


def _turn(yaw: float, pitch: float, roll: float) -> NDArray[np.floating]:
    """Rotation of (z, y, x): yaw about z, pitch about x, roll about y, in radians."""
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
    turn = _turn(*(float(a) for a in rng.uniform(-0.16, 0.16, 3)))
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
    axis = _turn(float(rng.uniform(0.55, 0.8)), float(rng.uniform(0.3, 0.5)), 0.0)
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


def _axes(slices: int, centre: NDArray[np.floating]) -> tuple[Float, Float, Float]:
    counts = (slices, SIZE, SIZE)
    z, y, x = (
        ((np.arange(n) - (n - 1) / 2) * d - c).astype(np.float32)
        for n, d, c in zip(counts, SPACING_MM, centre, strict=True)
    )
    return z, y, x


def _box(axes: tuple[Float, Float, Float], shape: Shape, margin: float) -> tuple[slice, ...] | None:
    """Index ranges that hold a solid and a margin, or None where it lies outside the image."""
    ranges = []
    for axis, low, high in zip(axes, shape.low, shape.high, strict=True):
        first, last = np.searchsorted(axis, (low - margin, high + margin))
        if first >= last:
            return None
        ranges.append(slice(int(first), int(last)))
    return tuple(ranges)


def _mesh(axes: tuple[Float, Float, Float], box: tuple[slice, ...]) -> tuple[Float, Float, Float]:
    z, y, x = (axis[part] for axis, part in zip(axes, box, strict=True))
    return z[:, None, None], y[None, :, None], x[None, None, :]


def _paint_part(
    image: Float, axes: tuple[Float, Float, Float], shape: Shape, value: float, wall_mm: float,
    wall_value: float,
) -> None:  # fmt: skip
    box = _box(axes, shape, wall_mm + 2.0)
    if box is None:
        return
    distance = shape.distance(*_mesh(axes, box))
    part = image[box]
    if wall_mm > 0:
        paint(part, coverage(distance - wall_mm, 1.6), wall_value)
    paint(part, coverage(distance, 1.6), value)


def _scan(
    atrium: Atrium, slices: int, *, rng: np.random.Generator
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Image and mask (slices, 320, 320) of one patient."""
    centre = rng.uniform((-8, -12, -10), (8, 12, 10)) + (4.0, -4.0, 8.0)
    axes = _axes(slices, centre)
    image = draw_chest(axes, rng=rng)
    fat = float(rng.uniform(0.4, 0.65))
    pericardium = ellipsoid((-12, -30, 8), (78, 66, 74), _turn(0.5, 0.2, 0.0))
    _paint_part(image, axes, pericardium, fat, 2.0, 0.2)
    for part in atrium.parts:
        _paint_part(image, axes, part.shape, part.value, part.wall_mm, part.wall_value)
    blood = float(rng.uniform(0.88, 1.02))
    _paint_part(image, axes, atrium.lumen, blood, float(rng.uniform(1.6, 2.4)), 0.38)

    mask = np.zeros(image.shape, dtype=np.uint8)
    box = _box(axes, atrium.label, 2.0)
    if box is not None:
        mask[box] = atrium.label.distance(*_mesh(axes, box)) <= 0

    flow = smooth_field(image.shape, (12, 36, 36), rng=rng)
    flow *= 0.05
    flow += 1.0
    bias = np.exp(0.2 * smooth_field(image.shape[1:], (4, 4), rng=rng)
                  - np.float32(0.0022) * axes[1][:, None])  # fmt: skip
    image *= flow
    image *= bias
    image = gaussian_filter1d(image, 0.5, axis=0, truncate=2.0)
    image = gaussian_filter1d(image, 0.45, axis=1, truncate=2.0)
    image = gaussian_filter1d(image, 0.45, axis=2, truncate=2.0)
    image = rician(image, float(rng.uniform(0.035, 0.06)), rng=rng)
    image *= np.float32(rng.uniform(250, 900))
    return np.rint(image).astype(np.int16), mask


def build(folder: Path, patients: int, seed: int) -> dict[str, object]:
    """Fill a Task02_Heart release with phantoms and return their truth by patient.

    One unlabelled scan for every eight labelled ones goes into `imagesTs`.

    Args:
        folder: the release's folder, which exists and is empty.
        patients: number of labelled scans.
        seed: the same seed gives the same scan k, however many there are.
    """
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / name).mkdir()
    truth: dict[str, object] = {}
    unlabelled = max(1, patients // 8)
    for number in range(1, patients + unlabelled + 1):
        labelled = number <= patients
        # The unlabelled scans have their own stream, so that more patients leave them as they are.
        stream = [seed, 2, number] if labelled else [seed, 3, number - patients]
        rng = np.random.default_rng(stream)
        name = f"la_{number:03d}"
        atrium = random_atrium(rng=rng)
        image, mask = _scan(atrium, int(rng.integers(90, 101)), rng=rng)
        part = "imagesTr" if labelled else "imagesTs"
        write_nifti(folder / part / f"{name}.nii.gz", image, SPACING_MM)
        if labelled:
            write_nifti(folder / "labelsTr" / f"{name}.nii.gz", mask, SPACING_MM)
            truth[name] = {
                "left_atrium_ml": atrium.truth_ml,
                "veins_and_appendage_ml": atrium.veins_ml,
            }
    (folder / "dataset.json").write_text(_index(patients, unlabelled))
    return truth


def _index(patients: int, unlabelled: int) -> str:
    names = [f"la_{number:03d}.nii.gz" for number in range(1, patients + unlabelled + 1)]
    content = {
        "name": "LeftAtrium",
        "description": "Phantom of the left atrium: drawn by a program, not scans of persons",
        "reference": "phantom",
        "licence": "Apache-2.0",
        # The misspelt key is the official one.
        "relase": "1.0",
        "tensorImageSize": "3D",
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "left atrium"},
        "numTraining": patients,
        "numTest": unlabelled,
        "training": [
            {"image": f"./imagesTr/{n}", "label": f"./labelsTr/{n}"} for n in names[:patients]
        ],
        "test": [f"./imagesTs/{n}" for n in names[patients:]],
    }
    return json.dumps(content, indent=1) + "\n"
