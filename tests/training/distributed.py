"""Trains on several devices and on one, and prints as JSON what came out; see the test beside it.

``python distributed.py DEVICES FOLDER PART``; the environment says the backend, and as how many
devices the processor poses. Several come first: a process cannot change their number but to one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pandas as pd
from conftest import Interrupted, disc, network

import architectures
from benchmark.evaluation.inference import Predictor
from benchmark.experiment.spec import Protocol, RunSpec
from benchmark.training import distribution
from benchmark.training.devices import configure
from benchmark.training.fit import fit
from benchmark.training.losses import LOSSES, make_loss
from benchmark.training.optimizers import learning_rate
from benchmark.training.state import State, values
from benchmark.training.steps import compile_model, step

BACKEND = keras.backend.backend()
# The first 20 of 50 000 steps: 200 epochs of 250, as published. A larger learning rate lets any two
# trainings part, also two on one device of which one sees the last bit of its images changed.
PEAK, STEPS, OF = 5e-4, 20, 50_000
TIMES = ["epoch_s", "validation_s", "elapsed_s"]


def run(**changes: Any) -> RunSpec:
    """A run on images of 32×32 in batches of 8."""
    rules = Protocol(
        split="kfold", folds=5, validation_fraction=0.1, split_seed=0, spacing_mm=(None, 1.0, 1.0),
        patch_2d=(32, 32), patch_3d=(8, 32, 32), batch_size_2d=8, batch_size_3d=8, epochs=2,
        steps_per_epoch=(3, 3), validation_patches_2d=12, validation_patches_3d=2,
        optimizer="adamw", learning_rate=PEAK, weight_decay=1e-2, loss="dice_cross_entropy",
        augmentation="none", precision="float32", compile="none", backend=BACKEND, overlap=0.0,
        postprocessing="none", surface_definition="metrics_reloaded", nsd_tolerance_mm=2.0,
        track="epochs", max_steps=None, max_train_s=None, target_dice=None, deterministic=False,
    )  # fmt: skip
    rules = dataclasses.replace(rules, **changes)
    return RunSpec("unet", {}, 2, "acdc", "phantom", "f" * 16, "c" * 12, 0, 0, rules)


def batches() -> Any:
    """Yield images with two classes of squares, which the parts of a batch have unlike much of."""
    rng = np.random.default_rng(0)
    while True:
        mask = np.zeros((8, 32, 32), np.uint8)
        for number, label in itertools.product(range(8), (1, 2)):
            (y, x), size = rng.integers(0, 16, 2), 2 + 2 * number
            mask[number, y : y + size, x : x + size] = label
        image = mask + 0.5 * rng.normal(size=mask.shape)
        yield image[..., np.newaxis].astype(np.float32), mask


def small() -> Any:
    """The least network with batch normalisation, without variables that change nothing."""
    inputs = keras.Input((32, 32, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    x = keras.layers.Activation("relu")(keras.layers.BatchNormalization(momentum=0.9)(x))
    return keras.Model(inputs, keras.layers.Conv2D(3, 1)(x))


class Kept:
    """Weights by name: what one network began with is what the next one begins with."""

    def __init__(self) -> None:
        self.weights: dict[str, Any] = {}

    def begin(self, name: str, model: Any) -> Any:
        model.set_weights(self.weights.setdefault(name, model.get_weights()))
        return model


def twenty(kept: Kept, device: Any) -> tuple[list[float], Any]:
    """Return the losses of 20 steps of a U-Net, and what it then predicts."""
    model = kept.begin("unet", architectures.build("unet", (32, 32, 1), 3, filters=4, depth=2))
    compile_model(model, run(), 3, device)
    stream, state = batches(), State()
    losses = [step(model, stream, state, learning_rate(PEAK, n / OF)) for n in range(STEPS)]
    predictor = Predictor(model, (32, 32), batch_size=8, overlap=0.0)
    return losses, predictor.logits(next(stream)[0][:5])  # no full batch: it is filled up


def first_step(kept: Kept, device: Any, loss: str) -> tuple[float, Any]:
    """Return loss and change of all variables of the first step."""
    model = kept.begin("small", small())
    before = values(model)
    compile_model(model, run(loss=loss, optimizer="sgd"), 3, device)
    found = step(model, batches(), State(), 1e-2)
    return found, [new - old for new, old in zip(values(model), before, strict=True)]


def mean_of_halves(kept: Kept, loss: str) -> float:
    """Return what the loss would be if each half of the first batch stood for itself."""
    model, (image, mask) = kept.begin("small", small()), next(batches())
    halves = [make_loss(loss, 3)(mask[half], model(image[half], training=True))
              for half in (slice(0, 4), slice(4, 8))]  # fmt: skip
    return sum(map(float, halves)) / 2


def resumed(folder: Path, device: Any) -> dict[str, Any]:
    """Train two epochs at once and one by one, and compare."""
    cases = [disc(number) for number in range(8)]

    def train(name: str, seed: int, stop_after: int = 0) -> Any:
        def emit(event: dict[str, Any]) -> None:
            if event["event"] == "epoch" and event["epoch"] == stop_after:
                raise Interrupted

        return fit(
            network(seed=seed), run(learning_rate=1e-2), cases, cases[:3],
            classes=2, device=device, folder=folder / name, emit=emit,
        )  # fmt: skip

    train("whole", 0)
    with contextlib.suppress(Interrupted):
        train("parts", 0, stop_after=1)
    again = train("parts", 9)
    one, two = (folder / name for name in ("whole", "parts"))
    logs = [pd.read_csv(each / "epochs.csv").drop(columns=TIMES) for each in (one, two)]
    weights = [arrays(each / "best.weights.h5") for each in (one, two)]
    return {
        "resumed": list(again.resumed),
        "same_log": logs[0].equals(logs[1]),
        "same_weights": len(weights[0]) > 5
        and all(np.array_equal(*pair) for pair in zip(*weights, strict=True)),
    }


def arrays(path: Path) -> list[Any]:
    """Return all arrays of a file of weights."""
    found: list[Any] = []

    def visit(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(item[()])

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def copies(model: Any) -> list[Any]:
    """Return what every device holds of the state of a network's dropout."""
    (state,) = (v for v in model.variables if v.path.endswith("seed_generator_state"))
    if BACKEND == "jax":
        return [shard.data.tolist() for shard in state.value.addressable_shards]
    return [own.numpy().tolist() for own in
            model.distribute_strategy.experimental_local_results(state.value)]  # fmt: skip


def alone() -> None:
    """Go back to one device."""
    if BACKEND == "jax":
        keras.distribution.set_distribution(None)
        return
    import tensorflow as tf

    tf.distribute.experimental_set_strategy(None)


def main(devices: int, folder: Path, part: str) -> dict[str, Any]:
    kept = Kept()
    asked = {"precision": "float32", "compilation": "auto", "dims": 2, "seed": 0}
    device = configure(**asked, devices=devices)
    several, guess = twenty(kept, device)
    model = network(seed=0)
    distribution.parallelise(model)
    found: dict[str, Any] = {"device": device.to_dict(), "dropout": copies(model)}
    if part == "all":
        found |= resumed(folder, device)
        steps = {loss: first_step(kept, device, loss) for loss in LOSSES}
    alone()
    device = configure(**asked)
    one, truth = twenty(kept, device)
    found |= {
        "losses": {"several": several, "one": one},
        "predicted": list(guess.shape),
        "prediction_error": float(np.abs(guess - truth).max()),
    }
    if part == "all":
        found["steps"] = {}
        for loss, (mine, changes) in steps.items():
            whole, expected = first_step(kept, device, loss)
            errors = [np.abs(a - b).max() / np.abs(b).max()
                      for a, b in zip(changes, expected, strict=True)]  # fmt: skip
            found["steps"][loss] = {
                "loss_error": abs(mine - whole),
                "update_error": float(max(errors)),
                "parts_differ": abs(mean_of_halves(kept, loss) - whole),
            }
    return found


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])))  # noqa: T201
