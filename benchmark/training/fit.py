"""Training of one model by one protocol."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from benchmark.data.cache import CachedCase
from benchmark.data.pipeline import Batch, training_batches, validation_batches
from benchmark.errors import Diverged
from benchmark.evaluation.inference import Predictor
from benchmark.experiment.spec import Protocol, RunSpec
from benchmark.records import write_table
from benchmark.training.devices import Device
from benchmark.training.losses import make_loss
from benchmark.training.optimizers import make_optimizer
from benchmark.training.validation import patch_dice

EPOCH_COLUMNS = (
    "epoch", "loss", "validation_dice", "learning_rate", "epoch_s", "validation_s", "elapsed_s",
)  # fmt: skip

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Fitted:
    """What training left behind.

    Attributes:
        weights: File with the weights of the best epoch.
        best_epoch: Number of that epoch, from 1.
        validation_dice: Its Dice on the validation patches.
        step_s: Wall time of every gradient step, from the request for its batch to its loss.
        wait_s: Part of it that was spent waiting for the batch.
        epoch_s: Wall time of every epoch without validation.
    """

    weights: Path
    best_epoch: int
    validation_dice: float
    step_s: list[float]
    wait_s: list[float]
    epoch_s: list[float]


def fit(
    model: keras.Model,
    spec: RunSpec,
    training: Sequence[CachedCase],
    validation: Sequence[CachedCase],
    *,
    classes: int,
    device: Device,
    folder: Path,
    emit: Emit,
) -> Fitted:
    """Train a model from its present weights and keep the weights of the best epoch.

    The loop is written out, one ``train_on_batch`` per step: every step is timed as it is, its loss
    is looked at, and the stream of batches is ours to stop and to resume.

    Args:
        model: From ``(batch, *patch, 1)`` to logits ``(batch, *patch, classes)``, or to a list of
            such (deep supervision, the finest first).
        spec: The run.
        training: Prepared training cases.
        validation: Prepared cases that choose the best epoch.
        classes: Number of classes including the background.
        device: Precision and compilation in force.
        folder: The run's folder; ``best.weights.h5`` and ``epochs.csv`` are written there.
        emit: Receives one event per epoch.

    Raises:
        Diverged: The loss is no longer finite.
    """
    epochs, steps = spec.protocol.epochs, epoch_steps(training, spec.protocol)
    _compile(model, spec, classes, device, steps=epochs * steps)
    predictor = Predictor(model, spec.patch, batch_size=spec.batch_size, overlap=0.0)
    checks = validation_batches(
        validation,
        patch=spec.patch,
        batch_size=spec.batch_size,
        count=spec.validation_patches,
        seed=spec.seed_for("validation"),
    )
    stream = training_batches(
        training,
        patch=spec.patch,
        batch_size=spec.batch_size,
        augmentation=spec.protocol.augmentation,
        seed=spec.seed_for("order"),
        stop=epochs * steps,
    )
    folder.mkdir(parents=True, exist_ok=True)
    clock = _Clock()
    rows: list[dict[str, float]] = []
    best_epoch, best_dice = 0, -1.0
    begin = time.perf_counter()
    with closing(stream):
        for epoch in range(1, epochs + 1):
            epoch_begin = time.perf_counter()
            losses = [clock.step(model, stream) for _ in range(steps)]
            trained = time.perf_counter()
            dice = patch_dice(predictor, checks, classes)
            validated = time.perf_counter()
            if dice >= best_dice:  # of equals the later, which has trained longer
                best_epoch, best_dice = epoch, dice
                _save(model, folder / "best.weights.h5")
            rows.append(
                {
                    "epoch": epoch,
                    "loss": sum(losses) / len(losses),
                    "validation_dice": dice,
                    "learning_rate": _learning_rate(model),
                    "epoch_s": trained - epoch_begin,
                    "validation_s": validated - trained,
                    "elapsed_s": time.perf_counter() - begin,
                }
            )
            write_table(folder / "epochs.csv", rows, EPOCH_COLUMNS)
            emit({"event": "epoch", **rows[-1]})
    return Fitted(
        weights=folder / "best.weights.h5",
        best_epoch=best_epoch,
        validation_dice=best_dice,
        step_s=clock.step_s,
        wait_s=clock.wait_s,
        epoch_s=[row["epoch_s"] for row in rows],
    )


class _Clock:
    """Takes gradient steps and times them."""

    def __init__(self) -> None:
        self.step_s: list[float] = []
        self.wait_s: list[float] = []

    def step(self, model: keras.Model, stream: Iterator[Batch]) -> float:
        """Take one step; return its loss."""
        begin = time.perf_counter()
        image, mask = next(stream)
        arrived = time.perf_counter()
        outputs = len(model.outputs)
        target = [mask] * outputs if outputs > 1 else mask
        # Reading the loss waits for the device: a step ends when its result is on the host.
        loss = float(model.train_on_batch(image, target, return_dict=True)["loss"])
        self.step_s.append(time.perf_counter() - begin)
        self.wait_s.append(arrived - begin)
        if not math.isfinite(loss):
            raise Diverged(f"the loss became {loss} at step {len(self.step_s)}")
        return loss


def epoch_steps(training: Sequence[CachedCase], protocol: Protocol) -> int:
    """Return the gradient steps of an epoch: one pass over the slices, within the bounds.

    Counted in batches of planar networks for volumetric ones too, so that all take as many.
    """
    slices = sum(int(cached.prepared.image.shape[0]) for cached in training)
    least, most = protocol.steps_per_epoch
    return min(max(math.ceil(slices / protocol.batch_size_2d), least), most)


def _compile(
    model: keras.Model, spec: RunSpec, classes: int, device: Device, *, steps: int
) -> None:
    optimizer = make_optimizer(spec.protocol, steps=steps)
    optimizer.build(model.trainable_variables)  # else the first step is traced twice
    loss = make_loss(spec.protocol.loss, classes)
    outputs = len(model.outputs)
    model.compile(
        optimizer=optimizer,
        loss=[loss] * outputs if outputs > 1 else loss,
        loss_weights=supervision_weights(outputs) if outputs > 1 else None,
        jit_compile=device.jit_compile,
    )


def supervision_weights(outputs: int) -> list[float]:
    """Return the weights of the losses of a network with deep supervision, finest first.

    Each coarser output counts half of the one before, and all sum to one (as nnU-Net does).
    """
    weights = [0.5**level for level in range(outputs)]
    return [weight / sum(weights) for weight in weights]


def _save(model: keras.Model, path: Path) -> None:
    partial = path.with_name(f"partial-{path.name}")
    model.save_weights(partial)
    partial.replace(path)


def _learning_rate(model: keras.Model) -> float:
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
