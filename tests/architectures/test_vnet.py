"""The parts of V-Net, one by one."""

from functools import cache

import keras
import numpy as np
import pytest

import architectures


@cache
def build(shape=(16, 16, 16, 1), **options):
    return architectures.build("vnet", shape, 2, **{"filters": 4, **options})


@pytest.mark.parametrize(
    ("variant", "encoder", "decoder"),
    [
        ("monai", [1, 2, 3, 2], [2, 2, 1, 1]),
        ("prototxt", [1, 2, 3, 3], [3, 2, 1, 1]),
        ("figure", [2, 3, 3, 3], [3, 3, 2, 1]),
    ],
)
def test_convolutions_per_stage(variant, encoder, decoder, graph):
    net = graph(build((16, 16, 1), variant=variant))

    def count(stage):
        return sum(net.has(f"{stage}_{index}_conv") for index in (1, 2, 3, 4))

    assert count("encoder1") == 1
    assert [count(f"encoder{level}") for level in (2, 3, 4, 5)] == encoder
    assert [count(f"decoder{level}") for level in (4, 3, 2, 1)] == decoder
    kernels = {net.layer(n).kernel_size for n in net.named("_conv") if n[-6:-5].isdigit()}
    assert kernels == {(5, 5)}


def test_down_and_up_convolutions_change_the_channels(graph):
    net = graph(build())
    down, up = net.layer("encoder2_down_conv"), net.layer("decoder4_up_conv")
    assert (down.kernel_size, down.strides, down.filters) == ((2, 2, 2), (2, 2, 2), 8)
    assert (up.kernel_size, up.strides, up.filters) == ((2, 2, 2), (2, 2, 2), 32)
    assert not net.named("pool")


def test_their_kernels_follow_the_strides(graph):
    net = graph(build((2, 16, 16, 1), strides=((1, 2, 2), (1, 2, 2), (2, 2, 2), (1, 2, 2))))
    assert net.layer("encoder2_down_conv").kernel_size == (1, 2, 2)
    assert net.layer("encoder4_down_conv").kernel_size == (2, 2, 2)
    assert net.layer("decoder1_up_conv").kernel_size == (1, 2, 2)
    assert net.model.output_shape == (None, 2, 16, 16, 2)


def test_residuals(graph):
    net = graph(build())
    # Down: the stage's own input, which is the strided convolution. Up: the concatenation.
    assert net.inputs("encoder3_add") == ["encoder3_2_act", "encoder3_down_act"]
    assert net.inputs("decoder3_add") == ["decoder3_2_act", "decoder3_concat"]
    assert net.inputs("decoder3_concat") == ["decoder3_up_act", "encoder3_act"]
    assert net.inputs("encoder1_add") == ["encoder1_1_bn", "image"]


def test_the_authors_activate_after_the_residual_only(graph):
    net = graph(build(variant="prototxt"))
    assert net.inputs("encoder3_add") == ["encoder3_2_conv", "encoder3_down_act"]
    assert not net.named("_bn")
    assert net.layer("encoder3_2_conv").use_bias


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_the_input_is_repeated_and_added_first(channels):
    model = build((16, 16, channels))
    probe = keras.Model(model.input, model.get_layer("encoder1_add").output)
    model.get_layer("encoder1_1_conv").kernel.assign(np.zeros((5, 5, channels, 4)))
    x = np.random.default_rng(0).normal(size=(1, 16, 16, channels)).astype("float32")
    expected = np.concatenate([x] * (4 // channels), axis=-1)
    assert keras.ops.convert_to_numpy(probe(x)) == pytest.approx(expected, abs=1e-6)


def test_prelu_has_one_slope_per_channel_and_starts_at_a_quarter(graph):
    net = graph(build())
    for name, width in (("encoder1_act", 4), ("decoder4_act", 64), ("output_act", 2)):
        slopes = net.layer(name).alpha
        assert slopes.shape == (1, 1, 1, width)
        assert np.unique(slopes.numpy()) == [0.25]


def test_the_activation_follows_the_dimensions(graph):
    def kind(**options):
        layer = graph(build(**options)).layer("encoder1_act")
        return "prelu" if isinstance(layer, keras.layers.PReLU) else layer.activation.__name__

    assert kind() == "prelu"
    assert kind(shape=(16, 16, 1)) == "elu"
    assert kind(shape=(16, 16, 1), variant="prototxt") == "prelu"
    assert kind(activation="elu") == "elu"


def test_monai_ignores_its_bias_option_in_the_expanding_path(graph):
    net = graph(build(bias=True))
    assert net.layer("encoder2_1_conv").use_bias
    assert net.layer("encoder2_down_conv").use_bias
    assert net.layer("output_conv").use_bias
    assert not net.layer("decoder2_1_conv").use_bias
    plain = graph(build())
    assert not plain.layer("encoder2_1_conv").use_bias
    assert plain.layer("decoder2_up_conv").use_bias


def test_weights_start_by_the_mean_of_both_fans(graph):
    keras.utils.set_random_seed(0)
    net = graph(build(variant="prototxt"))
    kernel = net.layer("decoder4_1_conv").kernel.numpy()
    assert kernel.std() == pytest.approx(np.sqrt(2 / (125 * 64)), rel=0.02)
    kernel = net.layer("encoder5_down_conv").kernel.numpy()  # 32 channels to 64, 8 taps
    assert kernel.std() == pytest.approx(np.sqrt(2 / (8 * 48)), rel=0.03)


def test_dropout_sits_where_monai_has_it(graph):
    net = graph(build((16, 16, 1), dropout=0.5))
    names = ["encoder4_dropout", "encoder5_dropout", "decoder4_dropout", "decoder3_dropout"]
    names += [f"decoder{level}_skip_dropout" for level in (1, 2, 3, 4)]
    assert sorted(net.named("dropout")) == sorted(names)
    # The residual of a stage is not dropped, only what enters its convolutions.
    assert net.inputs("encoder5_add")[1] == "encoder5_down_act"
    assert net.inputs("encoder5_1_conv") == ["encoder5_dropout"]
