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
OutputStride = Literal[8, 16]
STAGES = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
BASIC = ("resnet18", "resnet34")  # two 3×3 convolutions per block; the others have bottlenecks
EXPANSION = 4  # of a bottleneck's width, at its end
RATES = {8: (12, 24, 36), 16: (6, 12, 18)}  # section 4 of the paper
AUXILIARY_DROPOUT = 0.1


def build(
    input_shape: Sequence[int | None],
    classes: int,
    *,
    backbone: Backbone = "resnet50",
    output_stride: OutputStride = 8,
    filters: int = 64,
    dropout: float = 0.5,
    auxiliary: bool = False,
    weights: str | None = None,
) -> keras.Model:
    """Builds a DeepLabv3 (Chen et al. 2017, https://arxiv.org/abs/1706.05587) for images.

    The default (ResNet-50, 1 channel, 4 classes) has 39,628,228 trainable parameters, with
    `backbone="resnet101"` 58,619,842 (1 channel, 2 classes). Dilation costs no parameters: the
    count is that of either output stride. The network is torchvision's, block for block: the
    stride lies in the 3×3 convolution of a bottleneck, the first block of a dilated stage keeps
    the dilation of the stage before, and there is no multi-grid.

    Args:
        input_shape: `(height, width, channels)`.
        classes: Number of classes with the background.
        backbone: The residual network below.
        output_stride: Input pixels per feature. 8 dilates the last two stages and pools with
            rates 12, 24, 36; 16 the last one, with 6, 12, 18.
        filters: Channels of the stem; 64. All other widths follow in proportion.
        dropout: Rate before the last two convolutions.
        auxiliary: Whether to return a list: the logits, and those of torchvision's auxiliary head
            on the last stage but one.
        weights: Path of a file with ImageNet weights of the backbone (see
            `architectures.pretrained`), or None for a random start.

    Returns:
        A model from `(batch, height, width, channels)` to float32 logits
        `(batch, height, width, classes)`. Train it with batches of at least 2: the image-pooling
        branch has one value per channel and image, which normalises to nothing in a batch of 1.

    Raises:
        ArchitectureError: An option, `classes`, `input_shape` or the weight file is not possible.
    """
    shape = checks.check_input(input_shape, classes, dims=(2,))
    verify(shape, output_stride=output_stride, filters=filters, dropout=dropout, weights=weights)

    # Here, not above: the catalogue reads this file where Keras must not be loaded.
    import keras

    from architectures.blocks import Blocks

    # He et al. initialise the residual network by the connections out of a unit.
    trunk, net = Blocks(2, fan="fan_out"), Blocks(2)
    inputs = keras.Input(shape, name="image")
    stages = _resnet(trunk, inputs, backbone, filters, output_stride)
    factors = (output_stride, output_stride)
    x = _pyramid(net, stages[-1], 4 * filters, RATES[output_stride], dropout)
    x = net.unit(x, 4 * filters, name="head")
    outputs = [net.head(x, classes, factors, name="logits")]
    if auxiliary:
        x = net.unit(stages[-2], max(stages[-2].shape[-1] // 4, 1), name="auxiliary_head")
        x = net.dropout(x, AUXILIARY_DROPOUT, name="auxiliary_dropout")
        outputs.append(net.head(x, classes, factors, name="auxiliary"))
    model = keras.Model(inputs, outputs if auxiliary else outputs[0], name="deeplabv3")
    if weights is not None:
        from architectures.pretrained import load_resnet

        load_resnet(model, weights)
    return model


def pooling(dims: int, *, output_stride: OutputStride = 8, **_others: object) -> Strides:
    """Returns the stride of every layer that reduces the size, finest first."""
    return ((2,) * dims,) * {8: 3, 16: 4}[output_stride]


def verify(
    shape: tuple[int | None, ...],
    *,
    output_stride: OutputStride = 8,
    filters: int = 64,
    dropout: float = 0.5,
    weights: str | None = None,
    **_others: object,
) -> None:
    """Checks the values together.

    Raises:
        ArchitectureError: An option, a size or the weight file is not possible.
    """
    checks.check_positive("filters", filters)
    checks.check_rate("dropout", dropout)
    checks.check_size(shape, (output_stride, output_stride))
    if weights is not None:
        checks.check_file("weights", weights)


def _resnet(net: Blocks, x: Any, backbone: Backbone, filters: int, output_stride: int) -> list[Any]:
    """Returns the outputs of the four stages."""
    x = net.strided_unit(x, filters, 7, 2, name="stem")
    # Zeros are no maximum too many: the values are those of a ReLU.
    x = net.pool(net.pad(x, 1, name="stem_pool_pad"), 3, stride=2, name="stem_pool")
    block = _basic if backbone in BASIC else _bottleneck
    stages, reached, dilation = [], 4, 1
    for stage, count in enumerate(STAGES[backbone]):
        stride, first = (1 if stage == 0 else 2), dilation
        if reached * stride > output_stride:
            stride, dilation = 1, dilation * stride
        reached *= stride
        for index in range(count):
            name = f"stage{stage + 1}_block{index + 1}"
            width = filters * 2**stage
            if index == 0:
                x = block(net, x, width, stride, first, name)
            else:
                x = block(net, x, width, 1, dilation, name)
        stages.append(x)
    return stages


def _bottleneck(net: Blocks, x: Any, width: int, stride: int, dilation: int, name: str) -> Any:
    y = net.unit(x, width, 1, name=f"{name}_1")
    y = _conv3(net, y, width, stride, dilation, f"{name}_2")
    y = net.conv(y, EXPANSION * width, 1, bias=False, name=f"{name}_3_conv")
    return _residual(net, x, net.norm(y, name=f"{name}_3_bn"), stride, name)


def _basic(net: Blocks, x: Any, width: int, stride: int, dilation: int, name: str) -> Any:
    y = _conv3(net, x, width, stride, dilation, f"{name}_1")
    y = net.conv(y, width, dilation=dilation, bias=False, name=f"{name}_2_conv")
    return _residual(net, x, net.norm(y, name=f"{name}_2_bn"), stride, name)


def _conv3(net: Blocks, x: Any, width: int, stride: int, dilation: int, name: str) -> Any:
    if stride == 1:
        return net.unit(x, width, dilation=dilation, name=name)
    return net.strided_unit(x, width, 3, stride, name=name)


def _residual(net: Blocks, x: Any, y: Any, stride: int, name: str) -> Any:
    if stride > 1 or x.shape[-1] != y.shape[-1]:
        x = net.conv(x, y.shape[-1], 1, stride=stride, bias=False, name=f"{name}_skip_conv")
        x = net.norm(x, name=f"{name}_skip_bn")
    return net.act(net.add([y, x], name=f"{name}_add"), name=f"{name}_act")


def _pyramid(net: Blocks, x: Any, width: int, rates: Sequence[int], dropout: float) -> Any:
    """Atrous spatial pyramid pooling: one context per rate, and that of the whole image."""
    import keras

    from architectures.layers import Spread

    branches = [net.unit(x, width, 1, name="aspp_1x1")]
    branches += [net.unit(x, width, dilation=rate, name=f"aspp_rate{rate}") for rate in rates]
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True, name="aspp_image_mean")(x)
    pooled = net.unit(pooled, width, 1, name="aspp_image")
    branches.append(Spread(name="aspp_image_spread")([pooled, x]))
    x = net.unit(net.concat(branches, name="aspp_concat"), width, 1, name="aspp_project")
    return net.dropout(x, dropout, name="aspp_dropout")
