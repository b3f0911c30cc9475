"""Training of one model by one protocol."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from architectures.folding import Folded
from benchmark.data.cache import CachedCase
from benchmark.data.pipeline import Batch, training_batches, validation_batches
from benchmark.evaluation.inference import Predictor
from benchmark.experiment.spec import Protocol, RunSpec
from benchmark.meters import EnergyMeter
from benchmark.records import WEIGHTS, write_table
from benchmark.training.devices import Device
from benchmark.training.optimizers import learning_rate
from benchmark.training.state import Checkpoints, State, assign, values
from benchmark.training.steps import compile_model, step, warm_up
from benchmark.training.tracks import Budget
from benchmark.training.validation import patch_dice

EPOCH_COLUMNS = (
    "epoch", "steps", "loss", "validation_dice", "learning_rate", "epoch_s", "validation_s",
    "elapsed_s",
)  # fmt: skip

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Fitted:
    """What training left behind.

    Attributes:
        weights: File with the weights of the best epoch.
        network: With these weights, for prediction alone.
        best_epoch: Number of that epoch, from 1.
        validation_dice: Its Dice on the validation patches.
        step_s: Wall time of every gradient step, from the request for its batch to its loss.
        wait_s: Part of it that was spent waiting for the batch.
        epoch_s: Wall time of every epoch without validation.
        epoch_steps: Gradient steps of every epoch.
        checkpoint_s: Time spent on writing checkpoints.
        earlier_s: Wall time of the parts of this training that other processes did.
        resumed: After which epochs the training was taken up.
        reached: Whether the validation Dice of the track ``target`` was reached; None on others.
        time_to_target_s: Training and validation until it was, without checkpoints.
        energy_j: Energy of all parts by kind of device, of those that could be metered.
    """

    weights: Path
    network: Any
    best_epoch: int
    validation_dice: float
    step_s: list[float]
    wait_s: list[float]
    epoch_s: list[float]
    checkpoint_s: float = 0.0
    earlier_s: float = 0.0
    resumed: tuple[int, ...] = ()
    reached: bool | None = None
    time_to_target_s: float | None = None
    epoch_steps: list[int] = field(default_factory=list)
    energy_j: dict[str, float] = field(default_factory=dict)


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
    meter: EnergyMeter | None = None,
) -> Fitted:
    """Train a model and keep the weights of the best epoch.

    It goes on from a checkpoint of the same training where the folder holds one, and begins with
    the model's present weights otherwise. The loop is written out, one ``train_on_batch`` per step:
    every step is timed as it is, its loss is looked at, and the stream of batches is ours to stop
    and to resume.

    Args:
        model: From ``(batch, *patch, 1)`` to logits ``(batch, *patch, classes)``, or to a list of
            such (deep supervision, the finest first). It is left with the weights of the best
            epoch.
        spec: The run.
        training: Prepared training cases.
        validation: Prepared cases that choose the best epoch.
        classes: Number of classes including the background.
        device: Precision and compilation in force.
        folder: The run's folder; ``best.weights.h5``, ``epochs.csv`` and checkpoints are written
            there. Checkpoints remain until :func:`benchmark.training.checkpoint.remove`.
        emit: Receives ``step`` after every step; one event per epoch, when it is safe on the disk;
            ``resumed`` with the rows of the epochs before; ``checkpoint_rejected`` with the file
            and the reason.
        meter: Counts the energy from here on.

    Raises:
        Diverged: The loss is no longer finite.
        OSError: The disk is full or the folder cannot be written.
    """
    budget = Budget.of(spec.protocol, epoch_steps(training, spec.protocol))
    folder.mkdir(parents=True, exist_ok=True)
    compile_model(model, spec, classes, device)
    # Several devices share a batch by way of the model's own step.
    network = Folded(model) if device.count == 1 else model
    predictor = Predictor(network, spec.patch, batch_size=spec.batch_size, overlap=0.0)
    checks = validation_batches(
        validation,
        patch=spec.patch,
        batch_size=spec.batch_size,
        count=spec.validation_patches,
        seed=spec.seed_for("validation"),
    )
    checkpoints = Checkpoints(folder, spec, model, device)
    meter = meter or EnergyMeter({})
    state = _take_up(checkpoints, model, spec, predictor, budget, emit)
    before = state.energy_j
    if state.epoch:
        write_table(folder / "epochs.csv", state.rows, EPOCH_COLUMNS)
    stream = training_batches(
        training,
        patch=spec.patch,
        batch_size=spec.batch_size,
        augmentation=spec.protocol.augmentation,
        seed=spec.seed_for("order"),
        start=len(state.step_s),
        stop=budget.stop,
    )
    with closing(stream):
        while not _ended(budget, state):
            row = _epoch(model, stream, budget, state, spec.protocol.learning_rate, emit, meter)
            begin = time.perf_counter()
            _refresh(network)
            dice = patch_dice(predictor, checks, classes)
            row |= {"validation_dice": dice, "validation_s": time.perf_counter() - begin}
            if dice >= state.best_dice:  # of equals the later, which has trained longer
                state.best_epoch, state.best_dice = state.epoch + 1, dice
                state.best = values(model)
            row["elapsed_s"] = state.elapsed_s + row["epoch_s"] + row["validation_s"]
            state.rows.append(row)
            state.took(meter.joules(), before)
            checkpoints.save(state)
            write_table(folder / "epochs.csv", state.rows, EPOCH_COLUMNS)
            emit({"event": "epoch", **row, "share": _share(budget, state)})
    assign(model.variables, state.best)
    _refresh(network)
    _save(model, folder / WEIGHTS)
    reached = budget.reached(state.rows[-1]["validation_dice"])
    return Fitted(
        weights=folder / WEIGHTS,
        network=network,
        best_epoch=state.best_epoch,
        validation_dice=state.best_dice,
        step_s=state.step_s,
        wait_s=state.wait_s,
        epoch_s=[row["epoch_s"] for row in state.rows],
        checkpoint_s=state.checkpoint_s,
        earlier_s=state.earlier_s,
        resumed=tuple(state.resumed),
        reached=reached if budget.track == "target" else None,
        time_to_target_s=state.elapsed_s if reached else None,
        epoch_steps=np.diff([0, *(row["steps"] for row in state.rows)]).astype(int).tolist(),
        energy_j=state.energy_j or {},
    )


def _take_up(
    checkpoints: Checkpoints,
    model: keras.Model,
    spec: RunSpec,
    predictor: Predictor,
    budget: Budget,
    emit: Emit,
) -> State:
    def compile_all() -> None:
        warm_up(model, spec)
        predictor.warm_up()

    def tell(path: Path, reason: str) -> None:
        sys.stderr.write(f"{path.name} is set aside: {reason}\n")
        emit({"event": "checkpoint_rejected", "file": path.name, "reason": reason})

    state = checkpoints.restore(compile_all, tell)
    if state.epoch:
        sys.stderr.write(f"resumed after epoch {state.epoch}\n")
        emit(
            {
                "event": "resumed",
                "epoch": state.epoch,
                "share": _share(budget, state),
                "rows": list(state.rows),
            }
        )
    return state


def _share(budget: Budget, state: State) -> float:
    return budget.share(len(state.step_s), state.train_s)


def _ended(budget: Budget, state: State) -> bool:
    if state.rows and budget.reached(state.rows[-1]["validation_dice"]):
        return True
    return _share(budget, state) >= 1.0


def _epoch(
    model: keras.Model,
    stream: Iterator[Batch],
    budget: Budget,
    state: State,
    peak: float,
    emit: Emit,
    meter: EnergyMeter,
) -> dict[str, float]:
    """Take the steps of one epoch, or as many as the budget leaves; return its row."""
    begin = time.perf_counter()
    losses: list[float] = []
    rate = 0.0
    while len(losses) < budget.steps_per_epoch and (share := _share(budget, state)) < 1.0:
        rate = learning_rate(peak, share)
        losses.append(step(model, stream, state, rate))
        meter.tick()
        emit({"event": "step"})  # a sign of life: an epoch may last for hours
    return {
        "epoch": state.epoch + 1,
        "steps": len(state.step_s),
        "loss": sum(losses) / len(losses),
        "learning_rate": rate,
        "epoch_s": time.perf_counter() - begin,
    }


def epoch_steps(training: Sequence[CachedCase], protocol: Protocol) -> int:
    """Return the gradient steps of an epoch: one pass over the slices, within the bounds.

    Counted in batches of planar networks for volumetric ones too, so that all take as many.
    """
    slices = sum(int(cached.prepared.image.shape[0]) for cached in training)
    least, most = protocol.steps_per_epoch
    return min(max(math.ceil(slices / protocol.batch_size_2d), least), most)


def _refresh(network: Any) -> None:
    if isinstance(network, Folded):
        network.refresh()


def _save(model: keras.Model, path: Path) -> None:
    partial = path.with_name(f"partial-{path.name}")
    model.save_weights(partial)
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)
