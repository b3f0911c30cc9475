"""Patients for the short axis: both ventricles at ED and ES in five pathology groups.

Volumes, ejection fractions and masses are drawn round the means that the ACDC training masks have
in each group.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from datasets.phantom.geometry import Contour
from datasets.phantom.texture import spread
from datasets.phantom.ventricles import MYOCARDIAL_DENSITY_G_PER_ML, Ventricles, radius_for

THICKNESS_MM = 10.0
"""Distance of the slices; the ventricles' bases lie on the border between two of them."""


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

    def at(self, contraction: float) -> Ventricles:
        """The ventricles between ED (0) and ES (1); the muscle keeps its volume all the while."""
        ed, es = self.diastole, self.systole

        def between(before: float, after: float) -> float:
            return before + contraction * (after - before)

        fields = (
            "base", "length", "outer_length", "shift", "right_base", "right_length", "right_depth",
            "right_half_angle",
        )  # fmt: skip
        shape = {name: between(getattr(ed, name), getattr(es, name)) for name in fields}
        volume = between(ed.inner_volume_ml(), es.inner_volume_ml())
        muscle = ed.myocardium_ml()
        right = between(ed.right_volume_ml(), es.right_volume_ml())
        radius = radius_for(volume, shape["length"], ed.power, ed.contour)
        outer = radius_for(volume + muscle, shape["outer_length"], ed.power, ed.contour)
        moved = replace(ed, **shape, radius=radius, outer_radius=outer)  # type: ignore[arg-type]
        return moved.with_right_volume(right)


def _wobble(septum: float, flat: float, rng: np.random.Generator) -> Contour:
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
    contour = _wobble(septum, 0.06 if group == "RV" else 0.0, rng)
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
        right_half_angle=float(rng.uniform(1.2, 1.4)), right_skew=float(rng.uniform(-0.25, 0.25)),
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
    # One slice above the base, and at times one below the apex.
    lead = 1
    covered = lead + int(np.ceil(diastole.outer_length / THICKNESS_MM))
    slices = covered + int(rng.random() < 0.4)
    return Heart(
        group=group, diastole=diastole, systole=systole, slices=slices, lead=lead,
        centre=(float(rng.uniform(-18, 8)), float(rng.uniform(-12, 16))),
        tilt=(float(rng.uniform(-0.05, 0.25)), float(rng.uniform(-0.05, 0.25))),
        height_cm=round(spread(171, 9, rng=rng)), weight_kg=round(spread(76, 13, rng=rng)),
        systole_frame=int(rng.integers(8, 15)),
    )  # fmt: skip
