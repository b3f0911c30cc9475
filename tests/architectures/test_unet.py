"""The parts of the U-Nets, one by one."""

import keras
import numpy as np
import pytest

import architectures


def build(shape=(32, 32, 1), **options):
    return architectures.build("unet", shape, 2, **{"filters": 4, **options})


def test_the_paper_has_572_in_and_388_out(empty_weights):
    model = build((572, 572, 1), normalization="none", padding="valid")
    assert model.output_shape == (None, 388, 388, 2)
    crops = [layer.cropping for layer in model.layers if "crop" in layer.name]
    assert crops == [((n, n), (n, n)) for n in (4, 16, 40, 88)]
    convolutions = [la for la in model.layers if isinstance(la, keras.layers.Conv2D)]
    assert {layer.padding for layer in convolutions} == {"valid"}


def test_a_network_without_padding_predicts_the_same_inside_a_larger_image():
    rng = np.random.default_rng(0)
    small = build((92, 92, 1), padding="valid", depth=3)
    large = build((108, 108, 1), padding="valid", depth=3)
    large.set_weights(small.get_weights())
    x = rng.normal(size=(1, 108, 108, 1)).astype("float32")
    whole = keras.ops.convert_to_numpy(large(x))
    part = keras.ops.convert_to_numpy(small(x[:, 8:-8, 8:-8]))
    assert whole[:, 8:-8, 8:-8] == pytest.approx(part, abs=1e-5)


def test_widths_double_and_the_skip_comes_first(graph):
    net = graph(build())
    widths = [net.layer(f"encoder{i}_2_conv").filters for i in (1, 2, 3, 4)]
    assert widths == [4, 8, 16, 32]
    assert net.layer("bottleneck_2_conv").filters == 64
    assert net.inputs("decoder4_concat") == ["encoder4_2_act", "decoder4_up"]
    assert net.layer("decoder4_up").filters == 32


def test_convolutions_have_biases_only_without_normalisation(graph):
    for options, expected in (
        ({}, False),
        ({"normalization": "none"}, True),
        ({"bias": True}, True),
    ):
        net = graph(build(**options))
        assert net.layer("encoder1_1_conv").use_bias is expected
        assert net.layer("decoder1_up").use_bias
        assert net.layer("logits_conv").use_bias


def test_bilinear_enlargement_halves_the_bottleneck(graph):
    net = graph(build(upsampling="bilinear"))
    assert net.layer("bottleneck_2_conv").filters == 32
    assert [net.layer(f"decoder{i}_2_conv").filters for i in (4, 3, 2, 1)] == [16, 8, 4, 4]
    assert not net.named("Transpose")


def test_cicek_doubles_before_pooling_and_keeps_the_channels_of_the_up_convolution(graph):
    net = graph(build((8, 8, 8, 1), variant="cicek"))
    assert [net.layer(f"encoder1_{i}_conv").filters for i in (1, 2)] == [4, 8]
    assert [net.layer(f"bottleneck_{i}_conv").filters for i in (1, 2)] == [32, 64]
    assert net.layer("decoder3_up").filters == 64
    assert not net.layer("decoder3_up").use_bias
    assert net.layer("encoder1_1_conv").use_bias


def test_camus_has_five_levels_and_normalises_after_the_activation(graph):
    net = graph(build((32, 32, 1), variant="camus", filters=8))
    assert [net.layer(f"encoder{i}_1_conv").filters for i in range(1, 6)] == [8, 8, 16, 32, 32]
    assert [net.layer(f"decoder{i}_1_conv").filters for i in range(1, 6)] == [4, 8, 16, 32, 32]
    assert net.inputs("encoder1_1_bn") == ["encoder1_1_act"]
    assert net.inputs("decoder1_concat") == ["decoder1_up", "encoder1_2_bn"]


def test_strides_spare_the_slices_of_an_anisotropic_volume(graph):
    net = graph(build((3, 16, 16, 1), strides=[[1, 2, 2], [1, 2, 2], [1, 2, 2]]))
    assert net.layer("encoder1_pool").pool_size == (1, 2, 2)
    assert net.layer("decoder1_up").kernel_size == net.layer("decoder1_up").strides == (1, 2, 2)
    assert net.layer("bottleneck_2_conv").output.shape[1:4] == (3, 2, 2)


def test_auxiliary_logits_have_the_size_of_the_main_ones():
    model = build(auxiliary=True)
    assert model.output_names == ["logits", "auxiliary1", "auxiliary2"]
    assert set(model.output_shape) == {(None, 32, 32, 2)}


def test_dropout_ends_the_contracting_path(graph):
    net = graph(build(dropout=0.5))
    assert net.named("dropout") == ["encoder4_dropout", "bottleneck_dropout"]
    assert net.inputs("decoder4_concat")[0] == "encoder4_dropout"
