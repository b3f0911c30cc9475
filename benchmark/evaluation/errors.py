"""What ``cases.csv`` says of the errors of a case beyond its scores: their kind and place."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from benchmark.data.preprocessing import Labels
from benchmark.evaluation.decomposition import POSITIONS, dice_by_position, dice_loss
from benchmark.evaluation.surface import bounding_box

ERROR_COLUMNS = (
    "area_truth_cm2",
    *("loss_boundary", "loss_missed", "loss_invented"),
    *(f"dice_{position}" for position in POSITIONS),
)


def locate_errors(
    truth: Labels, prediction: Labels, spacing_mm: tuple[float, ...], classes: Mapping[str, int]
) -> dict[str, dict[str, float]]:
    """Describe the errors of each class of one case.

    Base, mid and apex are thirds of the slices in which the truth shows any structure; the base is
    the end whose last slice shows more of the structures, because files do not agree on which end
    comes first (see :func:`benchmark.evaluation.decomposition.dice_by_position`).

    Args:
        truth: Label map ``(y, x)`` or ``(z, y, x)``.
        prediction: Label map of the same shape.
        spacing_mm: Size of a voxel along each axis.
        classes: Label of each structure by name.

    Returns:
        For each class a value for each of ``ERROR_COLUMNS``: the true area in the plane (NaN for
        volumes, whose size ``volume_truth_ml`` tells), the parts of ``1 - Dice``, and the Dice of
        base, mid and apex (NaN in the plane, without a left ventricle among the classes, and where
        truth and prediction are empty).

    Raises:
        GeometryError: If shapes or spacing do not fit together.
    """
    # The slack of a stack around the heart costs more than all the rest.
    box = bounding_box((truth != 0) | (prediction != 0))
    truth, prediction = truth[box], prediction[box]
    described: dict[str, dict[str, float]] = {}
    for name, label in classes.items():
        true = truth == label
        loss = dice_loss(true, prediction == label, spacing_mm)
        planar_cm2 = math.prod(spacing_mm) / 100 if truth.ndim == 2 else math.nan
        described[name] = dict.fromkeys(ERROR_COLUMNS, math.nan) | {
            "area_truth_cm2": float(np.count_nonzero(true)) * planar_cm2,
            "loss_boundary": loss.boundary,
            "loss_missed": loss.missed,
            "loss_invented": loss.invented,
        }
    if truth.ndim == 3 and "left_ventricle" in classes:
        for row in dice_by_position(truth, prediction, classes):
            described[str(row["class"])][f"dice_{row['position']}"] = float(row["dice"])
    return described
