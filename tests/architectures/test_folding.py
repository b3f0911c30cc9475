"""Networks for prediction alone give what the networks give."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import architectures
from architectures.folding import Folded

CASES = [
    ("unet", (16, 16, 1), {"filters": 4}, 18),
    ("unet", (16, 16, 16, 1), {"filters": 2, "normalization": "none"}, 0),
    ("attention_unet", (16, 16, 1), {"filters": 4, "variant": "monai"}, None),
    ("vnet", (16, 16, 16, 1), {"filters": 2, "auxiliary": True}, 24),
    ("deeplabv3", (32, 32, 1), {"filters": 4}, 60),
]


def shaken(name, shape, options):
    """A network whose normalisations are not the identity."""
    keras.utils.set_random_seed(0)
    model = architectures.build(name, shape, 3, **options)
    model.jit_compile = False
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape
            values = (rng.uniform(0.5, 1.5, size), *rng.normal(0, 0.2, (2, *size)))
            layer.set_weights([*values, rng.uniform(0.5, 1.5, size)])
    return model, rng.normal(size=(2, *shape)).astype("float32")


def difference(found, expected):
    pairs = zip(found, expected, strict=True) if isinstance(expected, list) else [(found, expected)]
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs)


@pytest.mark.parametrize(("name", "shape", "options", "count"), CASES)
def test_a_folded_network_gives_the_same_logits(name, shape, options, count):
    model, x = shaken(name, shape, options)
    folded = Folded(model)
    assert difference(folded.predict_on_batch(x), model.predict_on_batch(x)) < 1e-4
    kept = sum(isinstance(la, keras.layers.BatchNormalization) for la in folded.model.layers)
    every = sum(isinstance(la, keras.layers.BatchNormalization) for la in model.layers)
    assert every - kept == (every - 4 if count is None else count)  # 4 follow a cropping


def test_half_precision_is_folded_to_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model, x = shaken("unet", (16, 16, 1), {"filters": 8})
        folded = Folded(model)
    finally:
        keras.config.set_dtype_policy("float32")
    # The error that eight bits leave in the network itself, against the same weights in float32.
    exact, _ = shaken("unet", (16, 16, 1), {"filters": 8})
    exact.set_weights(model.get_weights())
    exact = exact.predict_on_batch(x)
    rounding = difference(model.predict_on_batch(x), exact)
    assert difference(folded.predict_on_batch(x), exact) < 1.5 * rounding


def test_it_follows_the_network_when_it_is_told_to():
    model, x = shaken("unet", (16, 16, 1), {"filters": 2})
    model.compile(keras.optimizers.SGD(0.1), loss=lambda y, p: keras.ops.mean((y - p) ** 2))
    model.jit_compile = False
    folded = Folded(model)
    before = folded.predict_on_batch(x)
    model.train_on_batch(x, np.ones((2, 16, 16, 3), "float32"))
    assert np.array_equal(folded.predict_on_batch(x), before)
    folded.refresh()
    after = model.predict_on_batch(x)
    assert difference(before, after) > 1e-3
    assert difference(folded.predict_on_batch(x), after) < 1e-4
    assert folded.model.jit_compile is False
