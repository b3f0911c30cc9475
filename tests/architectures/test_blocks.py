"""Constants of the blocks, how weights start, and the layers of our own."""

import keras
import numpy as np
import pytest
from scipy import ndimage

import architectures
from architectures import cost
from architectures.blocks import Blocks
from architectures.layers import DilatedConv2D, LinearUpsampling, Spread


@pytest.mark.parametrize("name", architectures.NAMES)
def test_normalisation_has_the_constants_of_the_references(name):
    model = architectures.build(name, (32, 32, 1), 2, filters=4)
    norms = [la for la in model.layers if isinstance(la, keras.layers.BatchNormalization)]
    assert norms
    assert {(layer.momentum, layer.epsilon) for layer in norms} == {(0.9, 1e-5)}


@pytest.mark.parametrize(("fan", "count"), [("fan_in", 96), ("fan_out", 32), ("fan_avg", 64)])
def test_weights_start_with_the_variance_of_he(fan, count):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 96))
    out = Blocks(2, fan=fan).conv(inputs, 32, 3, name="conv")
    kernel = keras.Model(inputs, out).get_layer("conv").kernel.numpy()
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * count)), rel=0.02)
    assert np.abs(kernel).max() > 2.5 * kernel.std(), "not truncated"


def test_a_resnet_starts_by_its_outgoing_connections():
    keras.utils.set_random_seed(0)
    model = architectures.build("deeplabv3", (32, 32, 1), 2, filters=32)
    kernel = model.get_layer("stage1_block1_3_conv").kernel.numpy()  # 32 to 128
    assert kernel.std() == pytest.approx(np.sqrt(2 / 128), rel=0.03)


def test_a_transposed_convolution_keeps_the_variance():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 64))
    net = Blocks(2)
    for out in (
        net.up_conv(inputs, 32, (2, 2), name="up"),
        net.up_unit(inputs, 32, (2, 2), name="u"),
    ):
        model = keras.Model(inputs, out)
        layer = next(la for la in model.layers if "Transpose" in type(la).__name__)
        x = np.random.default_rng(0).normal(size=(4, 8, 8, 64)).astype("float32")
        values = keras.ops.convert_to_numpy(layer(x))[:, 2:-2, 2:-2]
        assert values.var() == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("factors", [(2, 2), (3, 1), (2, 2, 2), (1, 2, 4), (2, 1, 1)])
def test_linear_upsampling_interpolates_between_pixel_centres(factors):
    sizes = (4, 5, 3)[: len(factors)]
    x = np.random.default_rng(0).normal(size=(2, *sizes, 3)).astype("float32")
    result = keras.ops.convert_to_numpy(LinearUpsampling(factors)(x))
    where = [(np.arange(n * f) + 0.5) / f - 0.5 for n, f in zip(sizes, factors, strict=True)]
    grid = np.meshgrid(*where, indexing="ij")
    for image, channel in np.ndindex(2, 3):
        expected = ndimage.map_coordinates(x[image, ..., channel], grid, order=1, mode="nearest")
        assert result[image, ..., channel] == pytest.approx(expected, abs=1e-5)
    assert LinearUpsampling(factors).compute_output_shape(x.shape) == result.shape


@pytest.mark.parametrize("rate", [6, 12, 24])
@pytest.mark.parametrize("size", [(8, 8), (16, 20), (30, 5)])
def test_separate_taps_are_a_dilated_convolution(rate, size):
    options = {"padding": "same", "dilation_rate": rate}
    plain, taps = keras.layers.Conv2D(5, 3, **options), DilatedConv2D(5, 3, **options)
    x = np.random.default_rng(0).normal(size=(2, *size, 4)).astype("float32")
    expected = keras.ops.convert_to_numpy(plain(x))
    taps.build(x.shape)
    taps.set_weights(plain.get_weights())
    assert keras.ops.convert_to_numpy(taps(x)) == pytest.approx(expected, abs=1e-5)


def test_spread_repeats_over_the_grid():
    pooled = np.arange(4, dtype="float32").reshape(2, 1, 1, 2)
    like = np.zeros((2, 3, 5, 7), "float32")
    result = keras.ops.convert_to_numpy(Spread()([pooled, like]))
    assert result.shape == (2, 3, 5, 2) == Spread().compute_output_shape([pooled.shape, like.shape])
    assert (result == pooled).all()


def test_bfloat16_computes_in_half_and_answers_in_single_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = architectures.build("deeplabv3", (32, 32, 1), 2, filters=4)
    finally:
        keras.config.set_dtype_policy("float32")
    y = model(np.ones((2, 32, 32, 1), "float32"))
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    assert model.get_layer("head_conv").output.dtype == "bfloat16"


def test_multiply_accumulates_by_hand():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(inputs)  # 16 · 9 · 3 · 4
    x = keras.layers.Conv2DTranspose(2, 2, strides=2)(x)  # 16 · 4 · 4 · 2
    x = keras.layers.Dense(5)(x)  # 64 · 2 · 5
    model = keras.Model(inputs, keras.layers.BatchNormalization()(x))
    assert cost.multiply_accumulates(model) == 1728 + 512 + 640
    assert cost.trainable_parameters(model) == 112 + 34 + 15 + 10


def test_multiply_accumulates_need_fixed_sizes():
    model = architectures.build("unet", (None, None, 1), 2, filters=4)
    with pytest.raises(ValueError, match="fixed input size"):
        cost.multiply_accumulates(model)
