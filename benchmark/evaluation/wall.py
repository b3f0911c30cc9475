"""Thickness of the left-ventricular wall in short-axis slices.

In a slice whose myocardium encloses the cavity, the thickness at a point of the mid-wall line (as
far from the endocardium as from the epicardium) is the sum of its distances to both: the length of
the chord across the wall there, as in the centre-line method (Sheehan et al., Circulation 1986),
without its smoothing along the wall.

Limits: trabeculae count as the mask has them. The distance is measured within the slice, so that
walls which the slice cuts at an angle, near the apex above all, seem thicker than they are; that is
why a ventricle is described by its middle third. The mean of a round wall is right to a tenth of a
pixel. A single pixel decides the largest thickness, so the thickest place is told by the 95th
percentile along the wall, which is right to half a pixel.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from benchmark.evaluation.contour import main_body, outline
from benchmark.evaluation.overlap import Mask

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]

# Points of an outline lie about half a pixel apart; a Gaussian of so many takes its steps away.
_SMOOTHING_POINTS = 2.0
_THICKEST = 95.0


@dataclass(frozen=True)
class SliceWall:
    """The wall in one slice.

    Attributes:
        index: Which slice of the label map.
        mean_mm: Mean thickness along the mid-wall line.
        max_mm: Thickness of the thickest place, the 95th percentile along that line.
    """

    index: int
    mean_mm: float
    max_mm: float


def wall_thickness(
    label_map: Labels, spacing_mm: tuple[float, ...], *, myocardium: int, cavity: int
) -> list[SliceWall]:
    """Measure the wall in every slice where it encloses the cavity.

    Args:
        label_map: Label map `(z, y, x)`; slices are short-axis slices.
        spacing_mm: Size of a voxel along each axis.
        myocardium: Label of the muscle.
        cavity: Label of the cavity.

    Returns:
        The slices that can be measured, in their order; none where the wall is open everywhere.
    """
    measured = []
    for index, plane in enumerate(label_map):
        ring = _ring(plane == myocardium, plane == cavity)
        if ring is not None:
            thickness = _thickness(*ring, np.asarray(spacing_mm[1:], np.float64))
            thickest = float(np.percentile(thickness, _THICKEST))
            measured.append(SliceWall(index, float(thickness.mean()), thickest))
    return measured


def mid_ventricular(slices: list[SliceWall]) -> list[SliceWall]:
    """Keep the slices that are left when the first and the last third are taken away."""
    third = len(slices) // 3
    return slices[third : len(slices) - third]


def _ring(muscle: Mask, cavity: Mask) -> tuple[Mask, Mask] | None:
    """What the endocardium and what the epicardium encloses, or None where the wall is open."""
    if not cavity.any() or not muscle.any():
        return None
    inner = np.pad(main_body(cavity), 1)
    outer = main_body(inner | np.pad(muscle, 1))
    around = ndimage.binary_dilation(inner, np.ones((3, 3), bool))
    return (inner, outer) if outer[around].all() else None


def _thickness(inner: Mask, outer: Mask, spacing_mm: Floats) -> Floats:
    """Thickness in mm at pixels along the mid-wall line, `(pixels,)`."""
    walls = np.argwhere(outer & ~inner) * spacing_mm
    to_inner, to_outer = (
        cKDTree(_smooth(outline(body)) * spacing_mm).query(walls)[0] for body in (inner, outer)
    )
    # A band about the mid-wall line, one pixel wide, holds a pixel at every place of it.
    near = np.abs(to_inner - to_outer) <= spacing_mm.max()
    return np.asarray((to_inner + to_outer)[near])


def _smooth(points: Floats) -> Floats:
    return np.asarray(ndimage.gaussian_filter1d(points, _SMOOTHING_POINTS, axis=0, mode="wrap"))
