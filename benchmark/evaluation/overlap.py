"""How far two masks overlap, from three voxel counts.

Every function takes the same `Overlap` and gives NaN where its quotient has nothing to divide by.
What a report shows for an empty mask is decided in one place, `benchmark.evaluation.metrics`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Overlap:
    """Voxels of the truth, of the prediction, and of both at once."""

    truth: int
    prediction: int
    intersection: int


def count(truth: Mask, prediction: Mask) -> Overlap:
    """Count the voxels of two boolean masks of one shape."""
    return Overlap(
        truth=int(np.count_nonzero(truth)),
        prediction=int(np.count_nonzero(prediction)),
        intersection=int(np.count_nonzero(truth & prediction)),
    )


def dice(overlap: Overlap) -> float:
    """Twice the intersection over the sum of both sizes (Dice 1945; the F1 score of voxels)."""
    return _quotient(2 * overlap.intersection, overlap.truth + overlap.prediction)


def iou(overlap: Overlap) -> float:
    """Intersection over union (Jaccard 1912); equals `dice / (2 - dice)`."""
    return _quotient(
        overlap.intersection, overlap.truth + overlap.prediction - overlap.intersection
    )


def precision(overlap: Overlap) -> float:
    """Share of the predicted voxels that are true."""
    return _quotient(overlap.intersection, overlap.prediction)


def recall(overlap: Overlap) -> float:
    """Share of the true voxels that are predicted (sensitivity)."""
    return _quotient(overlap.intersection, overlap.truth)


def _quotient(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
