"""With MONAI's weights our networks compute what MONAI's compute."""

import pytest

import architectures

monai = pytest.importorskip("monai.networks.nets", exc_type=ImportError)
# Keras 3.15 hands numpy 2 its variables in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def vnet_modules(net, activation):
    """Names every module of a MONAI `VNet` as the layer of ours."""
    modules = {}

    def act(name, module):
        if activation == "prelu":
            modules[name] = module

    def lu(name, block):
        modules[f"{name}_conv"] = block.conv_block.conv
        modules[f"{name}_bn"] = block.conv_block.adn.N
        act(f"{name}_act", block.act_function)

    modules["encoder1_1_conv"] = net.in_tr.conv_block.conv
    modules["encoder1_1_bn"] = net.in_tr.conv_block.adn.N
    act("encoder1_act", net.in_tr.act_function)
    for level, width in enumerate((32, 64, 128, 256), start=2):
        stage, name = getattr(net, f"down_tr{width}"), f"encoder{level}"
        modules[f"{name}_down_conv"] = stage.down_conv
        modules[f"{name}_down_bn"] = stage.bn1
        act(f"{name}_down_act", stage.act_function1)
        act(f"{name}_act", stage.act_function2)
        for index, block in enumerate(stage.ops, start=1):
            lu(f"{name}_{index}", block)
    for level, width in enumerate((32, 64, 128, 256), start=1):
        stage, name = getattr(net, f"up_tr{width}"), f"decoder{level}"
        modules[f"{name}_up_conv"] = stage.up_conv
        modules[f"{name}_up_bn"] = stage.bn1
        act(f"{name}_up_act", stage.act_function1)
        act(f"{name}_act", stage.act_function2)
        for index, block in enumerate(stage.ops, start=1):
            lu(f"{name}_{index}", block)
    modules["output_conv"] = net.out_tr.conv_block.conv
    modules["output_bn"] = net.out_tr.conv_block.adn.N
    act("output_act", net.out_tr.act_function1)
    modules["logits_conv"] = net.out_tr.conv2
    return modules


@pytest.mark.parametrize(
    ("dims", "activation", "bias", "channels"),
    [(2, "elu", False, 1), (2, "prelu", True, 4), (3, "prelu", False, 1), (3, "elu", True, 2)],
)
def test_vnet(dims, activation, bias, channels, transfer, relative_error, shaken):
    act = "prelu" if activation == "prelu" else ("elu", {"inplace": True})
    reference = monai.VNet(
        spatial_dims=dims, in_channels=channels, out_channels=3, act=act, bias=bias
    )
    size = (64, 48) if dims == 2 else (32, 16, 16)
    model = architectures.build(
        "vnet", (*size, channels), 3, activation=activation, bias=bias, filters=16
    )
    transfer(model, vnet_modules(shaken(reference), activation))
    assert relative_error(model, reference, (1, *size, channels)) < 1e-4


def attention_modules(net, depth):
    """Names every module of a MONAI `AttentionUnet` as the layer of ours."""
    modules = {}

    def unit(name, block):
        modules[f"{name}_conv"] = block.conv
        modules[f"{name}_bn"] = block.adn.N

    def gate(name, block):
        for part, pair in (("gating", block.W_g), ("skip", block.W_x), ("psi", block.psi)):
            modules[f"{name}_{part}_conv"] = pair[0].conv
            modules[f"{name}_{part}_bn"] = pair[1]

    head, layer, final = net.model
    for index in (0, 1):
        unit(f"encoder1_{index + 1}", head.conv[index])
    for level in range(1, depth + 1):
        below = layer.submodule
        block = below if level == depth else below[0]
        name = "bottleneck" if level == depth else f"encoder{level + 1}"
        for index in (0, 1):
            unit(f"{name}_{index + 1}", block.conv[index])
        unit(f"decoder{level}_up", layer.upconv.up)
        gate(f"gate{level}", layer.attention)
        modules[f"decoder{level}_merge_conv"] = layer.merge.conv
        modules[f"decoder{level}_merge_act"] = layer.merge.adn.A
        layer = None if level == depth else below[1]
    modules["logits_conv"] = final.conv
    return modules


@pytest.mark.parametrize(("dims", "depth"), [(2, 4), (3, 4), (2, 2)])
def test_attention_unet(dims, depth, transfer, relative_error, shaken):
    reference = monai.AttentionUnet(
        spatial_dims=dims,
        in_channels=1,
        out_channels=3,
        channels=[16 * 2**level for level in range(depth + 1)],
        strides=[2] * depth,
    )
    size = (64, 48) if dims == 2 else (32, 32, 16)
    model = architectures.build(
        "attention_unet", (*size, 1), 3, variant="monai", filters=16, depth=depth
    )
    transfer(model, attention_modules(shaken(reference), depth))
    assert relative_error(model, reference, (2, *size, 1)) < 1e-4
