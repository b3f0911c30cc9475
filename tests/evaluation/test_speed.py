from __future__ import annotations

import numpy as np
import pytest

from benchmark.evaluation import speed
from benchmark.evaluation.inference import Predictor
from benchmark.evaluation.speed import measure_speed


class Network:
    """Takes a second to compile for a new batch size, and 10 ms per patch on its own clock."""

    def __init__(self):
        self.now, self.sizes = 0.0, []

    def predict_on_batch(self, images):
        assert images.dtype == np.float32
        self.now += 0.01 * len(images) + (len(images) not in self.sizes)
        self.sizes.append(len(images))
        return np.zeros((*images.shape[:-1], 2), np.float32)


@pytest.fixture
def network(monkeypatch):
    made = Network()
    original = speed.time_passes
    monkeypatch.setattr(
        speed, "time_passes", lambda call, passes: original(call, passes, lambda: made.now)
    )
    return made


def test_rule_latency_is_of_one_patch_and_throughput_of_full_batches(network):
    predictor = Predictor(network, (8, 8), batch_size=4, overlap=0.5)
    found = measure_speed(predictor, train_s=1e6)
    assert found == {
        "throughput_per_s": pytest.approx(100.0), "throughput_batch": 4, "throughput_passes": 50,
        "latency_ms_p50": pytest.approx(10.0), "latency_ms_p90": pytest.approx(10.0),
        "latency_passes": 50,
    }  # fmt: skip
    # compiled, warmed up and timed: first full batches, whose size is compiled already
    assert network.sizes == [4] * 61 + [1] * 61


def test_measuring_is_short_beside_a_short_training(network):
    predictor = Predictor(network, (4, 8, 8), batch_size=2, overlap=0.5)
    found = measure_speed(predictor, train_s=10.0)
    assert found["throughput_passes"] == 5
    assert 8 <= found["latency_passes"] <= 9  # 80 ms of 10 ms each, as sums are rounded
    assert network.now - 2 < 0.3
