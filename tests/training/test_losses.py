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


@pytest.fixture
def sample():
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 3, (2, 6, 7)).astype(np.uint8)
    return truth, rng.normal(size=(2, 6, 7, 3)).astype(np.float32)


def test_dice_squared_is_v_nets(losses, sample):
    truth, logits = sample
    p, dice = softmax(logits, axis=-1), []
    for one in range(2):
        for label in (1, 2):
            g = (truth[one] == label).astype(float)
            q = p[one, ..., label]
            dice.append(2 * (q * g).sum() / ((q**2).sum() + (g**2).sum()))
    assert float(losses.dice_squared(3)(truth, logits)) == pytest.approx(
        1 - np.mean(dice), rel=1e-4
    )


def test_one_vs_rest_is_binary_per_class(losses, sample):
    truth, logits = sample
    sigmoid = 1 / (1 + np.exp(-logits))
    target = np.eye(3)[truth]
    entropy = -(target * np.log(sigmoid) + (1 - target) * np.log(1 - sigmoid)).mean()
    dice = [
        (2 * (sigmoid * target)[..., k].sum() + 1) / ((sigmoid + target)[..., k].sum() + 1)
        for k in (1, 2)
    ]
    value = float(losses.one_vs_rest(3)(truth, logits))
    assert value == pytest.approx(entropy + 1 - np.mean(dice), rel=1e-5)


def test_focal_tversky_is_abraham_and_khans(losses, sample):
    truth, logits = sample
    p, terms = softmax(logits, axis=-1), []
    for label in (1, 2):
        g, q = (truth == label).astype(float), p[..., label]
        tp, fn, fp = (q * g).sum(), ((1 - q) * g).sum(), (q * (1 - g)).sum()
        terms.append((1 - (tp + 1) / (tp + 0.7 * fn + 0.3 * fp + 1)) ** 0.75)
    assert float(losses.focal_tversky(3)(truth, logits)) == pytest.approx(np.mean(terms), rel=1e-5)


@pytest.mark.parametrize("name", ["dice_cross_entropy", "dice_squared", "one_vs_rest",
                                  "focal_tversky"])  # fmt: skip
def test_every_loss_falls_towards_the_truth_and_has_finite_slopes(losses, name):
    import keras
    import tensorflow as tf

    truth = np.random.default_rng(1).integers(0, 3, (1, 8, 8)).astype(np.uint8)
    loss, perfect = losses.make_loss(name, 3), np.eye(3, dtype=np.float32)[truth]
    values = [float(loss(truth, scale * perfect)) for scale in (-5.0, 0.0, 1.0, 5.0, 20.0)]
    assert values == sorted(values, reverse=True)
    for scale in (0.0, 100.0):
        logits = tf.Variable(scale * perfect)
        with tf.GradientTape() as tape:
            value = loss(truth, logits)
        assert np.isfinite(keras.ops.convert_to_numpy(tape.gradient(value, logits))).all()


def test_every_loss_of_the_configuration_exists(losses):
    from typing import get_args

    from benchmark.experiment.protocol_section import ProtocolSection

    names = get_args(ProtocolSection.model_fields["loss"].annotation)
    assert set(names) == set(losses.LOSSES)
