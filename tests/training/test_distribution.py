"""One run on several devices: a processor poses as two and four of them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.errors import BenchmarkError
from benchmark.training.distribution import distribute

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = Path(__file__).with_name("distributed.py")
LOSSES = ("dice_cross_entropy", "dice_squared", "one_vs_rest", "focal_tversky")


def train(backend: str, *arguments: object, devices: int) -> dict:
    """Train in a process of its own: what a processor poses as is settled once."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(devices), *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, timeout=280,
        env=os.environ | {
            "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT),
            "BENCHMARK_VIRTUAL_DEVICES": str(devices),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def on_two(tmp_path_factory) -> dict:
    """All that came out on two devices and on one."""
    return train("tensorflow", tmp_path_factory.mktemp("devices"), "all", devices=2)


def test_rule_several_devices_take_the_steps_of_one(on_two):
    """Twenty steps of a U-Net with the published optimiser and schedule."""
    losses = on_two["losses"]
    assert len(losses["one"]) == 20
    assert losses["several"] == pytest.approx(losses["one"], abs=1e-5, rel=0)


@pytest.mark.faults  # for its time only
def test_four_devices_take_the_steps_of_one(tmp_path):
    losses = train("tensorflow", tmp_path, "losses", devices=4)["losses"]
    assert losses["several"] == pytest.approx(losses["one"], abs=1e-5, rel=0)


@pytest.mark.parametrize("loss", LOSSES)
def test_rule_a_loss_is_that_of_the_whole_batch(on_two, loss):
    """Loss, gradient and moving statistics of the first step; a mean of parts would be far off."""
    found = on_two["steps"][loss]
    assert found["loss_error"] < 2e-6
    assert found["update_error"] < 1e-4  # of the largest change of the same variable
    assert found["parts_differ"] > 1e-3


def test_devices_predict_whole_batches_and_draw_their_own_dropout(on_two):
    assert on_two["predicted"] == [5, 32, 32, 3]
    assert on_two["prediction_error"] < 1e-4
    assert len({tuple(state) for state in on_two["dropout"]}) == 2
    assert (on_two["device"]["count"], on_two["device"]["jit_compile"]) == (2, False)


def test_a_training_on_several_devices_is_resumed_bit_for_bit(on_two):
    assert on_two["resumed"] == [1]
    assert on_two["same_log"]
    assert on_two["same_weights"]


@pytest.mark.faults
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_jax_takes_the_same_steps_on_several_devices(tmp_path):
    found = train("jax", tmp_path, "losses", devices=4)
    assert found["dropout"] == [found["dropout"][0]] * 4  # arrays are global, and so are draws
    assert found["losses"]["several"] == pytest.approx(found["losses"]["one"], abs=1e-5, rel=0)


def test_more_devices_than_there_are_is_an_error(monkeypatch):
    monkeypatch.delenv("BENCHMARK_VIRTUAL_DEVICES", raising=False)
    with pytest.raises(BenchmarkError, match=r"devices: 3: expected as many .* found 1 \(cpu:0\)"):
        distribute(3)
