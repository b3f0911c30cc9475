"""Gradient steps: what a model is compiled with, and one step at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from benchmark.data.pipeline import Batch
from benchmark.errors import Diverged
from benchmark.experiment.spec import RunSpec
from benchmark.training.devices import Device
from benchmark.training.distribution import parallelise, share_of
from benchmark.training.losses import make_loss
from benchmark.training.optimizers import make_optimizer
from benchmark.training.state import State


def compile_model(model: keras.Model, spec: RunSpec, classes: int, device: Device) -> None:
    """Give a model the loss and the optimiser of a protocol.

    Args:
        model: With one output, or several (deep supervision, the finest first).
        spec: The run.
        classes: Number of classes including the background.
        device: Says whether to compile.
    """
    parallelise(model)
    optimizer = make_optimizer(spec.protocol)
    optimizer.build(model.trainable_variables)  # else the first step is traced twice
    loss = share_of(make_loss(spec.protocol.loss, classes))
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


def step(model: keras.Model, stream: Iterator[Batch], state: State, rate: float) -> float:
    """Take one gradient step and time it; return its loss.

    Args:
        model: Compiled.
        stream: The step takes one batch.
        state: Receives the times.
        rate: Learning rate.

    Raises:
        Diverged: The loss is not finite.
    """
    begin = time.perf_counter()
    image, mask = next(stream)
    arrived = time.perf_counter()
    model.optimizer.learning_rate = rate
    # Reading the loss waits for the device: a step ends when its result is on the host.
    loss = float(model.train_on_batch(image, _targets(model, mask), return_dict=True)["loss"])
    state.stepped(time.perf_counter() - begin, arrived - begin)
    if not math.isfinite(loss):
        raise Diverged(f"the loss became {loss} at step {len(state.step_s)}")
    return loss


def warm_up(model: keras.Model, spec: RunSpec) -> None:
    """Let the backend compile the step, with a batch of zeros; the variables change."""
    shape = (spec.batch_size, *spec.patch)
    image, mask = np.zeros((*shape, 1), np.float32), np.zeros(shape, np.uint8)
    model.train_on_batch(image, _targets(model, mask))


def _targets(model: keras.Model, mask: Any) -> Any:
    outputs = len(model.outputs)
    return [mask] * outputs if outputs > 1 else mask
