"""V-Net: residual stages of 5³ convolutions, strided instead of pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from architectures import checks
from architectures.checks import ArchitectureError, Strides

if TYPE_CHECKING:
    import keras

    from architectures.blocks import Blocks

Variant = Literal["monai", "mattmacy", "prototxt", "figure"]
KERNEL = 5
DEPTH = 4


@dataclass(frozen=True)
class Form:
    """What distinguishes the published forms.

    Attributes:
        encoder: Convolutions per stage below the first, finest first.
        decoder: Convolutions per stage, coarsest first.
        activated: Whether the last convolution of a stage is activated before the residual is
            added, and not only after.
        normalization: Whether convolutions are followed by batch normalisation.
        encoder_bias: Whether the convolutions of the contracting path have biases.
        decoder_bias: Whether those of the expanding path have.
    """

    encoder: tuple[int, ...]
    decoder: tuple[int, ...]
    activated: bool = True
    normalization: Literal["batch", "none"] = "batch"
    encoder_bias: bool = False
    decoder_bias: bool = False


FORMS = {
    "monai": Form((1, 2, 3, 2), (2, 2, 1, 1)),
    "mattmacy": Form((1, 2, 3, 2), (2, 2, 1, 1), encoder_bias=True, decoder_bias=True),
    "prototxt": Form(
        (1, 2, 3, 3), (3, 2, 1, 1), False, "none", encoder_bias=True, decoder_bias=True
    ),
    "figure": Form((2, 3, 3, 3), (3, 3, 2, 1), encoder_bias=True, decoder_bias=True),
}


def build(
    input_shape: Sequence[int | None],
    classes: int,
    *,
    variant: Variant = "monai",
    filters: int = 16,
    strides: Strides | None = None,
    activation: Literal["prelu", "elu", "relu"] | None = None,
    bias: bool = False,
    dropout: float = 0.0,
    auxiliary: bool = False,
) -> keras.Model:
    shape = checks.check_input(input_shape, classes)
    dims = len(shape) - 1
    levels = pooling(dims, strides=strides)
    verify(shape, filters=filters, strides=strides, dropout=dropout)
    form = FORMS[variant]

    import keras

    from architectures.blocks import Blocks

    slope = activation or ("prelu" if dims == 3 else "elu")
    down = Blocks(dims, form.normalization, slope, bias=form.encoder_bias or bias)
    up = Blocks(dims, form.normalization, slope, bias=form.decoder_bias)

    inputs = keras.Input(shape, name="image")
    x = _input_stage(down, inputs, filters)
    skips = []
    for level, stride in enumerate(levels):
        skips.append(x)
        name = f"encoder{level + 2}"
        x = down.unit(x, 2 * x.shape[-1], stride, stride=stride, name=f"{name}_down")
        # Convolutions of the stage's own width; the residual is the stage's input.
        inner = x
        if dropout and level >= len(levels) - 2:
            inner = keras.layers.SpatialDropout3D(dropout, name=f"{name}_dropout")(x) if dims == 3 else keras.layers.SpatialDropout2D(dropout, name=f"{name}_dropout")(x)
        x = _stage(down, inner, x, form.encoder[level], form.activated, name)
    outputs = []
    for index, level in enumerate(reversed(range(len(levels)))):
        name, skip = f"decoder{level + 1}", skips[level]
        x = up.up_conv(x, skip.shape[-1], levels[level], name=f"{name}_up_conv")
        x = up.act(up.norm(x, name=f"{name}_up_bn"), name=f"{name}_up_act")
        x = up.concat([x, skip], name=f"{name}_concat")
        x = _stage(up, x, x, form.decoder[index], form.activated, name)
    x = down.unit(x, classes, KERNEL, name="output")
    x = down.conv(x, classes, 1, name="logits_conv")
    return keras.Model(inputs, down.logits(x), name="vnet")


def pooling(dims: int, *, strides: Strides | None = None, **_others: object) -> Strides:
    """Returns the stride of every down-convolution, finest first.

    Raises:
        ArchitectureError: `strides` is not possible.
    """
    return checks.pooling_strides(dims, DEPTH, strides)


def verify(
    shape: tuple[int | None, ...],
    *,
    filters: int = 16,
    strides: Strides | None = None,
    dropout: float = 0.0,
    **_others: object,
) -> None:
    dims = len(shape) - 1
    checks.check_size(shape, checks.total_stride(pooling(dims, strides=strides), dims))
    checks.check_positive("filters", filters)
    checks.check_rate("dropout", dropout)
    channels = shape[-1] or 1
    if filters % channels:
        near = [c for c in range(1, filters + 1) if filters % c == 0]
        raise ArchitectureError(
            "`input_shape`: V-Net adds its repeated input to the first stage, so the channel count "
            f"must divide `filters`. Allowed with filters={filters}: {', '.join(map(str, near))}. "
            f"Received: input_shape={shape}, hence {channels} channels."
        )


def _input_stage(net: Blocks, inputs: Any, filters: int) -> Any:
    import keras

    x = net.conv(inputs, filters, KERNEL, bias=net.biased, name="encoder1_1_conv")
    x = net.norm(x, name="encoder1_1_bn")
    repeats = filters // inputs.shape[-1]
    same = inputs
    if repeats > 1 and inputs.shape[-1] > 1:
        same = net.concat([inputs] * repeats, name="encoder1_repeat")
    return net.act(keras.layers.Add(name="encoder1_add")([x, same]), name="encoder1_act")


def _stage(net: Blocks, x: Any, residual: Any, count: int, activated: bool, name: str) -> Any:
    import keras

    width = x.shape[-1]
    for index in range(1, count + 1):
        if index < count or activated:
            x = net.unit(x, width, KERNEL, name=f"{name}_{index}")
        else:
            x = net.conv(x, width, KERNEL, bias=net.biased, name=f"{name}_{index}_conv")
            x = net.norm(x, name=f"{name}_{index}_bn")
    return net.act(keras.layers.Add(name=f"{name}_add")([x, residual]), name=f"{name}_act")
