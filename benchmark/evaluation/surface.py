"""Distances between the surfaces of two masks, in millimetres.

The surface of a mask is the set of its voxels that have a face in common with the outside: the mask
without its erosion by the 6-neighbourhood (4 in the plane). Outside the array there is background,
so a structure that touches the edge of the image has a surface there. This is the border of MedPy,
MONAI and Metrics Reloaded (Maier-Hein et al., Nature Methods 2024).

Three definitions are in use and give different numbers on the same masks; each can be asked for:

* ``metrics_reloaded`` (default): HD95 is the larger of the two directed 95th percentiles.
* ``pooled``: HD95 is the 95th percentile of both directions thrown together, as in MedPy.
* ``area_weighted``: surfaces are made of triangles (of line segments in the plane) that lie between
  the voxels and count by their area, as in DeepMind's surface-distance (Nikolov et al., JMIR 2021).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import edt
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from benchmark.evaluation import surfels
from benchmark.evaluation.overlap import Mask

Definition = Literal["metrics_reloaded", "pooled", "area_weighted"]
DEFINITIONS: tuple[Definition, ...] = get_args(Definition)

Floats = npt.NDArray[np.float64]

_PERCENTILE = 95.0
# A k-d tree costs per surface point as much as the distance transform costs on 8 voxels, and
# several times that where many points are nearly equally far.
_VOXELS_PER_POINT = 40
_FEW_POINTS = 20_000
# Distances equal to the tolerance count as within it, whatever the last bit of a product says.
_ROUNDING = 1.0 + 1e-6


@dataclass(frozen=True)
class Directed:
    """Distances from every element of one surface to the other surface.

    Attributes:
        distances_mm: One distance per surface element, `(elements,)`.
        weights: What each element counts, `(elements,)`: 1 for a voxel, its area for a triangle.
    """

    distances_mm: Floats
    weights: Floats

    def mean(self) -> float:
        """Weighted mean distance in mm."""
        return float(np.average(self.distances_mm, weights=self.weights))

    def within(self, tolerance_mm: float) -> float:
        """Total weight of the elements at most `tolerance_mm` away."""
        return float(self.weights[self.distances_mm <= tolerance_mm * _ROUNDING].sum())


@dataclass(frozen=True)
class SurfaceDistances:
    """Both directed sets of distances between two surfaces, and the definition they follow."""

    from_truth: Directed
    from_prediction: Directed
    definition: Definition = "metrics_reloaded"


def surface_voxels(mask: Mask) -> Mask:
    """Give the voxels of `mask` that have a face in common with the outside, `mask`'s shape."""
    padded = np.pad(mask, 1)
    inner = (slice(1, -1),) * mask.ndim
    enclosed = mask.copy()
    for axis in range(mask.ndim):
        for side in (slice(None, -2), slice(2, None)):
            enclosed &= padded[(*inner[:axis], side, *inner[axis + 1 :])]
    return mask & ~enclosed


def surface_distances(
    truth: Mask,
    prediction: Mask,
    spacing_mm: tuple[float, ...],
    definition: Definition = "metrics_reloaded",
) -> SurfaceDistances:
    """Measure from each surface to the other.

    Args:
        truth: Boolean mask, `(y, x)` or `(z, y, x)`, not empty.
        prediction: Boolean mask of the same shape, not empty.
        spacing_mm: Size of a voxel along each axis of the arrays.
        definition: One of `DEFINITIONS`.

    Raises:
        ValueError: If a mask is empty (it has no surface) or the definition is unknown.
    """
    if definition not in DEFINITIONS:
        raise ValueError(
            f"Expected a surface definition among {', '.join(DEFINITIONS)}. Received: {definition}"
        )
    if not truth.any() or not prediction.any():
        raise ValueError(
            "Expected two masks that are not empty. Received: an empty mask, which has no surface. "
            "Ask for the outcome of the comparison first."
        )
    box = bounding_box(truth | prediction)
    truth, prediction = truth[box], prediction[box]
    if definition == "area_weighted":
        return _between_surfels(truth, prediction, spacing_mm)
    surfaces = surface_voxels(truth), surface_voxels(prediction)
    there, back = _distances(*surfaces, spacing_mm)
    return SurfaceDistances(
        Directed(there, np.ones_like(there)), Directed(back, np.ones_like(back)), definition
    )


def hd(distances: SurfaceDistances) -> float:
    """Hausdorff distance in mm: the largest distance of either direction."""
    return float(
        max(distances.from_truth.distances_mm.max(), distances.from_prediction.distances_mm.max())
    )


def hd95(distances: SurfaceDistances) -> float:
    """95th percentile of the Hausdorff distance in mm, by the definition of `distances`."""
    directions = distances.from_truth, distances.from_prediction
    if distances.definition == "area_weighted":
        return max(_weighted_percentile(direction) for direction in directions)
    if distances.definition == "pooled":
        pooled = np.concatenate([direction.distances_mm for direction in directions])
        return float(np.percentile(pooled, _PERCENTILE))
    return max(
        float(np.percentile(direction.distances_mm, _PERCENTILE)) for direction in directions
    )


def assd(distances: SurfaceDistances) -> float:
    """Average symmetric surface distance in mm: the mean over the elements of both surfaces."""
    there, back = distances.from_truth, distances.from_prediction
    return float(
        np.average(
            np.concatenate([there.distances_mm, back.distances_mm]),
            weights=np.concatenate([there.weights, back.weights]),
        )
    )


def masd(distances: SurfaceDistances) -> float:
    """Mean average surface distance in mm: the mean of the two directed means."""
    return (distances.from_truth.mean() + distances.from_prediction.mean()) / 2


def nsd(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """Normalised surface distance: the share of both surfaces within `tolerance_mm` of the other.

    Nikolov et al., JMIR 2021.
    """
    there, back = distances.from_truth, distances.from_prediction
    near = there.within(tolerance_mm) + back.within(tolerance_mm)
    return near / float(there.weights.sum() + back.weights.sum())


def bounding_box(mask: Mask) -> tuple[slice, ...]:
    """Give the smallest box that holds every true voxel; an empty one for an empty mask."""
    box: list[slice] = []
    for axis in range(mask.ndim):
        # Each axis is searched inside the box of the axes before it, so the array is read once.
        view = mask[tuple(box)]
        others = tuple(other for other in range(mask.ndim) if other != axis)
        hits = np.flatnonzero(view.any(axis=others))
        box.append(slice(int(hits[0]), int(hits[-1]) + 1) if hits.size else slice(0, 0))
    return tuple(box)


def _between_surfels(
    truth: Mask, prediction: Mask, spacing_mm: tuple[float, ...]
) -> SurfaceDistances:
    codes = surfels.codes(truth), surfels.codes(prediction)
    borders = surfels.is_border(codes[0]), surfels.is_border(codes[1])
    there, back = _distances(*borders, spacing_mm)
    weights = surfels.weights(spacing_mm)
    return SurfaceDistances(
        Directed(there, weights[codes[0][borders[0]]]),
        Directed(back, weights[codes[1][borders[1]]]),
        "area_weighted",
    )


def _distances(
    truth: Mask, prediction: Mask, spacing_mm: tuple[float, ...]
) -> tuple[Floats, Floats]:
    """Distances from the points of each set to the nearest point of the other.

    Two exact ways, by what is cheaper: a k-d tree when surfaces are sparse in their box (a stray
    voxel in a far corner makes the box the whole image), else a Euclidean distance transform.
    """
    points = np.count_nonzero(truth) + np.count_nonzero(prediction)
    if points < _FEW_POINTS or points * _VOXELS_PER_POINT < truth.size:
        there, back = np.argwhere(truth), np.argwhere(prediction)
        return _nearest(there, back, spacing_mm), _nearest(back, there, spacing_mm)
    return (
        edt.edt(~prediction, anisotropy=spacing_mm)[truth].astype(np.float64),
        edt.edt(~truth, anisotropy=spacing_mm)[prediction].astype(np.float64),
    )


def _nearest(
    points: npt.NDArray[np.int64], targets: npt.NDArray[np.int64], spacing_mm: tuple[float, ...]
) -> Floats:
    scale = np.asarray(spacing_mm, dtype=np.float64)
    _, index = cKDTree(targets * scale).query(points * scale)
    # Whole steps first, then millimetres: equal distances come out equal to the last bit.
    steps = points - targets[index]
    return np.asarray(np.sqrt(np.square(steps * scale).sum(axis=1)))


def _weighted_percentile(direction: Directed) -> float:
    order = np.argsort(direction.distances_mm, kind="stable")
    covered = np.cumsum(direction.weights[order]) / direction.weights.sum()
    index = min(int(np.searchsorted(covered, _PERCENTILE / 100)), order.size - 1)
    return float(direction.distances_mm[order[index]])
