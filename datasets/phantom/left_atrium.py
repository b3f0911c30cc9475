"""Whole-heart bSSFP-like MRI in the layout of the Decathlon's Task02_Heart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from datasets.phantom.atrium import Atrium, random_atrium, turned
from datasets.phantom.chest import draw_chest
from datasets.phantom.geometry import Float, Shape, coverage, ellipsoid, paint, tube, union
from datasets.phantom.layout import write_nifti
from datasets.phantom.texture import rician, smooth_field, stretch

SPACING_MM = (1.37, 1.25, 1.25)
SIZE = 320


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


def _paint_pericardium(
    image: Float, axes: tuple[Float, Float, Float], fat: float, rng: np.random.Generator
) -> None:
    """The sac that holds the heart: fat of uneven thickness behind a thin dark line."""
    low = ellipsoid((-22, -44, 12), (50, 52, 60), turned(0.6, 0.2, 0.0))
    middle = ellipsoid((-10, -22, -4), (66, 48, 56))
    high = tube(((20, -30, 0), (72, -18, 2)), (36, 26))
    sac = union((low, middle, high), 14.0)
    box = _box(axes, sac, 12.0)
    if box is None:
        return
    distance = sac.distance(*_mesh(axes, box))
    cloud = smooth_field(distance.shape, (10, 14, 14), rng=rng, octaves=2)
    distance += 4.0 * cloud
    part = image[box]
    paint(part, coverage(distance - 1.6, 1.6), 0.2)
    paint(part, coverage(distance, 1.6), fat * (1.0 + 0.2 * cloud))


def _scan(
    atrium: Atrium, slices: int, *, rng: np.random.Generator
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Image and mask (slices, 320, 320) of one patient."""
    centre = rng.uniform((-4, -16, -2), (12, 8, 18))
    axes = _axes(slices, centre)
    image = draw_chest(axes, rng=rng)
    fat = float(rng.uniform(0.4, 0.65))
    _paint_pericardium(image, axes, fat, rng)
    for part in atrium.parts:
        _paint_part(image, axes, part.shape, part.value, part.wall_mm, part.wall_value)
    blood = float(rng.uniform(0.88, 1.02))
    _paint_part(image, axes, atrium.lumen, blood, float(rng.uniform(1.6, 2.4)), 0.38)

    mask = np.zeros(image.shape, dtype=np.uint8)
    box = _box(axes, atrium.label, 2.0)
    if box is not None:
        mask[box] = atrium.label.distance(*_mesh(axes, box)) <= 0

    # Uneven flow and the coils' sensitivity; both change slowly along the body.
    sensitivity = np.exp(
        0.2 * smooth_field(image.shape[1:], (4, 4), rng=rng) - np.float32(0.0022) * axes[1][:, None]
    )
    flow = 1.0 + 0.05 * smooth_field((12, SIZE, SIZE), (12, 36, 36), rng=rng)
    image *= stretch(flow * sensitivity, image.shape)
    image = gaussian_filter1d(image, 0.45, axis=1, truncate=2.0)
    image = gaussian_filter1d(image, 0.45, axis=2, truncate=2.0)
    image = rician(image, float(rng.uniform(0.035, 0.06)), rng=rng)
    image *= np.float32(rng.uniform(250, 900))
    return np.rint(image).astype(np.int16), mask


def build(folder: Path, patients: int, seed: int, full: bool) -> dict[str, object]:
    """Fill a Task02_Heart release with phantoms and return their truth by patient.

    One unlabelled scan for every eight labelled ones goes into `imagesTs`.

    Args:
        folder: the release's folder, which exists and is empty.
        patients: number of labelled scans.
        seed: the same seed gives the same scan k, however many there are.
        full: nothing more to write here.
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
