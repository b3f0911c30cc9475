from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.data.cache import CachedCase
from benchmark.data.preprocessing import prepare
from benchmark.errors import Diverged
from datasets.case import Case


@pytest.fixture
def learning(spec):
    """Three epochs in which a tiny network can learn bright discs."""
    protocol = dataclasses.replace(
        spec.protocol, epochs=3, steps_per_epoch=(12, 12), learning_rate=2e-2, weight_decay=1e-4
    )
    return dataclasses.replace(spec, protocol=protocol)


def disc(index: int) -> CachedCase:
    rng = np.random.default_rng(index)
    y, x = np.mgrid[:32, :32]
    centre = rng.integers(10, 22, 2)
    mask = ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 36).astype(np.uint8)[np.newaxis]
    image = (mask + 0.1 * rng.normal(size=mask.shape)).astype(np.float32)
    case = Case(f"c{index}", f"p{index}", Path("i"), Path("m"), {})
    return CachedCase(case, prepare(image, mask, (1, 1, 1), (None, 1, 1)))


@pytest.fixture(scope="module")
def keras():
    import keras

    return keras


def small_model(keras):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(2, 1),
        ]
    )


def train(keras, folder: Path, spec):
    from benchmark.training.devices import configure
    from benchmark.training.fit import fit

    device = configure(precision="float32", compilation="none", dims=2, seed=1)
    events = []
    model = small_model(keras)
    fitted = fit(model, spec, [disc(i) for i in range(8)], [disc(i) for i in range(8, 10)],
                 classes=2, device=device, folder=folder, emit=events.append)  # fmt: skip
    return model, fitted, events


def test_learns_logs_every_epoch_and_keeps_the_best_weights(keras, learning, tmp_path):
    model, fitted, events = train(keras, tmp_path, learning)
    assert fitted.validation_dice > 0.8
    assert len(fitted.step_s) == 36
    log = pd.read_csv(tmp_path / "epochs.csv")
    assert [event["event"] for event in events].count("step") == 36
    epochs = [event for event in events if event["event"] == "epoch"]
    assert list(log["epoch"]) == [1, 2, 3] == [event["epoch"] for event in epochs]
    assert log["loss"].iloc[-1] < log["loss"].iloc[0]
    assert log["validation_dice"].max() == pytest.approx(fitted.validation_dice)
    assert log["learning_rate"].iloc[-1] < 1e-4
    assert log["validation_dice"][fitted.best_epoch - 1] == log["validation_dice"].max()
    model.load_weights(fitted.weights)
    assert not list(tmp_path.glob("partial*"))
    json.dumps(events)


def test_same_specification_gives_the_same_training(keras, learning, tmp_path):
    one, two = (train(keras, tmp_path / name, learning)[1] for name in "ab")
    assert one.validation_dice == two.validation_dice


def test_rule_two_architectures_see_the_same_batches_in_the_same_order(
    fit_discs, tmp_path, monkeypatch
):
    from benchmark.training import fit

    seen: list[bytes] = []
    original = fit.training_batches

    def watched(*arguments, **options):
        for image, mask in original(*arguments, **options):
            seen[-1] = hashlib.sha256(seen[-1] + image.tobytes() + mask.tobytes()).digest()
            yield image, mask

    monkeypatch.setattr(fit, "training_batches", watched)
    networks = {"unet": {}, "deeplabv3": {"outputs": 2, "seed": 3}}
    for name, setting in networks.items():
        seen.append(b"")
        fit_discs(tmp_path / name, architecture=name, epochs=1, **setting)
    assert seen[0] == seen[1] != b""


def test_epochs_have_their_steps_and_no_energy_without_a_meter(fit_discs, tmp_path):
    fitted, _ = fit_discs(tmp_path, track="steps", max_steps=6)
    assert fitted.epoch_steps == [4, 2]
    assert fitted.energy_j == {}


def test_loss_that_is_not_finite_stops_the_run(keras, learning, tmp_path):
    wild = dataclasses.replace(learning.protocol, learning_rate=1e30, optimizer="sgd")
    with pytest.raises(Diverged, match="step"):
        train(keras, tmp_path, dataclasses.replace(learning, protocol=wild))


def test_rule_validation_and_checkpoints_lie_outside_the_timed_steps(
    keras, learning, tmp_path, monkeypatch
):
    """On a clock that only batches, validation and checkpoints move forward."""
    from benchmark.training import fit, state, steps

    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    for module in (fit, state, steps):
        monkeypatch.setattr(module, "time", clock)

    def slowed(function, seconds):
        def slow(*arguments, **options):
            clock.now += seconds
            return function(*arguments, **options)

        return slow

    monkeypatch.setattr(fit, "patch_dice", slowed(fit.patch_dice, 100.0))
    monkeypatch.setattr(state.checkpoint, "write", slowed(state.checkpoint.write, 10.0))
    monkeypatch.setattr(steps, "next", slowed(next, 1.0), raising=False)
    _, fitted, _ = train(keras, tmp_path, learning)
    assert fitted.step_s == [1.0] * 36
    assert fitted.epoch_s == [12.0] * 3
    assert fitted.checkpoint_s == 30.0
    log = pd.read_csv(tmp_path / "epochs.csv")
    assert list(log["validation_s"]) == [100.0] * 3
    assert list(log["elapsed_s"]) == [112.0, 224.0, 336.0]


def test_patch_dice_counts_all_patches_together(keras):
    from benchmark.training.validation import patch_dice

    truth = np.zeros((2, 4, 4), np.uint8)
    truth[0, :2] = 1
    guess = np.zeros((2, 4, 4), np.uint8)
    guess[0, :1] = 1
    guess[1, 0, 0] = 1

    class Fixed:
        def logits(self, images):
            return np.eye(3, dtype=np.float32)[guess]

    # class 1: 8 true, 5 predicted, 4 shared; class 2 is nowhere and left out
    assert patch_dice(Fixed(), [(truth[..., None], truth)], 3) == pytest.approx(8 / 13)
    empty = np.zeros_like(truth)
    guess[:] = 0
    assert patch_dice(Fixed(), [(empty[..., None], empty)], 3) == 0.0


def test_deep_supervision_trains_all_outputs_and_predicts_with_the_finest(
    keras, learning, tmp_path
):
    from benchmark.evaluation.inference import Predictor
    from benchmark.training.devices import configure
    from benchmark.training.fit import fit
    from benchmark.training.steps import supervision_weights

    inputs = keras.Input((32, 32, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    heads = [keras.layers.Conv2D(2, 1, name=name)(x) for name in ("fine", "coarse")]
    model = keras.Model(inputs, heads)
    before = [layer.get_weights()[0].copy() for layer in model.layers[-2:]]
    device = configure(precision="float32", compilation="none", dims=2, seed=1)
    fit(model, learning, [disc(i) for i in range(8)], [disc(8)], classes=2, device=device,
        folder=tmp_path, emit=lambda event: None)  # fmt: skip
    for layer, old in zip(model.layers[-2:], before, strict=True):
        assert not np.allclose(layer.get_weights()[0], old)
    image = np.random.default_rng(0).normal(size=(1, 32, 32, 1)).astype(np.float32)
    fine = Predictor(model, (32, 32), batch_size=1, overlap=0.0).logits(image)
    np.testing.assert_allclose(fine, np.asarray(model(image)[0]), atol=1e-5)
    assert supervision_weights(3) == pytest.approx([4 / 7, 2 / 7, 1 / 7])


@pytest.mark.parametrize(("bounds", "steps"), [((1, 99), 3), ((5, 9), 5), ((1, 2), 2)])
def test_an_epoch_is_one_pass_over_the_slices_within_its_bounds(keras, learning, bounds, steps):
    from benchmark.training.fit import epoch_steps

    protocol = dataclasses.replace(learning.protocol, steps_per_epoch=bounds)
    assert epoch_steps([disc(i) for i in range(10)], protocol) == steps  # ten slices, four a batch
