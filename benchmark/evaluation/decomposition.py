"""Where a segmentation loses its Dice: by what kind of error, and at which end of the heart."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import edt
import numpy as np
import numpy.typing as npt

from benchmark.evaluation import overlap
from benchmark.evaluation.comparison import DEFAULT_TOLERANCE_MM, check_geometry
from benchmark.evaluation.overlap import Mask
from benchmark.evaluation.surface import bounding_box, surface_voxels

Labels = npt.NDArray[np.integer]
Position = Literal["base", "mid", "apex"]
POSITIONS: tuple[Position, ...] = ("base", "mid", "apex")


@dataclass(frozen=True)
class DiceLoss:
    """The parts of `1 - Dice`: they add up to it. NaN if both masks are empty.

    Attributes:
        boundary: Lost to wrong voxels within the tolerance of the true surface.
        missed: Lost to true voxels farther from it that were not predicted.
        invented: Lost to predicted voxels farther from it that are not true.
    """

    boundary: float
    missed: float
    invented: float


def dice_loss(
    truth: npt.NDArray[np.generic],
    prediction: npt.NDArray[np.generic],
    spacing_mm: tuple[float, ...],
    *,
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
) -> DiceLoss:
    """Split what is missing to a Dice of 1 by the kind of error.

    Every wrong voxel costs `1 / (truth + prediction)`, wherever it lies. One that is at most
    `tolerance_mm` from the surface of the truth is a shift of the boundary. Where one mask is empty
    there is no boundary to shift: all is missed, or all is invented.

    Args:
        truth: Mask `(y, x)` or `(z, y, x)`, not 0 inside the structure.
        prediction: Mask of the same shape.
        spacing_mm: Size of a voxel along each axis.
        tolerance_mm: How far a boundary may have shifted.

    Raises:
        GeometryError: If shapes or spacing do not fit together.
    """
    check_geometry(truth, prediction, spacing_mm)
    true, predicted = truth != 0, prediction != 0
    counts = overlap.count(true, predicted)
    total = counts.truth + counts.prediction
    if not total:
        return DiceLoss(math.nan, math.nan, math.nan)
    if not counts.truth or not counts.prediction:
        return DiceLoss(0.0, float(not counts.prediction), float(not counts.truth))
    box = bounding_box(true | predicted)
    true, predicted = true[box], predicted[box]
    near = _near_surface(true, spacing_mm, tolerance_mm)
    wrong = true != predicted
    return DiceLoss(
        boundary=int(np.count_nonzero(wrong & near)) / total,
        missed=int(np.count_nonzero(wrong & ~near & true)) / total,
        invented=int(np.count_nonzero(wrong & ~near & predicted)) / total,
    )


def dice_by_position(
    truth: Labels, prediction: Labels, classes: Mapping[str, int]
) -> list[dict[str, str | float]]:
    """Score thirds of a short-axis stack: base, mid and apex.

    The slices with any structure of the truth are cut into thirds. The base is the end whose last
    slice shows more of the structures: files do not agree on which end comes first. Slices beyond
    belong to the end next to them, so what is invented there counts.

    Args:
        truth: Label map `(z, y, x)`, z across the slices.
        prediction: Label map of the same shape.
        classes: Label of each structure by name.

    Returns:
        Rows with `class`, `position` and `dice`; NaN where both are empty. No rows for an empty
        truth.

    Raises:
        ValueError: If the label maps are not volumes of one shape.
    """
    if truth.ndim != 3 or truth.shape != prediction.shape:
        raise ValueError(
            "Expected two label maps (z, y, x) of one shape. "
            f"Received: {truth.shape} and {prediction.shape}."
        )
    sizes = np.isin(truth, list(classes.values())).sum(axis=(1, 2))
    shown = np.flatnonzero(sizes)
    if not shown.size:
        return []
    first, last = int(shown[0]), int(shown[-1])
    cuts = [0, *np.linspace(first, last + 1, 4).round().astype(int)[1:-1].tolist(), len(truth)]
    order = POSITIONS if sizes[first] >= sizes[last] else POSITIONS[::-1]
    return [
        {
            "class": name,
            "position": position,
            "dice": overlap.dice(
                overlap.count(truth[start:stop] == label, prediction[start:stop] == label)
            ),
        }
        for name, label in classes.items()
        for position, start, stop in zip(order, cuts[:-1], cuts[1:], strict=True)
    ]


def _near_surface(mask: Mask, spacing_mm: tuple[float, ...], tolerance_mm: float) -> Mask:
    distances = edt.edt(~surface_voxels(mask), anisotropy=spacing_mm)
    return np.asarray(distances <= tolerance_mm * (1 + 1e-6))
