from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax


def reference(truth, logits, smooth=1e-5):
    """The same loss, written with loops."""
    classes = logits.shape[-1]
    log_p, p = log_softmax(logits, axis=-1), softmax(logits, axis=-1)
    picked = np.take_along_axis(log_p, truth[..., None].astype(int), axis=-1)
    dice = []
    for label in range(1, classes):
        target = truth == label
        overlap = p[..., label][target].sum()
        dice.append((2 * overlap + smooth) / (p[..., label].sum() + target.sum() + smooth))
    return -picked.mean() + 1 - np.mean(dice)


@pytest.fixture(scope="module")
def losses():
    from benchmark.training import losses

    return losses


@pytest.mark.parametrize("shape", [(2, 8, 9), (1, 4, 5, 6)])
def test_agrees_with_a_written_out_version(losses, shape):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, shape).astype(np.uint8)
    logits = rng.normal(size=(*shape, 4)).astype(np.float32)
    value = float(losses.dice_cross_entropy(4)(truth, logits))
    assert value == pytest.approx(reference(truth, logits), rel=1e-5)


def test_perfect_prediction_costs_nothing(losses):
    truth = np.random.default_rng(1).integers(0, 3, (1, 16, 16)).astype(np.uint8)
    logits = 50.0 * np.eye(3, dtype=np.float32)[truth]
    assert float(losses.dice_cross_entropy(3)(truth, logits)) == pytest.approx(0, abs=1e-4)


def test_class_absent_from_truth_and_prediction_adds_nothing(losses):
    truth = np.zeros((1, 8, 8), np.uint8)
    truth[:, :4] = 1
    logits = 200.0 * np.eye(3, dtype=np.float32)[truth]
    assert float(losses.dice_cross_entropy(3)(truth, logits)) == pytest.approx(0, abs=1e-4)


def test_mask_may_come_as_floating_point(losses):
    truth = np.random.default_rng(2).integers(0, 3, (1, 8, 8))
    logits = np.random.default_rng(3).normal(size=(1, 8, 8, 3)).astype(np.float32)
    loss = losses.dice_cross_entropy(3)
    assert float(loss(truth.astype(np.float32), logits)) == float(loss(truth, logits))
