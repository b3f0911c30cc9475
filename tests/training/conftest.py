"""A training small enough to be done many times."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.data.cache import CachedCase
from benchmark.data.preprocessing import prepare
from datasets.case import Case


def disc(index: int) -> CachedCase:
    """A case with one bright disc in noise."""
    rng = np.random.default_rng(index)
    y, x = np.mgrid[:32, :32]
    centre = rng.integers(10, 22, 2)
    mask = ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 36).astype(np.uint8)[np.newaxis]
    image = (mask + 0.1 * rng.normal(size=mask.shape)).astype(np.float32)
    case = Case(f"c{index}", f"p{index}", Path("i"), Path("m"), {})
    return CachedCase(case, prepare(image, mask, (1, 1, 1), (None, 1, 1)))


class Interrupted(Exception):
    """The process was ended, as far as a test in the same process can say so."""


def network(*, seed: int, outputs: int = 1) -> Any:
    """A network with all that changes in training: kernels, moving statistics, dropout's seeds."""
    import keras

    keras.utils.set_random_seed(seed)
    inputs = keras.Input((32, 32, 1))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.Dropout(0.3)(keras.layers.Activation("relu")(x))
    heads = [keras.layers.Conv2D(2, 1)(x) for _ in range(outputs)]
    return keras.Model(inputs, heads if outputs > 1 else heads[0])


@pytest.fixture(scope="session")
def fit_discs(spec) -> Callable[..., Any]:
    """Train on discs; returns ``(fitted, events)``, or raises after ``stop_after`` epochs."""

    def run(
        folder: Path,
        *,
        seed: int = 0,
        outputs: int = 1,
        stop_after: int = 0,
        architecture: str = "unet",
        meter: Any = None,
        **protocol: Any,
    ) -> Any:
        from benchmark.training.devices import configure
        from benchmark.training.fit import fit

        settings = {"epochs": 3, "steps_per_epoch": (4, 4), "augmentation": "standard", **protocol}
        mine = dataclasses.replace(
            spec,
            architecture=architecture,
            protocol=dataclasses.replace(spec.protocol, **settings),
        )
        events: list[dict[str, Any]] = []

        def emit(event: dict[str, Any]) -> None:
            if event["event"] != "step":
                events.append(event)
            if stop_after and event["event"] == "epoch" and event["epoch"] == stop_after:
                raise Interrupted

        device = configure(precision=mine.protocol.precision, compilation="none", dims=2, seed=1)
        fitted = fit(
            network(seed=seed, outputs=outputs),
            mine,
            [disc(i) for i in range(8)],
            [disc(i) for i in range(8, 10)],
            classes=2, device=device, folder=folder, emit=emit, meter=meter,
        )  # fmt: skip
        return fitted, events

    return run


@pytest.fixture(scope="session")
def interrupted() -> type[Exception]:
    """What ``fit_discs`` raises."""
    return Interrupted
