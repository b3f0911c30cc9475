"""DeepLabv3: a ResNet kept fine by dilation, and parallel dilated convolutions on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from architectures import checks
from architectures.checks import Strides

if TYPE_CHECKING:
    import keras

    from architectures.blocks import Blocks

Backbone = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
BLOCKS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
BASIC = ("resnet18", "resnet34")
EXPANSION = 4
RATES = {8: (12, 24, 36), 16: (6, 12, 18)}


def build(
    input_shape: Sequence[int | None],
    classes: int,
    *,
    backbone: Backbone = "resnet50",
    output_stride: Literal[8, 16] = 8,
    filters: int = 64,
    dropout: float = 0.5,
    auxiliary: bool = False,
    weights: str | None = None,
) -> keras.Model:
    shape = checks.check_input(input_shape, classes, dims=(2,))
    verify(shape, output_stride=output_stride, filters=filters, dropout=dropout)

    import keras

    from architectures.blocks import Blocks

    net = Blocks(2)
    inputs = keras.Input(shape, name="image")
    stages = _resnet(net, inputs, backbone, filters, output_stride)
    x = _aspp(net, stages[-1], 4 * filters, RATES[output_stride], dropout)
    x = net.unit(x, 4 * filters, 3, name="head")
    outputs = [_classify(net, x, classes, output_stride, "logits")]
    if auxiliary:
        x = stages[-2]
        x = net.unit(x, max(x.shape[-1] // 4, 1), 3, name="auxiliary_head")
        x = keras.layers.Dropout(0.1, name="auxiliary_dropout")(x)
        outputs.append(_classify(net, x, classes, output_stride, "auxiliary"))
    return keras.Model(inputs, outputs if auxiliary else outputs[0], name="deeplabv3")


def pooling(dims: int, *, output_stride: int = 8, **_others: object) -> Strides:
    """Returns the stride of every stage that reduces the size, finest first."""
    return ((2,) * dims,) * {8: 3, 16: 4}[output_stride]


def verify(
    shape: tuple[int | None, ...],
    *,
    output_stride: int = 8,
    filters: int = 64,
    dropout: float = 0.5,
    **_others: object,
) -> None:
    checks.check_size(shape, (output_stride, output_stride))
    checks.check_positive("filters", filters)
    checks.check_rate("dropout", dropout)


def _classify(net: Blocks, x: Any, classes: int, factor: int, name: str) -> Any:
    import keras

    x = net.conv(x, classes, 1, name=f"{name}_conv")
    x = net.logits(x, name=f"{name}_float32")
    return keras.layers.UpSampling2D(factor, interpolation="bilinear", dtype="float32", name=name)(x)


def _resnet(net: Blocks, x: Any, backbone: str, filters: int, output_stride: int) -> list[Any]:
    x = net.pad(x, 3, name="stem_pad")
    x = net.unit(x, filters, 7, stride=2, padding="valid", name="stem")
    x = net.pad(x, 1, name="stem_pool_pad")
    x = net.pool(x, 3, stride=2, name="stem_pool")
    block = _basic if backbone in BASIC else _bottleneck
    stages, dilation = [], 1
    for stage, count in enumerate(BLOCKS[backbone]):
        stride = 1 if stage == 0 else 2
        previous = dilation
        if stage >= (2 if output_stride == 8 else 3):
            stride, dilation = 1, 2 * dilation
        for index in range(count):
            first = index == 0
            x = block(
                net,
                x,
                filters * 2**stage,
                stride if first else 1,
                previous if first else dilation,
                f"stage{stage + 1}_block{index + 1}",
            )
        stages.append(x)
    return stages


def _bottleneck(net: Blocks, x: Any, width: int, stride: int, dilation: int, name: str) -> Any:
    y = net.unit(x, width, 1, name=f"{name}_1")
    y = _conv3(net, y, width, stride, dilation, f"{name}_2")
    y = net.conv(y, EXPANSION * width, 1, bias=False, name=f"{name}_3_conv")
    y = net.norm(y, name=f"{name}_3_bn")
    return _residual(net, x, y, stride, name)


def _basic(net: Blocks, x: Any, width: int, stride: int, dilation: int, name: str) -> Any:
    y = _conv3(net, x, width, stride, dilation, f"{name}_1")
    y = net.conv(y, width, 3, dilation=dilation, bias=False, name=f"{name}_2_conv")
    y = net.norm(y, name=f"{name}_2_bn")
    return _residual(net, x, y, stride, name)


def _conv3(net: Blocks, x: Any, width: int, stride: int, dilation: int, name: str) -> Any:
    if stride == 1:
        return net.unit(x, width, 3, dilation=dilation, name=name)
    x = net.pad(x, 1, name=f"{name}_pad")
    return net.unit(x, width, 3, stride=stride, padding="valid", name=name)


def _residual(net: Blocks, x: Any, y: Any, stride: int, name: str) -> Any:
    import keras

    if stride > 1 or x.shape[-1] != y.shape[-1]:
        x = net.conv(x, y.shape[-1], 1, stride=stride, bias=False, name=f"{name}_skip_conv")
        x = net.norm(x, name=f"{name}_skip_bn")
    return net.act(keras.layers.Add(name=f"{name}_add")([y, x]), name=f"{name}_act")


def _aspp(net: Blocks, x: Any, width: int, rates: tuple[int, ...], dropout: float) -> Any:
    import keras

    from architectures.layers import Spread

    branches = [net.unit(x, width, 1, name="aspp_1x1")]
    branches += [net.unit(x, width, 3, dilation=rate, name=f"aspp_rate{rate}") for rate in rates]
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True, name="aspp_pool")(x)
    pooled = net.unit(pooled, width, 1, name="aspp_pool")
    branches.append(Spread(name="aspp_pool_spread")([pooled, x]))
    x = net.concat(branches, name="aspp_concat")
    x = net.unit(x, width, 1, name="aspp_project")
    return keras.layers.Dropout(dropout, name="aspp_dropout")(x)
