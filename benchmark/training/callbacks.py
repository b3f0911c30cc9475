"""Keras callbacks: step times, divergence, validation, best weights, the epoch log."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmark.data.pipeline import Batch
from benchmark.errors import Diverged
from benchmark.evaluation.inference import Predictor
from benchmark.records import write_table

EPOCH_COLUMNS = (
    "epoch", "loss", "validation_dice", "learning_rate", "epoch_s", "validation_s", "elapsed_s",
)  # fmt: skip

Emit = Callable[[dict[str, Any]], None]


class StepClock(keras.callbacks.Callback):
    """Times every gradient step and stops a run whose loss is no longer finite.

    A step lasts from the request for its batch to the arrival of its loss on the host, which is
    the point where an asynchronous device has finished.
    """

    def __init__(self) -> None:
        super().__init__()
        self.step_s: list[float] = []
        self._start = 0.0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop the clock; refuse a loss that is not finite."""
        loss = float((logs or {})["loss"])
        self.step_s.append(time.perf_counter() - self._start)
        if not math.isfinite(loss):
            raise Diverged(f"the loss became {loss} at step {len(self.step_s)}")


class EpochLog(keras.callbacks.Callback):
    """Measures the validation Dice, keeps the best weights and logs the epoch.

    Args:
        predictor: Applies the model being trained.
        batches: Fixed validation patches.
        classes: Number of classes including the background.
        folder: The run's folder; ``best.weights.h5`` and ``epochs.csv`` are written there.
        emit: Receives one event per epoch.
    """

    def __init__(
        self,
        predictor: Predictor,
        batches: Sequence[Batch],
        *,
        classes: int,
        folder: Path,
        emit: Emit,
    ) -> None:
        super().__init__()
        self.predictor = predictor
        self.batches = batches
        self.classes = classes
        self.folder = folder
        self.emit = emit
        self.rows: list[dict[str, float]] = []
        self.best_epoch = 0
        self.best_dice = -1.0
        self._begin = time.perf_counter()
        self._epoch_begin = self._begin

    @property
    def weights(self) -> Path:
        """File with the weights of the best epoch."""
        return self.folder / "best.weights.h5"

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._epoch_begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Validate, keep the weights if they are the best, log."""
        trained = time.perf_counter()
        dice = patch_dice(self.predictor, self.batches, self.classes)
        validated = time.perf_counter()
        if dice >= self.best_dice:  # of equals the later, which has trained longer
            self.best_dice, self.best_epoch = dice, epoch + 1
            partial = self.folder / "partial.weights.h5"
            self.model.save_weights(partial)
            partial.replace(self.weights)
        self.rows.append(
            {
                "epoch": epoch + 1,
                "loss": float((logs or {})["loss"]),
                "validation_dice": dice,
                "learning_rate": float(
                    keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
                ),
                "epoch_s": trained - self._epoch_begin,
                "validation_s": validated - trained,
                "elapsed_s": validated - self._begin,
            }
        )
        write_table(self.folder / "epochs.csv", self.rows, EPOCH_COLUMNS)
        self.emit({"event": "epoch", **self.rows[-1]})


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
