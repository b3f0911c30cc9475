"""Short-axis cine MRI in the layout of ACDC: five groups of hearts at ED and ES.

Volumes, ejection fractions and masses are drawn round the means that the ACDC training masks have
in each pathology group.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from datasets.phantom.geometry import Contour, Float, coverage, paint
from datasets.phantom.layout import NOTICE, write_fields, write_nifti
from datasets.phantom.texture import rician, smooth_field, spread
from datasets.phantom.thorax import Blob, Thorax, random_thorax
from datasets.phantom.thorax import _blob as paint_blob
from datasets.phantom.ventricles import MYOCARDIAL_DENSITY_G_PER_ML, Ventricles, radius_for

FOLDER = "ACDC"
THICKNESS_MM = 10.0
FRAMES = 30


@dataclass(frozen=True)
class Group:
    """Typical (mean, spread) of one pathology group: volumes in mL, EF in %, ED mass in g."""

    volume: tuple[float, float]
    fraction: tuple[float, float]
    mass: tuple[float, float]
    right_volume: tuple[float, float]
    right_fraction: tuple[float, float]


# Left ventricle: means of the 20 training patients of each group; right ventricle likewise for RV,
# typical values elsewhere.
GROUPS = {
    "NOR": Group((130, 26), (60, 5), (98, 18), (145, 25), (56, 5)),
    "MINF": Group((172, 40), (31, 7), (117, 18), (135, 25), (54, 7)),
    "DCM": Group((270, 38), (19, 5), (162, 22), (165, 35), (40, 8)),
    "HCM": Group((129, 28), (67, 7), (169, 32), (140, 22), (60, 6)),
    "RV": Group((105, 20), (54, 6), (78, 12), (196, 34), (33, 9)),
}


@dataclass(frozen=True)
class Heart:
    """One patient: both phases, where the heart lies and what the scanner does to it."""

    group: str
    diastole: Ventricles
    systole: Ventricles
    slices: int
    lead: int
    centre: tuple[float, float]
    tilt: tuple[float, float]
    height_cm: float
    weight_kg: float
    systole_frame: int


def _hearts_waves(septum: float, flat: float, rng: np.random.Generator) -> Contour:
    """Wobble of order 2 to 4; `flat` presses the septum in, as a strained right ventricle does."""
    waves = rng.normal(0.0, 1.0, (3, 2)) * np.array([0.025, 0.012, 0.008])[:, None]
    waves[0] -= flat * np.array([np.cos(2 * septum), np.sin(2 * septum)])
    return Contour(tuple((float(a), float(b)) for a, b in np.clip(waves, -0.09, 0.09)))


def random_heart(group: str, *, rng: np.random.Generator) -> Heart:
    """Draw one patient of a pathology group."""
    typical = GROUPS[group]
    volume = spread(*typical.volume, rng=rng)
    fraction = spread(*typical.fraction, rng=rng) / 100.0
    mass = spread(*typical.mass, rng=rng)
    muscle = mass / MYOCARDIAL_DENSITY_G_PER_ML
    septum = float(np.pi + rng.uniform(-0.35, 0.45))
    contour = _hearts_waves(septum, 0.06 if group == "RV" else 0.0, rng)
    power = float(rng.uniform(1.9, 2.5))
    slenderness = {"DCM": 1.42, "MINF": 1.5, "HCM": 1.6}.get(group, 1.58)
    length = min(slenderness * (1000 * volume) ** (1 / 3) * float(rng.uniform(0.96, 1.03)), 92.0)
    apex_wall = 9.0 if group == "HCM" else 6.5
    # The base descends by about a slice where the ventricle contracts well; the apex stays.
    descent = THICKNESS_MM if fraction > 0.4 else 0.0
    shift = {"HCM": 0.4, "MINF": 0.3}.get(group, float(rng.uniform(0.0, 0.12)))
    toward = septum + np.pi if group == "HCM" else float(rng.uniform(0, 2 * np.pi))
    outer_length = length + apex_wall
    right_lead = THICKNESS_MM * int(rng.integers(0, 2))
    diastole = Ventricles(
        base=0.0, length=length, outer_length=outer_length,
        radius=radius_for(volume, length, power, contour),
        outer_radius=radius_for(volume + muscle, outer_length, power, contour),
        power=power, contour=contour, septum=septum, shift=shift, shift_angle=toward,
        right_base=-right_lead, right_length=right_lead + 0.82 * outer_length, right_depth=30.0,
        right_half_angle=float(rng.uniform(1.1, 1.3)), right_skew=float(rng.uniform(-0.25, 0.25)),
    )  # fmt: skip
    right_volume = spread(*typical.right_volume, rng=rng)
    right_fraction = spread(*typical.right_fraction, rng=rng) / 100.0
    diastole = diastole.with_right_volume(right_volume)

    small = volume * (1.0 - fraction)
    outer_length = outer_length - descent
    length = outer_length - 1.3 * apex_wall
    systole = Ventricles(
        base=descent, length=length, outer_length=outer_length,
        radius=radius_for(small, length, power, contour),
        outer_radius=radius_for(small + muscle, outer_length, power, contour),
        power=power, contour=contour, septum=septum,
        shift=min(0.5, 1.5 * shift), shift_angle=toward,
        right_base=descent - right_lead, right_length=right_lead + 0.8 * outer_length,
        right_depth=20.0, right_half_angle=diastole.right_half_angle * 0.97,
        right_skew=diastole.right_skew,
    ).with_right_volume(right_volume * (1.0 - right_fraction))  # fmt: skip
    lead = 1 if right_lead else int(rng.integers(1, 3))
    reach = diastole.outer_length
    slices = lead + int(np.ceil(reach / THICKNESS_MM)) + int(rng.integers(0, 2))
    return Heart(
        group=group, diastole=diastole, systole=systole, slices=slices, lead=lead,
        centre=(float(rng.uniform(-18, 8)), float(rng.uniform(-12, 16))),
        tilt=(float(rng.uniform(-0.05, 0.25)), float(rng.uniform(-0.05, 0.25))),
        height_cm=round(spread(171, 9, rng=rng)), weight_kg=round(spread(76, 13, rng=rng)),
        systole_frame=int(rng.integers(8, 15)),
    )  # fmt: skip


def _vessels(heart: Ventricles, y: float, x: float, z: float, rng: np.random.Generator) -> list[Blob]:
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


def _draw_heart(
    image: Float, heart: Ventricles, y: Float, x: Float, z: float, style: Style,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Lay one slice of the ventricles over the surroundings, blurred through the slice."""
    pixel = float(x[0, 1] - x[0, 0])
    shape = image.shape
    inner_share, outer_share, right_share = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    coat, wall = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    cloud = smooth_field(shape, (9, 9), rng=rng, octaves=3)
    heights = (z - 3.0, z, z + 3.0)
    for height in heights:
        inner, outer, right = heart.distances(height, y, x)
        inner_share += coverage(inner, pixel) / 3
        outer_share += coverage(outer, pixel) / 3
        right_share += coverage(right, pixel) / 3
        wall += coverage(right - 3.0, pixel) / 3
        coat += coverage(np.minimum(outer, right - 3.0) - style.fat_mm - 3.0 * cloud, 3.0) / 3
    paint(image, coat, style.fat * (0.85 + 0.25 * cloud))
    if z < heart.base:
        for blob in _vessels(heart, 0.0, 0.0, z, rng):
            paint_blob(image, y, x, blob)
    paint(image, wall, style.muscle)
    flow = 1.0 + 0.05 * cloud
    mesh = np.clip(smooth_field(shape, (26, 26), rng=rng) - 1.1, 0, 1) * 0.5
    paint(image, right_share, style.right_blood * flow * (1.0 - mesh))
    paint(image, outer_share, style.muscle * (1.0 + 0.1 * cloud))
    paint(image, inner_share, style.blood * flow)
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
        fat_mm=float(rng.uniform(1.0, 5.0)), papillary_mm=float(rng.uniform(3.0, 5.5)),
        noise=float(rng.uniform(0.025, 0.05)), blur=float(rng.uniform(0.45, 0.75)),
        gain=float(rng.uniform(220, 700)),
    )  # fmt: skip


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
            _draw_heart(image[box], phase, local_y, local_x, z, style, rng)
        inner, outer, right = phase.distances(z, local_y, local_x)
        label = mask[box]
        label[right <= 0] = 1
        label[outer <= 0] = 2
        label[inner <= 0] = 3
    image *= bias
    image = gaussian_filter(image, (0.0, style.blur, style.blur))
    image = rician(image, style.noise, rng=rng) * np.float32(style.gain)
    return np.rint(image).astype(np.int16), mask


def _write_patient(folder: Path, name: str, group: str, rng: np.random.Generator) -> dict[str, object]:
    heart = random_heart(group, rng=rng)
    style = random_style(rng=rng)
    spacing = round(float(rng.uniform(1.37, 1.68)), 4)
    rows, columns = [(256, 216), (256, 232), (224, 224), (216, 256), (240, 208)][rng.integers(5)]
    y, x = _grid(rows, spacing)[:, None], _grid(columns, spacing)[None, :]
    thorax: Thorax = random_thorax(
        heart.centre, heart.diastole.outer_radius + float(rng.uniform(2, 8)), heart.slices, rng=rng
    )
    backdrop = np.stack([
        thorax.draw(y, x, index, index / heart.slices, rng) for index in range(heart.slices)
    ])  # fmt: skip
    bias = np.exp(0.22 * smooth_field((rows, columns), (3, 3), rng=rng)
                  - np.float32(0.0022) * (x + 0.5 * y))  # fmt: skip
    jitter = rng.normal(0.0, 0.7, (heart.slices, 2))
    folder.mkdir(parents=True)
    step = (THICKNESS_MM, spacing, spacing)
    for frame, phase in ((1, heart.diastole), (heart.systole_frame, heart.systole)):
        image, mask = _scan(heart, phase, backdrop, bias, style, spacing, jitter, rng)
        write_nifti(folder / f"{name}_frame{frame:02d}.nii.gz", image, step)
        write_nifti(folder / f"{name}_frame{frame:02d}_gt.nii.gz", mask, step)
    write_fields(folder / "Info.cfg", {
        "ED": 1, "ES": heart.systole_frame, "Group": group, "Height": float(heart.height_cm),
        "NbFrame": FRAMES, "Weight": float(heart.weight_kg),
    })  # fmt: skip
    (folder / "MANDATORY_CITATION.md").write_text(NOTICE)
    return _truth(heart)


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


def build(folder: Path, patients: int, seed: int) -> dict[str, object]:
    """Fill an ACDC release with phantoms and return their truth by patient.

    Args:
        folder: the release's folder, which exists and is empty.
        patients: how many; the five groups take turns.
        seed: the same seed gives the same patient k, however many there are.
    """
    (folder / "MANDATORY_CITATION.md").write_text(NOTICE)
    names = list(GROUPS)
    truth: dict[str, object] = {}
    for number in range(1, patients + 1):
        name = f"patient{number:03d}"
        rng = np.random.default_rng([seed, 1, number])
        group = names[(number - 1) % len(names)]
        truth[name] = _write_patient(folder / "training" / name, name, group, rng)
    return truth
