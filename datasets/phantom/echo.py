"""Apical two- and four-chamber echocardiograms in the layout of CAMUS (NIfTI release)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.phantom.apical import (
    AtrialProfile,
    Outline,
    Profile,
    atrium_ml,
    mean_product,
    ventricle_ml,
)
from datasets.phantom.layout import NOTICE, write_fields, write_nifti
from datasets.phantom.scene import Scene
from datasets.phantom.sector import BEAMS, SAMPLES, SPACING_MM, Probe, acquire
from datasets.phantom.texture import spread

VIEWS = ("2CH", "4CH")
QUALITIES = ("Good", "Medium", "Poor")
QUALITY_SHARES = (0.5, 0.36, 0.14)


@dataclass(frozen=True)
class Exam:
    """One patient: outlines by (view, phase) and the truth about them."""

    outlines: dict[tuple[str, str], Outline]
    truth: dict[str, object]


def random_exam(*, rng: np.random.Generator) -> Exam:
    """Draw the left heart of one patient."""
    sick = rng.random() < 0.5
    fraction = spread(38 if sick else 59, 9 if sick else 6, rng=rng, reach=1.8) / 100.0
    volume = spread(135 if sick else 100, 32 if sick else 20, rng=rng)
    length = float(np.clip(spread(1.78, 0.07, rng=rng) * (1000 * volume) ** (1 / 3), 70, 100))
    ratio = float(rng.uniform(0.92, 1.08))
    profiles = {
        view: Profile(
            float(rng.uniform(0.68, 0.8)),
            float(rng.uniform(0.3, 0.5)),
            float(rng.uniform(2.2, 3.2)),
        )
        for view in VIEWS
    }
    atria = {view: AtrialProfile(float(rng.uniform(0.68, 0.8))) for view in VIEWS}
    wall = spread(9.0, 1.7, rng=rng)
    bend = {view: float(rng.uniform(-6, 6)) for view in VIEWS}
    roof = {view: float(rng.uniform(-5, 5)) for view in VIEWS}
    atrium_volume = spread(48, 14, rng=rng)
    atrium_shape = float(rng.uniform(0.95, 1.25))
    shortening = 0.06 + 0.16 * fraction
    outlines: dict[tuple[str, str], Outline] = {}
    for phase in ("ED", "ES"):
        ends = phase == "ES"
        long = length * (1.0 - shortening) if ends else length
        content = volume * (1.0 - fraction) if ends else volume
        full = content * 1000.0 / (
            np.pi / 4 * long * mean_product(profiles["2CH"], profiles["4CH"])
        )  # fmt: skip
        # The atrium fills while the ventricle empties.
        filled = atrium_volume * (1.0 + 0.8 * fraction) if ends else atrium_volume
        product = mean_product(atria["2CH"], atria["4CH"])
        across = (filled * 1000.0 / (np.pi / 4 * product * atrium_shape)) ** (1 / 3)
        for view in VIEWS:
            side = ratio if view == "2CH" else 1.0 / ratio
            outlines[view, phase] = Outline(
                length=long, width=float(np.sqrt(full)) * side, profile=profiles[view],
                wall=wall * (1.0 + 0.55 * fraction if ends else 1.0),
                apex_wall=0.8 * wall, bend=bend[view],
                atrium_length=across * atrium_shape, atrium_width=across * side,
                atrium_profile=atria[view], atrium_bend=roof[view],
            )  # fmt: skip
    return Exam(outlines, _truth(outlines))


def _truth(outlines: dict[tuple[str, str], Outline]) -> dict[str, object]:
    truth: dict[str, object] = {}
    volumes = []
    for phase in ("ED", "ES"):
        two, four = outlines["2CH", phase], outlines["4CH", phase]
        volumes.append(ventricle_ml(two, four))
        truth[f"left_ventricle_{phase}_ml"] = volumes[-1]
        truth[f"left_atrium_{phase}_ml"] = atrium_ml(two, four)
        truth[f"left_ventricle_{phase}_length_mm"] = two.length
        for view, outline in (("2CH", two), ("4CH", four)):
            truth[f"left_ventricle_{view}_{phase}_mm2"] = outline.cavity_area_mm2
            truth[f"myocardium_{view}_{phase}_mm2"] = outline.myocardium_area_mm2
            truth[f"left_atrium_{view}_{phase}_mm2"] = outline.atrium_area_mm2
    truth["left_ventricle_EF_percent"] = 100.0 * (volumes[0] - volumes[1]) / volumes[0]
    return truth


def _write_patient(
    folder: Path, name: str, rng: np.random.Generator, sequence: np.random.Generator | None
) -> dict[str, object]:
    exam = random_exam(rng=rng)
    folder.mkdir(parents=True)
    sex, age = str(rng.choice(["F", "M"])), int(np.clip(spread(65, 13, rng=rng), 18, 95))
    truth = dict(exam.truth)
    ejection = round(float(exam.truth["left_ventricle_EF_percent"]))  # type: ignore[arg-type]
    for view in VIEWS:
        quality = QUALITIES[int(rng.choice(3, p=QUALITY_SHARES))]
        frames = int(rng.integers(14, 24))
        rate = round(float(rng.uniform(45, 65)), 1)
        probe = Probe.random(exam.outlines[view, "ED"], quality, rng=rng)
        scene = Scene.random(view, quality, probe.half_angle, (SAMPLES, BEAMS), rng=rng)
        step = (SPACING_MM, SPACING_MM)
        drawn = {}
        for phase in ("ED", "ES"):
            outline = exam.outlines[view, phase]
            image, mask = drawn[phase] = acquire(outline, probe, scene, rng=rng)
            stem = f"{name}_{view}_{phase}"
            write_nifti(folder / f"{stem}.nii.gz", image, step)
            write_nifti(folder / f"{stem}_gt.nii.gz", mask, step)
        if sequence is not None:
            ed, es = exam.outlines[view, "ED"], exam.outlines[view, "ES"]
            shares = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, frames - 1) / (frames - 1))
            between = [
                acquire(ed.towards(es, float(share)), probe, scene, rng=sequence)
                for share in shares
            ]
            images, masks = zip(drawn["ED"], *between, drawn["ES"], strict=True)
            stem = f"{name}_{view}_half_sequence"
            # The release states 1 along time.
            write_nifti(folder / f"{stem}.nii.gz", np.stack(images), (1.0, *step))
            write_nifti(folder / f"{stem}_gt.nii.gz", np.stack(masks), (1.0, *step))
        write_fields(folder / f"Info_{view}.cfg", {
            "ED": 1, "ES": frames, "NbFrame": frames, "Sex": sex, "Age": age,
            "ImageQuality": quality, "EF": ejection, "FrameRate": rate,
        })  # fmt: skip
    (folder / "MANDATORY_CITATION.md").write_text(NOTICE)
    return truth


def split_sizes(patients: int) -> tuple[int, int, int]:
    """Patients for training, validation and testing: 8:1:1 as officially, none empty from 3 on."""
    if patients < 3:
        return patients, 0, 0
    tenth = max(1, round(patients / 10))
    return patients - 2 * tenth, tenth, tenth


def build(folder: Path, patients: int, seed: int, full: bool) -> dict[str, object]:
    """Fill a CAMUS release with phantoms and return their truth by patient.

    Args:
        folder: the release's folder, which exists and is empty.
        patients: how many; the split lists name them all.
        seed: the same seed gives the same patient k, however many there are.
        full: with the half sequences between ED and ES.
    """
    names = [f"patient{number:04d}" for number in range(1, patients + 1)]
    truth: dict[str, object] = {}
    for number, name in enumerate(names, start=1):
        rng = np.random.default_rng([seed, 4, number])
        sequence = np.random.default_rng([seed, 6, number]) if full else None
        truth[name] = _write_patient(folder / "database_nifti" / name, name, rng, sequence)
    lists = folder / "database_split"
    lists.mkdir()
    start = 0
    sizes = split_sizes(patients)
    for part, size in zip(("training", "validation", "testing"), sizes, strict=True):
        chosen = names[start : start + size]
        start += size
        (lists / f"subgroup_{part}.txt").write_text("".join(f"{n}\n" for n in chosen))
    (lists / "information.txt").write_text(NOTICE)
    return truth
