"""The left heart in the two apical echo views: outlines with exact areas and biplane volumes.

Every section across the long axis is an ellipse whose diameters are seen one in each view, so the
volume is π/4·∫ a(s)·b(s) ds, which is what Simpson's biplane rule estimates. The axis may bend: a
section slides sideways without a change of its diameter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datasets.phantom.geometry import Float

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
# Substituting t = 1 − (1 − v)²/1 on [0, 1] removes the root singularity of a round apex.
_V = 0.5 * (_NODES + 1.0)
_T = 1.0 - (1.0 - _V) ** 2
_W = _WEIGHTS * (1.0 - _V)


@dataclass(frozen=True)
class Profile:
    """Relative diameter along the axis, t = 0 at the mitral plane, 1 at the apex.

    Attributes:
        annulus: diameter at the mitral plane relative to the body's.
        rise: where the full width is reached.
        blunt: power n of the apical rounding sqrt(1 − t^n).
    """

    annulus: float
    rise: float
    blunt: float

    def __call__(self, t: NDArray[np.floating]) -> NDArray[np.floating]:
        """Diameter relative to the body's; 0 outside [0, 1]."""
        grown = np.sin(0.5 * np.pi * np.clip(t / self.rise, 0.0, 1.0))
        body = self.annulus + (1.0 - self.annulus) * grown
        round_off = np.sqrt(np.clip(1.0 - np.clip(t, 0.0, None) ** self.blunt, 0.0, None))
        return np.where(t >= 0.0, body * round_off, 0.0)


@dataclass(frozen=True)
class AtrialProfile:
    """Part of an ellipse, t = 0 at the mitral plane, 1 at the roof.

    Attributes:
        annulus: diameter at the mitral plane relative to the widest.
    """

    annulus: float

    def __call__(self, t: NDArray[np.floating]) -> NDArray[np.floating]:
        """Diameter relative to the widest; 0 outside [0, 1]."""
        start = -np.sqrt(1.0 - self.annulus**2)
        v = start + (1.0 - start) * t
        return np.where(t >= 0.0, np.sqrt(np.clip(1.0 - v * v, 0.0, None)), 0.0)


def mean_product(first: Profile | AtrialProfile, second: Profile | AtrialProfile) -> float:
    """∫₀¹ p(t)·q(t) dt of two profiles, by Gauss-Legendre."""
    return float(np.sum(_W * first(_T) * second(_T)))


def mean(profile: Profile | AtrialProfile) -> float:
    """∫₀¹ p(t) dt."""
    return float(np.sum(_W * profile(_T)))


@dataclass(frozen=True)
class Outline:
    """Left heart of one view at one instant. Lengths in mm.

    The local frame has s along the long axis, 0 at the mitral plane and positive to the apex, and u
    across it.

    Attributes:
        length: of the ventricular cavity.
        width: greatest diameter of the cavity.
        profile: course of its diameter.
        wall: thickness of the myocardium at the sides.
        apex_wall: thickness at the apex.
        bend: greatest sideways displacement of the axis.
        atrium_length: mitral plane to the roof of the atrium.
        atrium_width: greatest diameter of the atrium.
        atrium_profile: course of its diameter.
        atrium_bend: sideways displacement of the atrium's roof.
    """

    length: float
    width: float
    profile: Profile
    wall: float
    apex_wall: float
    bend: float
    atrium_length: float
    atrium_width: float
    atrium_profile: AtrialProfile
    atrium_bend: float

    def axis(self, s: Float) -> Float:
        """Displacement of the ventricle's axis at height s."""
        t = np.clip(s / np.float32(self.length), 0.0, 1.2)
        return np.float32(self.bend) * np.sin(np.float32(np.pi) * t)

    def cavity(self, s: Float, u: Float) -> Float:
        """Distance across the axis to the endocardium, negative inside, 1e3 beyond both ends."""
        half = 0.5 * self.width * self.profile(s / self.length)
        inside = np.abs(u - self.axis(s)) - half
        return np.where((s >= 0) & (s < self.length), inside, 1e3).astype(np.float32)

    def epicardium(self, s: Float, u: Float) -> Float:
        """The same for the outer surface of the wall."""
        half = self._outer_half(s)
        inside = np.abs(u - self.axis(s)) - half
        end = self.length + self.apex_wall
        return np.where((s >= 0) & (s < end), inside, 1e3).astype(np.float32)

    def _outer_half(self, s: NDArray[np.floating]) -> NDArray[np.floating]:
        t = s / (self.length + self.apex_wall)
        return (0.5 * self.width + self.wall) * self._outer(t)

    @property
    def _outer(self) -> Profile:
        # At the annulus the wall is as thick as at the sides.
        annulus = (0.5 * self.width * self.profile.annulus + self.wall) / (
            0.5 * self.width + self.wall
        )
        return Profile(annulus, self.profile.rise, self.profile.blunt)

    def atrium(self, s: Float, u: Float) -> Float:
        """The same for the left atrium, which lies at s < 0."""
        t = -s / self.atrium_length
        half = 0.5 * self.atrium_width * self.atrium_profile(t)
        inside = np.abs(u - np.float32(self.atrium_bend) * np.clip(t, 0.0, 1.0)) - half
        return np.where((s < 0) & (t < 1.0), inside, 1e3).astype(np.float32)

    def towards(self, other: Outline, share: float) -> Outline:
        """The outline on the way to that of another instant of the same view."""
        fields = ("length", "width", "wall", "atrium_length", "atrium_width")
        changed = {
            name: getattr(self, name) + share * (getattr(other, name) - getattr(self, name))
            for name in fields
        }
        return replace(self, **changed)

    @property
    def cavity_area_mm2(self) -> float:
        """Area of the ventricular cavity; exact."""
        return self.length * self.width * mean(self.profile)

    @property
    def myocardium_area_mm2(self) -> float:
        """Area of the wall; exact."""
        whole = (self.length + self.apex_wall) * (self.width + 2 * self.wall) * mean(self._outer)
        return whole - self.cavity_area_mm2

    @property
    def atrium_area_mm2(self) -> float:
        """Area of the atrium, as if no sector cut it; exact."""
        return self.atrium_length * self.atrium_width * mean(self.atrium_profile)


def ventricle_ml(two: Outline, four: Outline) -> float:
    """Volume whose sections have the two views' diameters; the views share the length."""
    product = mean_product(two.profile, four.profile)
    return float(np.pi / 4 * two.length * two.width * four.width * product / 1000.0)


def atrium_ml(two: Outline, four: Outline) -> float:
    """Volume of the atrium, likewise."""
    product = mean_product(two.atrium_profile, four.atrium_profile)
    wide = two.atrium_width * four.atrium_width
    return float(np.pi / 4 * two.atrium_length * wide * product / 1000.0)
