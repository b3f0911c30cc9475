"""What a training has behind it: everything that is needed to go on with it exactly."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from benchmark.experiment.spec import RunSpec, digest
from benchmark.training import checkpoint
from benchmark.training.devices import (
    Device,
    backend_version,
    random_state,
    set_random_state,
)
from benchmark.training.distribution import spread_seeds

Values = list[npt.NDArray[Any]]


@dataclass
class State:
    """The progress of one training; the model and its optimiser hold the rest.

    Attributes:
        rows: One row per epoch, as in ``epochs.csv``.
        step_s: Wall time of every gradient step, from the request for its batch to its loss.
        wait_s: Part of it that was spent waiting for the batch.
        train_s: Sum of ``step_s``.
        best_epoch: The best epoch so far, from 1; 0 before the first.
        best_dice: Its validation Dice.
        best: Its values of all variables of the model.
        checkpoint_s: Time spent on writing checkpoints.
        earlier_s: Wall time of the parts of this training that other processes did.
        resumed: After which epochs the training was taken up.
        energy_j: Energy of the finished epochs by kind of device; None before the first.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    step_s: list[float] = field(default_factory=list)
    wait_s: list[float] = field(default_factory=list)
    train_s: float = 0.0
    best_epoch: int = 0
    best_dice: float = -1.0
    best: Values = field(default_factory=list)
    checkpoint_s: float = 0.0
    earlier_s: float = 0.0
    resumed: list[int] = field(default_factory=list)
    energy_j: dict[str, float] | None = None

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.rows)

    @property
    def elapsed_s(self) -> float:
        """Wall time of the finished epochs and their validation."""
        return self.rows[-1]["elapsed_s"] if self.rows else 0.0

    def stepped(self, step_s: float, wait_s: float) -> None:
        """Count one gradient step."""
        self.step_s.append(step_s)
        self.wait_s.append(wait_s)
        self.train_s += step_s

    def took(self, energy_j: dict[str, float], before: dict[str, float] | None) -> None:
        """Count the energy of this part of the training and of the parts before.

        What was not metered in every part is left out: a part of the energy is not the energy.
        """
        if before is None:
            self.energy_j = energy_j
        else:
            self.energy_j = {
                kind: before[kind] + joules for kind, joules in energy_j.items() if kind in before
            }


class Checkpoints:
    """Saves and restores a training in the folder of its run.

    The identity of a training is its key, the device with precision and compilation, the versions
    of Keras and its backend, the variables of network and optimiser, and what a state consists of:
    a checkpoint of any other would not go on as the same training, and is set aside.

    Args:
        folder: The run's folder.
        spec: The run.
        model: Compiled, with an optimiser that has been built.
        device: Precision and compilation in force.
    """

    def __init__(self, folder: Path, spec: RunSpec, model: keras.Model, device: Device) -> None:
        self._folder = folder
        self._model = model
        variables = [*model.variables, *model.optimizer.variables]
        self._identity = {
            "key": spec.key,
            "device": device.to_dict(),
            "keras": keras.version(),
            "backend": backend_version(),
            "variables": digest([[list(each.shape), each.dtype] for each in variables])[:12],
            "fields": [each.name for each in dataclasses.fields(State)],
        }
        self._begin = time.perf_counter()

    def save(self, state: State) -> None:
        """Write a checkpoint after an epoch.

        Raises:
            OSError: The disk is full or the folder cannot be written; older checkpoints remain.
        """
        begin = time.perf_counter()
        plain = {each.name: getattr(state, each.name) for each in dataclasses.fields(state)}
        vectors = {name: [np.asarray(plain.pop(name))] for name in ("step_s", "wait_s")}
        best = plain.pop("best")
        latest = state.best_epoch == state.epoch
        now = state.best if latest else values(self._model)
        checkpoint.write(
            checkpoint.path_of(self._folder, state.epoch),
            self._identity,
            plain | {"earlier_s": state.earlier_s + begin - self._begin},
            {
                **vectors,
                "model": now,
                "optimizer": _read(self._model.optimizer.variables),
                "random": random_state(),
                "best": [] if latest else best,  # not twice the same
            },
        )
        state.checkpoint_s += time.perf_counter() - begin

    def restore(self, compile_all: Callable[[], None], tell: Callable[[Path, str], None]) -> State:
        """Go on from the newest checkpoint that can be used, or begin.

        Args:
            compile_all: Lets the backend compile training and prediction. It is called only where
                there is something to restore, and before: what it does to the variables is undone,
                and the steps that are timed later do not pay for compiling a second time.
            tell: Receives every checkpoint that was set aside, and why.
        """
        found = checkpoint.newest(self._folder, self._identity, tell)
        if found is None:
            return State()
        compile_all()
        arrays = found.arrays
        assign(self._model.variables, arrays["model"])
        spread_seeds(self._model)
        assign(self._model.optimizer.variables, arrays["optimizer"])
        set_random_state(arrays["random"])
        state = State(
            **found.progress,
            step_s=arrays["step_s"][0].tolist(),
            wait_s=arrays["wait_s"][0].tolist(),
            best=arrays["best"] or arrays["model"],
        )
        state.resumed.append(state.epoch)
        return state


def values(model: keras.Model) -> Values:
    """Return copies of all variables of a model, seeds of dropout included, in its order."""
    return _read(model.variables)


def assign(variables: Any, arrays: Values) -> None:
    """Give variables the values that :func:`values` returned."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _read(variables: Any) -> Values:
    # A copy: what some backends return is a view of memory that the next step overwrites.
    return [np.array(each.numpy()) for each in variables]
