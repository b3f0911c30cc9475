"""Left-ventricular volumes from apical echo views, by Simpson's method of disks.

The long axis runs from the middle of the mitral plane to the apex; across it lie 20 disks whose
diameters are read in one view or in two at right angles:
`V = π/4 · L/20 · Σ a_i b_i` (Lang et al., J Am Soc Echocardiogr 2015).

Two methods are offered, and they differ by more than noise:

* `biplane` and `single_plane` give each instant its own long axis (of the two views, the longer)
  and read diameters in the middle of each disk, to a fraction of a pixel.
* `camus_official` follows the script published with CAMUS (Leclerc et al., IEEE TMI 2019): one disk
  height for both instants, that of the longest axis of all four masks, diameters at the lower end
  of each disk in steps of half a pixel from 8 pixels on. As the axis shortens in systole it
  overestimates the ESV and underestimates the EF, by several points; the `EF` of CAMUS' own files
  was made this way, by its authors' account, and is to be compared with this one only.

Either way the largest piece of the mask is measured, and a mask that has no measurable axis is
*not measurable*: `None`, and NaN in the volumes.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from benchmark.evaluation.clinical import Ventricle
from benchmark.evaluation.contour import Floats, main_body, outline

DISKS = 20

# How far the mitral plane may lie from a straight line, and how steep it may be.
_BASE_TOLERANCE_PX = 8.0
_BASE_TOLERANCE_MM = 2.5
_BASE_ANGLE_DEG = 45.0
# The outline of a ventricle has some 2,000 points at the finest spacing; all pairs are searched.
_MOST_POINTS = 4_000
_OFFICIAL_START_PX = 8.0
_OFFICIAL_STEP_PX = 0.5


@dataclass(frozen=True)
class View:
    """One echo view of the ventricle at one instant.

    Attributes:
        diameters_mm: Diameters of the disks from base to apex, `(DISKS,)`.
        length_mm: Length of the long axis.
    """

    diameters_mm: Floats
    length_mm: float


def disks_ml(first_mm: npt.ArrayLike, second_mm: npt.ArrayLike, length_mm: float) -> float:
    """Volume in mL of elliptic disks of equal height: `π/4 · L/n · Σ a_i b_i`."""
    first, second = np.asarray(first_mm, np.float64), np.asarray(second_mm, np.float64)
    return float(math.pi / 4 * length_mm / first.size * (first * second).sum() / 1000)


def measure(mask: npt.NDArray[np.generic], spacing_mm: tuple[float, float]) -> View | None:
    """Measure the ventricle in one view, in the middle of each disk.

    Args:
        mask: Image `(y, x)` at native resolution, not 0 inside the ventricle; the apex is above.
        spacing_mm: Size of a pixel along y and x.

    Returns:
        The diameters and the long axis, or None if the mask is not measurable.
    """
    body = _body(mask != 0)
    if body is None:
        return None
    points = outline(body) * np.asarray(spacing_mm)
    axis = _long_axis(points, _BASE_TOLERANCE_MM)
    if axis is None:
        return None
    base, apex = axis
    along = apex - base
    length_mm = float(np.linalg.norm(along))
    along /= length_mm
    fractions = (np.arange(DISKS) + 0.5) / DISKS
    diameters = [_width(points - base, along, length_mm * fraction) for fraction in fractions]
    return View(np.array(diameters), length_mm)


def single_plane(diastole: View | None, systole: View | None) -> Ventricle:
    """Volumes from one view, its disks taken as round."""
    return biplane((diastole, diastole), (systole, systole))


def biplane(
    diastole: tuple[View | None, View | None], systole: tuple[View | None, View | None]
) -> Ventricle:
    """Volumes from the two-chamber and the four-chamber view of each instant."""
    return Ventricle(_biplane_ml(*diastole), _biplane_ml(*systole))


def measure_official(mask: npt.NDArray[np.generic], spacing_mm: tuple[float, float]) -> View | None:
    """Measure the ventricle in one view as the script published with CAMUS does; see `measure`."""
    finest_mm = min(spacing_mm)
    body = _body(_isotropic(mask != 0, spacing_mm))
    if body is None:
        return None
    points = outline(body)
    # The script's outline starts, and ends, at the right end of the lowest row: a mitral plane that
    # lies across this point is cut there, which shifts the long axis.
    points = np.roll(points, -int(np.lexsort((points[:, 1], points[:, 0]))[-1]), axis=0)
    axis = _long_axis(np.concatenate([points, points[:1]]), _BASE_TOLERANCE_PX)
    if axis is None:
        return None
    base, apex = axis
    along = apex - base
    across = np.array([-along[1], along[0]]) / np.linalg.norm(along)
    diameters = [
        _walk(body, base + along * fraction, across) + _walk(body, base + along * fraction, -across)
        for fraction in np.linspace(0, 1, DISKS, endpoint=False)
    ]
    return View(np.array(diameters) * finest_mm, float(np.linalg.norm(along)) * finest_mm)


def camus_official(
    diastole: tuple[View | None, View | None], systole: tuple[View | None, View | None]
) -> Ventricle:
    """Volumes as CAMUS' own script gives them, in whole mL, from views of `measure_official`."""
    (two_ed, four_ed), (two_es, four_es) = diastole, systole
    if two_ed is None or four_ed is None or two_es is None or four_es is None:
        return Ventricle(math.nan, math.nan)
    length_mm = max(view.length_mm for view in (two_ed, four_ed, two_es, four_es))
    return Ventricle(
        float(round(disks_ml(two_ed.diameters_mm, four_ed.diameters_mm, length_mm))),
        float(round(disks_ml(two_es.diameters_mm, four_es.diameters_mm, length_mm))),
    )


def _body(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """The largest piece, or None if it has no inside: a line or a few pixels have no diameter."""
    body = main_body(mask)
    return body if ndimage.binary_erosion(body).any() else None


def _biplane_ml(first: View | None, second: View | None) -> float:
    if first is None or second is None:
        return math.nan
    length_mm = max(first.length_mm, second.length_mm)
    return disks_ml(first.diameters_mm, second.diameters_mm, length_mm)


def _long_axis(points: Floats, tolerance: float) -> tuple[Floats, Floats] | None:
    """Find the middle of the mitral plane and the apex on an outline, in the outline's unit.

    The mitral plane is the longest chord, at most 45° steep, that the outline follows within the
    tolerance; its middle is that of the outline between the chord's ends, and the apex is the point
    farthest from it.
    """
    chord = _base_chord(points, tolerance) if len(points) <= _MOST_POINTS else None
    if chord is None:
        return None
    start, end = chord
    base = points[start + round((end - start) / 2)]
    apex = points[np.linalg.norm(points - base, axis=1).argmax()]
    return (base, apex) if np.any(apex != base) else None


def _base_chord(points: Floats, tolerance: float) -> tuple[int, int] | None:
    # Clockwise from the top, the base is passed from right to left: chords lead from a later point
    # to an earlier one on its right.
    back = points[None, :, :] - points[:, None, :]
    steep = np.abs(back[..., 0]) <= back[..., 1] * math.tan(math.radians(_BASE_ANGLE_DEG))
    ends, starts = np.nonzero(np.tril(steep, -1) & (back[..., 1] > 0))
    lengths = np.linalg.norm(back[ends, starts], axis=1)
    # Nearly all chords cut across the ventricle; a few points of the outline tell.
    for part in (0.5, 0.25, 0.75):
        between = starts + np.rint((ends - starts) * part).astype(np.int64)
        near = _off_line(points[starts], points[ends], points[between]) <= tolerance
        starts, ends, lengths = starts[near], ends[near], lengths[near]
    for index in np.argsort(-lengths, kind="stable"):
        start, end = int(starts[index]), int(ends[index])
        between_points = points[start + 1 : end]
        if np.all(_off_line(points[start], points[end], between_points) <= tolerance):
            return start, end
    return None


def _off_line(start: Floats, end: Floats, points: Floats) -> Floats:
    """Distances of points from the line through `start` and `end`."""
    line, offset = end - start, points - start
    cross = line[..., 0] * offset[..., 1] - line[..., 1] * offset[..., 0]
    return np.asarray(np.abs(cross) / np.linalg.norm(line, axis=-1))


def _width(points: Floats, along: Floats, height: float) -> float:
    """Length inside a closed outline of the line across `along` at a height above the origin."""
    above = points @ along - height
    sideways = points @ np.array([-along[1], along[0]])
    after, sideways_after = np.roll(above, -1), np.roll(sideways, -1)
    crossed = (above < 0) != (after < 0)
    part = above[crossed] / (above[crossed] - after[crossed])
    crossings = np.sort(sideways[crossed] + part * (sideways_after[crossed] - sideways[crossed]))
    return float((crossings[1::2] - crossings[::2]).sum())


def _isotropic(
    mask: npt.NDArray[np.bool_], spacing_mm: tuple[float, float]
) -> npt.NDArray[np.bool_]:
    """Repeat pixels until both axes have the finer spacing."""
    finest_mm = min(spacing_mm)
    rows, columns = (
        ((np.arange(size_new) + 0.5) * size / size_new).astype(np.int64)
        for size, size_new in (
            (size, round(size * step / finest_mm))
            for size, step in zip(mask.shape, spacing_mm, strict=True)
        )
    )
    return np.asarray(mask[np.ix_(rows, columns)])


def _walk(body: npt.NDArray[np.bool_], start: Floats, direction: Floats) -> float:
    """Walk from a point until outside, from 8 pixels on, and say how far that was."""
    distance = _OFFICIAL_START_PX
    while True:
        y, x = np.rint(start + distance * direction).astype(int)
        inside = 0 <= y < body.shape[0] and 0 <= x < body.shape[1]
        if not inside or not body[y, x]:
            return distance
        distance += _OFFICIAL_STEP_PX
