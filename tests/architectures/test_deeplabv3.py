"""The parts of DeepLabv3, one by one."""

from functools import cache

import keras
import pytest

import architectures


@cache
def build(shape=(64, 64, 1), **options):
    return architectures.build("deeplabv3", shape, 2, **{"filters": 4, **options})


def dilations(net, stage):
    count = len({name.split("_")[1] for name in net.named(f"stage{stage}_block")})
    blocks = range(1, count + 1)
    return [net.layer(f"stage{stage}_block{b}_2_conv").dilation_rate[0] for b in blocks]


def test_dilation_of_every_block_at_output_stride_8(graph):
    net = graph(build())
    assert dilations(net, 1) == [1] * 3
    assert dilations(net, 2) == [1] * 4
    assert dilations(net, 3) == [1] + [2] * 5
    assert dilations(net, 4) == [2] + [4] * 2
    assert [net.layer(f"aspp_rate{r}_conv").dilation_rate for r in (12, 24, 36)] == [
        (12, 12),
        (24, 24),
        (36, 36),
    ]
    assert net.layer("stage4_block3_act").output.shape == (None, 8, 8, 128)


def test_dilation_of_every_block_at_output_stride_16(graph):
    net = graph(build(output_stride=16))
    assert dilations(net, 3) == [1] * 6
    assert dilations(net, 4) == [1] + [2] * 2
    assert [net.layer(f"aspp_rate{r}_conv").dilation_rate[0] for r in (6, 12, 18)] == [6, 12, 18]
    assert net.layer("stage4_block3_act").output.shape == (None, 4, 4, 128)


def test_the_stride_lies_in_the_3x3_convolution(graph):
    net = graph(build())
    assert net.layer("stage2_block1_1_conv").strides == (1, 1)
    assert net.layer("stage2_block1_2_conv").strides == (2, 2)
    # A 1×1 convolution with stride 2 is one that sees every second pixel.
    assert net.inputs("stage2_block1_skip_conv") == ["stage2_block1_skip_conv_pick"]
    assert net.layer("stage2_block1_skip_conv_pick").pool_size == (1, 1)
    assert net.layer("stage2_block1_skip_conv_pick").strides == (2, 2)
    # Padded on both sides, as PyTorch pads; "same" would shift the features by half a pixel.
    assert net.inputs("stage2_block1_2_conv") == ["stage2_block1_2_pad"]
    assert net.layer("stem_pad").padding == ((3, 3), (3, 3))


def test_residuals(graph):
    net = graph(build())
    assert net.inputs("stage1_block1_add") == ["stage1_block1_3_bn", "stage1_block1_skip_bn"]
    assert net.inputs("stage1_block2_add") == ["stage1_block2_3_bn", "stage1_block1_act"]
    assert not net.has("stage1_block2_skip_conv")
    assert net.has("stage4_block1_skip_conv")


def test_the_pyramid_has_five_branches_of_equal_width(graph):
    net = graph(build())
    assert net.inputs("aspp_concat") == [
        "aspp_1x1_act",
        "aspp_rate12_act",
        "aspp_rate24_act",
        "aspp_rate36_act",
        "aspp_image_spread",
    ]
    assert net.inputs("aspp_image_conv") == ["aspp_image_mean"]
    assert net.layer("aspp_image_act").output.shape == (None, 1, 1, 16)
    assert net.layer("aspp_concat").output.shape == (None, 8, 8, 80)
    assert net.layer("aspp_dropout").rate == 0.5
    assert net.inputs("head_conv") == ["aspp_dropout"]
    assert net.layer("head_conv").kernel_size == (3, 3)


def test_only_the_last_convolution_has_a_bias(graph):
    net = graph(build())
    biased = [
        layer.name
        for layer in net.model.layers
        if isinstance(layer, keras.layers.Conv2D) and layer.use_bias
    ]
    assert biased == ["logits_conv"]


@pytest.mark.parametrize(("backbone", "blocks"), [("resnet101", 23), ("resnet34", 6)])
def test_backbones_differ_in_depth(backbone, blocks, graph):
    net = graph(build(backbone=backbone))
    assert net.has(f"stage3_block{blocks}_act")
    assert not net.has(f"stage3_block{blocks + 1}_act")
    # Basic blocks have two convolutions and do not widen at the end.
    assert net.has("stage1_block1_3_conv") is (backbone == "resnet101")


def test_the_auxiliary_head_sits_on_the_third_stage(graph):
    net = graph(build(auxiliary=True))
    assert net.inputs("auxiliary_head_conv") == ["stage3_block6_act"]
    assert net.layer("auxiliary_dropout").rate == 0.1
    assert net.model.output_names == ["logits", "auxiliary"]
