"""Short-axis cine MRI in the layout of ACDC: five groups of hearts at ED and ES."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from datasets.phantom.cine import Style, draw_heart, random_style
from datasets.phantom.geometry import Float
from datasets.phantom.heart import GROUPS, THICKNESS_MM, Heart, random_heart
from datasets.phantom.layout import NOTICE, write_fields, write_nifti
from datasets.phantom.texture import rician, smooth_field
from datasets.phantom.thorax import Thorax, random_thorax
from datasets.phantom.ventricles import MYOCARDIAL_DENSITY_G_PER_ML, Ventricles

FRAMES = 30
"""Frames of the heart cycle that `Info.cfg` claims; a full release has them all, else ED and ES."""
FRAME_S = 0.03


def _grid(size: int, spacing: float) -> Float:
    return ((np.arange(size) - (size - 1) / 2) * spacing).astype(np.float32)


def _scan(
    heart: Heart, phase: Ventricles, backdrop: Float, bias: Float, style: Style, spacing: float,
    jitter: NDArray[np.floating], rng: np.random.Generator,
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:  # fmt: skip
    """Image and label map (slices, rows, columns) of one phase."""
    count, rows, columns = backdrop.shape
    y, x = _grid(rows, spacing), _grid(columns, spacing)
    image = backdrop.copy()
    mask = np.zeros(backdrop.shape, dtype=np.uint8)
    for index in range(count):
        z = (index - heart.lead + 0.5) * THICKNESS_MM
        cy = heart.centre[0] + heart.tilt[0] * (z - 40) + jitter[index, 0]
        cx = heart.centre[1] + heart.tilt[1] * (z - 40) + jitter[index, 1]
        near_y, near_x = np.flatnonzero(np.abs(y - cy) < 92), np.flatnonzero(np.abs(x - cx) < 92)
        box = (index, slice(near_y[0], near_y[-1] + 1), slice(near_x[0], near_x[-1] + 1))
        local_y = (y[box[1]] - np.float32(cy))[:, None]
        local_x = (x[box[2]] - np.float32(cx))[None, :]
        if z < phase.base or z < phase.outer_length + phase.base + 4:
            draw_heart(image[box], phase, local_y, local_x, z, style, rng)
        inner, outer, right = phase.distances(z, local_y, local_x)
        label = mask[box]
        label[right <= 0] = 1
        label[outer <= 0] = 2
        label[inner <= 0] = 3
    image *= bias
    image = gaussian_filter(image, (0.0, style.blur, style.blur))
    image = rician(image, style.noise, rng=rng) * np.float32(style.gain)
    return np.rint(image).astype(np.int16), mask


def _write_patient(
    folder: Path, name: str, group: str, rng: np.random.Generator, cine: np.random.Generator | None
) -> dict[str, object]:
    heart = random_heart(group, rng=rng)
    style = random_style(rng=rng)
    spacing = round(float(rng.uniform(1.37, 1.68)), 4)
    rows, columns = [(256, 216), (256, 232), (224, 224), (216, 256), (240, 208)][rng.integers(5)]
    y, x = _grid(rows, spacing)[:, None], _grid(columns, spacing)[None, :]
    thorax: Thorax = random_thorax(
        heart.centre, heart.diastole.outer_radius + float(rng.uniform(-6, 3)), heart.slices, rng=rng
    )
    backdrop = np.stack([
        thorax.draw(y, x, index, index / heart.slices, rng) for index in range(heart.slices)
    ])  # fmt: skip
    bias = np.exp(0.22 * smooth_field((rows, columns), (3, 3), rng=rng)
                  - np.float32(0.0022) * (x + 0.5 * y))  # fmt: skip
    jitter = rng.normal(0.0, 0.7, (heart.slices, 2))
    folder.mkdir(parents=True)
    step = (THICKNESS_MM, spacing, spacing)
    drawn = {}
    for frame, phase in ((1, heart.diastole), (heart.systole_frame, heart.systole)):
        image, mask = _scan(heart, phase, backdrop, bias, style, spacing, jitter, rng)
        drawn[frame] = image
        write_nifti(folder / f"{name}_frame{frame:02d}.nii.gz", image, step)
        write_nifti(folder / f"{name}_frame{frame:02d}_gt.nii.gz", mask, step)
    if cine is not None:
        for frame in set(range(1, FRAMES + 1)) - set(drawn):
            phase = heart.at(contraction(frame, heart.systole_frame))
            drawn[frame], _ = _scan(heart, phase, backdrop, bias, style, spacing, jitter, cine)
        loop = np.stack([drawn[frame] for frame in range(1, FRAMES + 1)])
        write_nifti(folder / f"{name}_4d.nii.gz", loop, (FRAME_S, *step))
    write_fields(folder / "Info.cfg", {
        "ED": 1, "ES": heart.systole_frame, "Group": group, "Height": float(heart.height_cm),
        "NbFrame": FRAMES, "Weight": float(heart.weight_kg),
    })  # fmt: skip
    (folder / "MANDATORY_CITATION.md").write_text(NOTICE)
    return _truth(heart)


def contraction(frame: int, systole_frame: int) -> float:
    """How far the heart is contracted in a frame from 1: 0 at ED, 1 at ES, and back."""
    before, after = systole_frame - 1, FRAMES + 1 - systole_frame
    cycle = (frame - 1) / before if frame <= systole_frame else (FRAMES + 1 - frame) / after
    return float(0.5 - 0.5 * np.cos(np.pi * cycle))


def _truth(heart: Heart) -> dict[str, object]:
    ed, es = heart.diastole, heart.systole
    left = ed.inner_volume_ml(), es.inner_volume_ml()
    right = ed.right_volume_ml(), es.right_volume_ml()
    return {
        "group": heart.group,
        "left_ventricle_ED_ml": left[0],
        "left_ventricle_ES_ml": left[1],
        "left_ventricle_EF_percent": 100.0 * (left[0] - left[1]) / left[0],
        "right_ventricle_ED_ml": right[0],
        "right_ventricle_ES_ml": right[1],
        "right_ventricle_EF_percent": 100.0 * (right[0] - right[1]) / right[0],
        "myocardium_ED_ml": ed.myocardium_ml(),
        "myocardium_ES_ml": es.myocardium_ml(),
        "left_ventricle_mass_g": ed.myocardium_ml() * MYOCARDIAL_DENSITY_G_PER_ML,
    }


def build(folder: Path, patients: int, seed: int, full: bool) -> dict[str, object]:
    """Fill an ACDC release with phantoms and return their truth by patient.

    Args:
        folder: the release's folder, which exists and is empty.
        patients: how many in `training/`; the five groups take turns.
        seed: the same seed gives the same patient k, however many there are.
        full: with the cine loops, and `testing/` with half as many patients again.
    """
    (folder / "MANDATORY_CITATION.md").write_text(NOTICE)
    names = list(GROUPS)
    truth: dict[str, object] = {}
    # The testing patients begin where the official ones do, and where the others cannot come.
    first = max(101, patients + 1)
    testing = range(first, first + math.ceil(patients / 2)) if full else ()
    for number in (*range(1, patients + 1), *testing):
        name = f"patient{number:03d}"
        rng = np.random.default_rng([seed, 1, number])
        cine = np.random.default_rng([seed, 5, number]) if full else None
        group = names[(number - 1) % len(names)]
        part = "testing" if number in testing else "training"
        truth[name] = _write_patient(folder / part / name, name, group, rng, cine)
    return truth
