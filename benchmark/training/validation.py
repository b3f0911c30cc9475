"""The validation Dice that chooses the best epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.data.pipeline import Batch
from benchmark.evaluation.inference import Predictor


def patch_dice(predictor: Predictor, batches: Sequence[Batch], classes: int) -> float:
    """Return the mean over foreground classes of the Dice over all patches taken together.

    Classes that neither truth nor prediction shows are left out; 0 where none is shown.
    """
    overlap, total = np.zeros(classes), np.zeros(classes)
    for images, truth in batches:
        predicted = predictor.logits(images).argmax(axis=-1)
        for label in range(1, classes):
            here, there = truth == label, predicted == label
            overlap[label] += np.count_nonzero(here & there)
            total[label] += np.count_nonzero(here) + np.count_nonzero(there)
    shown = total > 0
    return float(np.mean(2 * overlap[shown] / total[shown])) if shown.any() else 0.0
