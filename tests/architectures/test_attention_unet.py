"""Where the gates sit and what they compute."""

from functools import cache

import keras
import numpy as np
import pytest

import architectures


@cache
def build(shape, **options):
    return architectures.build("attention_unet", shape, 2, **{"filters": 4, **options})


def test_the_form_follows_the_dimensions(graph):
    assert graph(build((16, 16, 1))).named("psi_bn")
    assert graph(build((16, 16, 16, 1))).named("theta")


def test_additive_gates_sit_on_all_four_skips(graph):
    net = graph(build((32, 32, 1)))
    assert len(net.named("_alpha")) == 4
    for level, source in ((1, "encoder1_2_act"), (4, "encoder4_2_act")):
        gate = f"gate{level}"
        # Steered by the enlarged features of the decoder, at the resolution of the skip.
        assert net.inputs(f"{gate}_gating_conv") == [f"decoder{level}_up_act"]
        assert net.inputs(f"{gate}_skip_conv") == [source]
        assert net.inputs(f"{gate}_gated") == [source, f"{gate}_alpha"]
        assert net.inputs(f"decoder{level}_concat") == [f"{gate}_gated", f"decoder{level}_up_act"]
        assert net.layer(f"{gate}_gating_conv").filters == net.layer(source).output.shape[-1] // 2
        assert net.layer(f"{gate}_psi_bn").gamma.shape == (1,)
    assert net.layer("gate1_alpha").output.shape == (None, 32, 32, 1)
    assert all(la.use_bias for la in net.model.layers if isinstance(la, keras.layers.Conv2D))


def test_grid_gates_leave_the_finest_skip_alone(graph):
    net = graph(build((16, 16, 16, 1)))
    assert net.named("_alpha_enlarge") == [
        f"gate{level}_{index}_alpha_enlarge" for level in (4, 3, 2) for index in (1, 2)
    ]
    assert net.inputs("decoder1_concat")[0] == "encoder1_2_act"
    assert net.inputs("decoder2_concat")[0] == "gate2_combine_act"
    assert net.inputs("gate2_combine_conv") == ["gate2_concat"]


def test_grid_gates_are_steered_by_the_coarser_level(graph):
    net = graph(build((16, 16, 16, 1)))
    assert net.inputs("gating_conv") == ["bottleneck_2_act"]
    assert net.inputs("gate4_1_phi") == ["gating_act"]
    assert net.inputs("decoder4_up") == ["bottleneck_2_act"]
    assert net.inputs("gate3_1_phi") == ["decoder4_2_act"]
    theta = net.layer("gate3_1_theta")
    assert theta.kernel_size == theta.strides == (2, 2, 2)
    assert not theta.use_bias
    assert net.layer("gate3_1_phi").use_bias
    # The authors' inner width is that of the skip, and the coefficient is one per coarse cell.
    assert theta.filters == net.layer("encoder3_2_act").output.shape[-1]
    assert net.layer("gate3_1_alpha").output.shape == (None, 2, 2, 2, 1)


def test_grid_gates_follow_anisotropic_strides(graph):
    net = graph(build((4, 16, 16, 1), variant="grid", strides=((1, 2, 2), (1, 2, 2), (2, 2, 2))))
    assert net.layer("gate2_1_theta").kernel_size == (1, 2, 2)
    assert net.layer("gate3_1_theta").kernel_size == (2, 2, 2)
    assert net.model.output_shape == (None, 4, 16, 16, 2)


def test_deep_supervision_fuses_the_logits_of_four_scales(graph):
    net = graph(build((16, 16, 16, 1)))
    assert net.inputs("supervision") == [
        "supervision1",
        "supervision2_enlarge",
        "supervision3_enlarge",
        "supervision4_enlarge",
    ]
    assert net.layer("logits_conv").kernel.shape == (1, 1, 1, 8, 2)
    plain = graph(build((16, 16, 16, 1), deep_supervision=False))
    assert plain.inputs("logits_conv") == ["decoder1_2_act"]


@pytest.mark.parametrize("variant", ["additive", "grid"])
def test_a_closed_gate_silences_its_skip(variant, graph):
    net = graph(build((32, 32, 1), variant=variant, **({"gates": 1} if variant == "grid" else {})))
    closing = "gate2_psi_bn" if variant == "additive" else "gate2_1_psi"
    layer = net.layer(closing)
    offset = layer.beta if variant == "additive" else layer.bias
    gated = "gate2_gated" if variant == "additive" else "gate2_1_gated"
    probe = keras.Model(net.model.input, net.layer(gated).output)
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 1)).astype("float32")
    assert np.abs(keras.ops.convert_to_numpy(probe(x))).max() > 0
    offset.assign(np.full(offset.shape, -1e4, "float32"))
    assert np.abs(keras.ops.convert_to_numpy(probe(x))).max() == 0


def test_monai_strides_where_others_pool(graph):
    net = graph(build((32, 32, 1), variant="monai"))
    assert net.layer("encoder2_1_conv").strides == (2, 2)
    assert not net.named("pool")
    assert net.layer("decoder1_up_conv").kernel_size == (3, 3)
    assert net.layer("decoder1_merge_act").alpha.shape == (1, 1, 1)
