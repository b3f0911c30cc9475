"""Two ventricles as stacks of closed contours, with volumes known from integrals.

The left ventricle is a solid of revolution about the z axis, base to apex, whose round sections are
replaced by wobbling contours; the myocardium lies between two such solids; the right ventricle is
the crescent between the left ventricle's outer contour and a curve farther out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datasets.phantom.geometry import Contour, Float

MYOCARDIAL_DENSITY_G_PER_ML = 1.05
"""Specific gravity of heart muscle, as used for ACDC's left ventricular mass."""

# Gauss-Legendre on [-1, 1]. Both integrands have roots at their ends; the substitutions
# u = sin(πv/2) across the crescent and t = 1 − (1 − v)² along it remove them.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_ACROSS = np.sin(0.5 * np.pi * _NODES)
_ACROSS_WEIGHTS = _WEIGHTS * 0.5 * np.pi * np.cos(0.5 * np.pi * _NODES)


@dataclass(frozen=True)
class Ventricles:
    """One phase of one heart. Lengths in mm, z grows from base to apex, angles in radians.

    Attributes:
        base: z of the mitral plane; both left ventricular surfaces begin there.
        length: base to apex of the cavity.
        outer_length: base to apex of the epicardium.
        radius: cavity radius at the base.
        outer_radius: epicardial radius at the base.
        power: bluntness p of R(z)² = R₀²·(1 − (z/L)^p).
        contour: wobble of every section of both surfaces.
        septum: direction from the left ventricle's axis to the right ventricle.
        shift: how far the cavity's axis leaves the epicardium's, as a share of the mean wall; above
            zero the wall is thin in `shift_angle` and thick opposite.
        shift_angle: direction of that shift.
        right_base: z where the right ventricle begins.
        right_length: its length along z.
        right_depth: septum to free wall at its base.
        right_half_angle: half of the angle it spans at its base.
        right_skew: asymmetry of the crescent, −1 to 1.
    """

    base: float
    length: float
    outer_length: float
    radius: float
    outer_radius: float
    power: float
    contour: Contour
    septum: float
    shift: float
    shift_angle: float
    right_base: float
    right_length: float
    right_depth: float
    right_half_angle: float
    right_skew: float

    def inner_radius_at(self, z: float) -> float:
        """Mean cavity radius at height z; 0 outside the cavity."""
        return self.radius * _profile((z - self.base) / self.length, self.power)

    def outer_radius_at(self, z: float) -> float:
        """Mean epicardial radius at height z; 0 outside the ventricle."""
        return self.outer_radius * _profile((z - self.base) / self.outer_length, self.power)

    def depth_at(self, z: float) -> float:
        """Depth of the crescent at height z; 0 outside the right ventricle."""
        t = (z - self.right_base) / self.right_length
        return self.right_depth * (1.0 - t) ** 0.75 if 0.0 <= t < 1.0 else 0.0

    def half_angle_at(self, z: float) -> float:
        """Half of the angle that the crescent spans at height z."""
        t = (z - self.right_base) / self.right_length
        return self.right_half_angle * (1.0 - 0.3 * float(np.clip(t, 0.0, 1.0)))

    def crescent(self, u: NDArray[np.floating]) -> NDArray[np.floating]:
        """Depth of the crescent relative to its greatest, over u = angle / half angle."""
        inside = np.clip(1.0 - np.abs(u) ** 2.6, 0.0, None)
        return inside**0.7 * (1.0 + self.right_skew * u)

    def septal_radius_at(self, z: float) -> float:
        """Mean radius on which the crescent rests; the outflow tract closes in above the base."""
        above = min(1.0, max(0.0, self.base - z) / 12.0)
        return self.outer_radius_at(max(z, self.base)) * (1.0 - 0.45 * above)

    def inner_volume_ml(self) -> float:
        """Cavity of the left ventricle, papillary muscles included; exact."""
        return self._solid(self.radius, self.length)

    def myocardium_ml(self) -> float:
        """Wall of the left ventricle; exact."""
        return self._solid(self.outer_radius, self.outer_length) - self.inner_volume_ml()

    def _solid(self, radius: float, length: float) -> float:
        share = self.power / (self.power + 1.0)
        return np.pi * radius**2 * self.contour.area_factor * length * share / 1000.0

    def right_volume_ml(self) -> float:
        """Cavity of the right ventricle, by Gauss-Legendre quadrature to about 1e-6."""
        above = max(0.0, self.base - self.right_base) / self.right_length
        # The crescent's rest bends at the left ventricle's base: each side by itself.
        pieces = [piece for piece in ((0.0, above), (above, 1.0)) if piece[1] > piece[0]]
        return sum(self._right_piece_ml(*piece) for piece in pieces)

    def _right_piece_ml(self, first: float, last: float) -> float:
        v = 0.5 * (_NODES + 1.0)
        span = (last - first) * self.right_length
        heights = self.right_base + first * self.right_length + span * (1.0 - (1.0 - v) ** 2)
        half = np.array([self.half_angle_at(float(z)) for z in heights])[:, None]
        rest = np.array([self.septal_radius_at(float(z)) for z in heights])[:, None]
        deep = np.array([self.depth_at(float(z)) for z in heights])[:, None]
        rest = rest * self.contour.factor(self.septum + half * _ACROSS)
        deep = deep * self.crescent(_ACROSS)
        areas = half[:, 0] * ((rest * deep + 0.5 * deep**2) @ _ACROSS_WEIGHTS)
        return float(np.dot(_WEIGHTS * (1.0 - v), areas)) * span / 1000.0

    def with_right_volume(self, volume_ml: float) -> Ventricles:
        """The same heart with the crescent's depth chosen for a right ventricular volume.

        The volume is quadratic in the depth, without a constant: two values give its coefficients.
        """
        one = replace(self, right_depth=1.0).right_volume_ml()
        two = replace(self, right_depth=2.0).right_volume_ml()
        square = 0.5 * two - one
        linear = one - square
        depth = (np.sqrt(linear**2 + 4.0 * square * volume_ml) - linear) / (2.0 * square)
        return replace(self, right_depth=float(depth))

    def distances(self, z: float, y: Float, x: Float) -> tuple[Float, Float, Float]:
        """Distances in the plane at height z from the epicardium's axis.

        Args:
            z: height.
            y: downward coordinates relative to the epicardium's centre.
            x: rightward coordinates.

        Returns:
            Distances to the cavity, the epicardium and the right ventricle; above every length
            where the plane does not meet the structure.
        """
        far = np.full(np.broadcast_shapes(y.shape, x.shape), 1e3, dtype=np.float32)
        inner_radius, outer_radius = self.inner_radius_at(z), self.outer_radius_at(z)
        reach = np.hypot(y, x)
        angle = np.arctan2(y, x)
        wobble = self.contour.factor(angle).astype(np.float32)
        outer = reach - np.float32(outer_radius) * wobble if outer_radius > 0 else far
        inner = far
        if inner_radius > 0:
            shift = self.shift * (outer_radius - inner_radius)
            dy = y - np.float32(shift * np.sin(self.shift_angle))
            dx = x - np.float32(shift * np.cos(self.shift_angle))
            bend = self.contour.factor(np.arctan2(dy, dx)).astype(np.float32)
            inner = np.hypot(dy, dx) - np.float32(inner_radius) * bend
        right = far
        depth = self.depth_at(z)
        if depth > 0:
            half = self.half_angle_at(z)
            turn = (angle - np.float32(self.septum) + np.pi) % (2 * np.pi) - np.pi
            u = (turn / half).astype(np.float32)
            rest = np.float32(self.septal_radius_at(z)) * wobble
            free = reach - rest - np.float32(depth) * self.crescent(u).astype(np.float32)
            side = (np.abs(u) - 1.0) * np.float32(half) * reach
            right = np.maximum(np.maximum(free, rest - reach), side)
        return inner, outer, right


def _profile(t: float, power: float) -> float:
    return float(np.sqrt(max(0.0, 1.0 - t**power))) if t >= 0.0 else 0.0


def radius_for(volume_ml: float, length: float, power: float, contour: Contour) -> float:
    """Base radius (mm) of the solid of that volume and length."""
    share = power / (power + 1.0)
    return float(np.sqrt(volume_ml * 1000.0 / (np.pi * contour.area_factor * length * share)))
