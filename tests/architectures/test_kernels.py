"""TensorFlow's own kernels against the operations of Keras that they stand for."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from architectures import layers

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="these are TensorFlow's kernels"
)
# Of the largest value: a rounding of float32, and of bfloat16's eight bits, or two of them.
TOLERANCE = {"float32": 1e-5, "mixed_bfloat16": 1e-2}


def relative(found, expected) -> float:
    found, expected = (np.asarray(keras.ops.cast(v, "float32")) for v in (found, expected))
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1.0))


def outcome(layer, x, upstream, **options):
    """What the layer gives, and the gradients of its input and of its weights."""
    import tensorflow as tf

    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, **options)
        total = tf.reduce_sum(tf.cast(y, tf.float32) * upstream)
    weights = [weight.value for weight in layer.trainable_variables]
    return [y, *tape.gradient(total, [x, *weights])]


def twins(kind, shape, policy, seed=0, **options):
    """Keras' layer in float32 and ours, with the same weights."""
    rng = np.random.default_rng(seed)
    plain = getattr(keras.layers, kind)(**options)
    ours = getattr(layers, kind)(**options, dtype=policy)
    for layer in (plain, ours):
        layer.build(shape)
    weights = [rng.uniform(0.5, 1.5, value.shape) for value in plain.get_weights()]
    if kind == "Conv3D":
        weights = [rng.normal(size=value.shape) for value in weights]
    for layer in (plain, ours):
        layer.set_weights(weights)
    return plain, ours


@pytest.mark.parametrize("policy", TOLERANCE)
@pytest.mark.parametrize("shape", [(4, 6, 5, 8), (2, 3, 4, 6, 5), (4, 1, 1, 7), (1, 1, 1, 3)])
def test_fused_normalisation_is_that_of_keras(shape, policy):
    plain, ours = twins("BatchNormalization", shape, policy, momentum=0.9, epsilon=1e-5)
    rng = np.random.default_rng(1)
    x = rng.normal(2.0, 3.0, shape).astype("float32")
    upstream = rng.normal(size=shape).astype("float32")
    # A single value deviates from its mean by a rounding, which 1 / √ε = 316 enlarges.
    tolerance = TOLERANCE[policy] * (10 if shape[:-1] == (1, 1, 1) else 1)
    for expected, found in zip(
        outcome(plain, x, upstream, training=True),
        outcome(ours, x, upstream, training=True),
        strict=True,
    ):
        assert relative(found, expected) < tolerance
    for expected, found in zip(plain.get_weights(), ours.get_weights(), strict=True):
        assert found == pytest.approx(expected, rel=TOLERANCE[policy]), "moving statistics"
    expected, found = plain(x, training=False), ours(x, training=False)
    assert relative(found, expected) < TOLERANCE[policy]


def test_fused_normalisation_calls_one_kernel():
    import tensorflow as tf

    layer = layers.BatchNormalization()
    graph = tf.function(lambda x: layer(x, training=True)).get_concrete_function(
        tf.TensorSpec((None, None, None, None, 4))
    )
    kinds = {node.type for node in graph.graph.get_operations()}
    assert "FusedBatchNormV3" in kinds
    assert "SquaredDifference" not in kinds


def test_a_frozen_normalisation_keeps_its_statistics():
    _, ours = twins("BatchNormalization", (2, 4, 4, 3), "float32")
    ours.trainable = False
    before = ours.get_weights()
    ours(np.ones((2, 4, 4, 3), "float32"), training=True)
    for old, new in zip(before, ours.get_weights(), strict=True):
        assert np.array_equal(old, new)


# The fourth is where bfloat16 gradients of TensorFlow 2.21 are NaN or 2000 times too large, the
# first where its results are.
@pytest.mark.parametrize("policy", TOLERANCE)
@pytest.mark.parametrize(
    ("depth", "channels", "filters", "kernel"),
    [(1, 1, 16, 5), (3, 3, 4, 5), (4, 64, 8, 5), (4, 32, 32, 5), (3, 16, 16, 3), (2, 1, 4, 3)],
)
def test_volumes_are_convolved_as_by_keras(depth, channels, filters, kernel, policy):
    shape = (1, depth, 12, 12, channels)
    options = {"kernel_size": kernel, "padding": "same", "use_bias": False}
    plain, ours = twins("Conv3D", shape, policy, filters=filters, **options)
    rng = np.random.default_rng(1)
    x = rng.normal(size=shape).astype("float32")
    upstream = rng.normal(size=(*shape[:-1], filters)).astype("float32")
    for expected, found in zip(
        outcome(plain, x, upstream), outcome(ours, x, upstream), strict=True
    ):
        assert relative(found, expected) < TOLERANCE[policy]


def test_volumes_of_unknown_size_are_convolved():
    import tensorflow as tf

    for channels, filters in ((1, 16), (3, 4), (16, 16)):
        layer = layers.Conv3D(filters, 5, padding="same")
        layer.build((None, None, None, None, channels))
        graph = tf.function(layer).get_concrete_function(
            tf.TensorSpec((None, None, None, None, channels))
        )
        x = np.random.default_rng(0).normal(size=(2, 2, 3, 5, channels)).astype("float32")
        assert relative(graph(tf.constant(x)), layer(x)) < 1e-5


@pytest.mark.parametrize("kind", ["BatchNormalization", "Conv3D"])
def test_layers_are_saved_as_those_of_keras(kind, tmp_path):
    options = {"filters": 2, "kernel_size": 3, "padding": "same"} if kind == "Conv3D" else {}
    inputs = keras.Input((2, 4, 4, 3))
    models = [
        keras.Model(inputs, getattr(room, kind)(**options)(inputs))
        for room in (keras.layers, layers)
    ]
    models[0].save_weights(tmp_path / "w.weights.h5")
    models[1].load_weights(tmp_path / "w.weights.h5")
    for old, new in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        assert np.array_equal(old, new)
    models[1].save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert type(again.layers[1]) is getattr(layers, kind)
    assert again.layers[1].get_config() == models[1].layers[1].get_config()
