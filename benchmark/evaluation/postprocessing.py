"""An optional step after prediction: keep the largest piece of each structure.

It has to earn its place: a class is cleaned on test cases only if cleaning it raised its mean Dice
on the validation cases of the run, and these are of a few patients at least (`choose`): where the
largest piece is a stray one the step loses the structure, and one patient may not show that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from benchmark.data.cache import CachedCase
from benchmark.data.preprocessing import Labels
from benchmark.errors import DataError
from benchmark.evaluation import overlap
from benchmark.evaluation.inference import Predictor
from benchmark.evaluation.surface import bounding_box
from datasets import nifti
from datasets.case import DatasetError, DatasetInfo

# Validation patients below which nothing is cleaned.
LEAST_PATIENTS = 3


@dataclass(frozen=True)
class Verdict:
    """What keeping the largest piece of one class did to its mean validation Dice.

    Attributes:
        before: Mean over validation cases without the step; NaN where no case shows the class.
        after: The same with the step.
        applied: Whether test cases are cleaned too; a tie is no reason to act.
    """

    before: float
    after: float
    applied: bool


@dataclass(frozen=True)
class Decision:
    """For which classes a run keeps the largest piece, and why.

    Attributes:
        cases: Number of validation cases it rests on.
        patients: Number of their patients.
        verdicts: By name of the class.
        labels: The labels to clean.
    """

    cases: int
    patients: int
    verdicts: Mapping[str, Verdict]
    labels: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain types, as they are written to ``record.json``."""
        return {
            "step": "largest_component",
            "validation_cases": self.cases,
            "validation_patients": self.patients,
            "classes": {
                name: {
                    "applied": verdict.applied,
                    "validation_dice_without": verdict.before,
                    "validation_dice_with": verdict.after,
                }
                for name, verdict in self.verdicts.items()
            },
        }


def choose(
    predictor: Predictor,
    validation: Sequence[CachedCase],
    info: DatasetInfo,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Decision:
    """Predict whole validation cases on their own grids and see for which classes cleaning helps.

    Classes are decided one by one: cleaning one never changes the voxels of another.

    Args:
        predictor: Applies the trained model.
        validation: The cases that chose the epoch; never test cases.
        info: The dataset.
        progress: Called with (done, total) after each case.

    Raises:
        DataError: A mask can no longer be read.
    """
    labels = info.classes.values()
    scores: dict[int, list[tuple[float, float]]] = {label: [] for label in labels}
    for number, cached in enumerate(validation, start=1):
        predicted = predictor.mask(cached.prepared.in_memory())
        cleaned = keep_largest(predicted, labels)
        try:
            truth = nifti.read_mask(cached.case.mask, labels, dims=info.dims).array
        except DatasetError as error:
            raise DataError(str(error)) from None
        for label, pairs in scores.items():
            structure = truth == label
            before, after = (
                overlap.dice(overlap.count(structure, each == label))
                for each in (predicted, cleaned)
            )
            # Absent from truth and prediction: excluded, as everywhere. The step empties no mask.
            if not np.isnan(before):
                pairs.append((before, after))
        progress(number, len(validation))
    patients = len({cached.case.patient for cached in validation})
    enough = patients >= LEAST_PATIENTS
    verdicts = {name: _verdict(scores[label], enough) for name, label in info.classes.items()}
    applied = tuple(info.classes[name] for name, verdict in verdicts.items() if verdict.applied)
    return Decision(len(validation), patients, verdicts, applied)


def keep_largest(label_map: Labels, labels: Collection[int]) -> Labels:
    """Clear all but the largest piece of each label; pieces touch by face, edge or corner.

    Args:
        label_map: Label map `(y, x)` or `(z, y, x)`.
        labels: Labels to clean; others stay as they are.

    Returns:
        A new label map of the same type.
    """
    cleaned = label_map.copy()
    box = bounding_box(label_map != 0)
    for label in labels:
        pieces, count = ndimage.label(label_map[box] == label, np.ones((3,) * label_map.ndim))
        if count > 1:
            sizes = np.bincount(pieces.ravel())
            sizes[0] = 0
            cleaned[box][(pieces > 0) & (pieces != sizes.argmax())] = 0
    return cleaned


def _verdict(pairs: Sequence[tuple[float, float]], enough: bool) -> Verdict:
    if not pairs:
        return Verdict(float("nan"), float("nan"), applied=False)
    before, after = (float(mean) for mean in np.mean(pairs, axis=0))
    return Verdict(before, after, applied=enough and after > before)
