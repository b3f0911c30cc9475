"""Training of one model by one protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from benchmark.data.cache import CachedCase
from benchmark.data.pipeline import training_batches, validation_batches
from benchmark.evaluation.inference import Predictor
from benchmark.experiment.spec import Protocol, RunSpec
from benchmark.training.callbacks import Emit, EpochLog, StepClock
from benchmark.training.devices import Device
from benchmark.training.losses import make_loss

# Part of the steps in which the learning rate rises linearly to its peak; adaptive optimisers
# have no estimate of the gradient's scale before.
WARM_UP = 0.05


@dataclass(frozen=True)
class Fitted:
    """What training left behind.

    Attributes:
        weights: File with the weights of the best epoch.
        best_epoch: Number of that epoch, from 1.
        validation_dice: Its Dice on the validation patches.
        step_s: Wall time of every gradient step.
        epoch_s: Wall time of every epoch without validation.
    """

    weights: Path
    best_epoch: int
    validation_dice: float
    step_s: list[float]
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

    Args:
        model: From ``(batch, *patch, 1)`` to logits ``(batch, *patch, classes)``.
        spec: The run.
        training: Prepared training cases.
        validation: Prepared cases that choose the best epoch.
        classes: Number of classes including the background.
        device: Precision and compilation in force.
        folder: The run's folder.
        emit: Receives one event per epoch.

    Raises:
        Diverged: The loss is no longer finite.
    """
    protocol = spec.protocol
    model.compile(
        optimizer=make_optimizer(protocol),
        loss=make_loss(protocol.loss, classes),
        jit_compile=device.jit_compile,
    )
    clock = StepClock()
    log = EpochLog(
        Predictor(model, spec.patch, batch_size=spec.batch_size, overlap=0.0),
        validation_batches(
            validation,
            patch=spec.patch,
            batch_size=spec.batch_size,
            count=spec.validation_patches,
            seed=spec.seed_for("validation"),
        ),
        classes=classes,
        folder=folder,
        emit=emit,
    )
    batches = training_batches(
        training,
        patch=spec.patch,
        batch_size=spec.batch_size,
        augmentation=protocol.augmentation,
        seed=spec.seed_for("order"),
        stop=protocol.epochs * protocol.steps_per_epoch,
    )
    model.fit(
        batches,
        steps_per_epoch=protocol.steps_per_epoch,
        epochs=protocol.epochs,
        callbacks=[clock, log],
        shuffle=False,  # the stream comes in its own order
        verbose=0,
    )
    return Fitted(
        weights=log.weights,
        best_epoch=log.best_epoch,
        validation_dice=log.best_dice,
        step_s=clock.step_s,
        epoch_s=[row["epoch_s"] for row in log.rows],
    )


def make_optimizer(protocol: Protocol) -> Any:
    """Return the optimiser with a warm-up and a cosine decay to zero over the whole budget."""
    steps = protocol.epochs * protocol.steps_per_epoch
    warm_up = max(1, round(WARM_UP * steps))
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, steps - warm_up),
        warmup_target=protocol.learning_rate,
        warmup_steps=warm_up,
    )
    if protocol.optimizer == "sgd":
        return keras.optimizers.SGD(
            rate, momentum=0.99, nesterov=True, weight_decay=protocol.weight_decay or None
        )
    if protocol.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=protocol.weight_decay)
    # Decay is meant for kernels: shrinking scales and offsets only fights normalisation.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "alpha"])
    return optimizer
