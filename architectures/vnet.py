"""V-Net: residual stages of 5×5×5 convolutions, with strides instead of poolings."""

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
Activation = Literal["prelu", "elu", "relu"]
KERNEL = 5
DEPTH = 4


@dataclass(frozen=True)
class Form:
    """What distinguishes the published forms.

    Attributes:
        encoder: Convolutions of each stage below the first, finest first.
        decoder: Convolutions of each stage, finest first.
        bias: Whether all convolutions have biases.
        normalization: What follows a convolution.
        activated: Whether the last convolution of a stage is activated before the residual is
            added, and not only after.
    """

    encoder: tuple[int, ...]
    decoder: tuple[int, ...]
    bias: bool = True
    normalization: Literal["batch", "none"] = "batch"
    activated: bool = True


FORMS = {
    "monai": Form((1, 2, 3, 2), (1, 1, 2, 2), bias=False),
    "mattmacy": Form((1, 2, 3, 2), (1, 1, 2, 2)),
    "prototxt": Form((1, 2, 3, 3), (1, 1, 2, 3), normalization="none", activated=False),
    "figure": Form((2, 3, 3, 3), (1, 2, 3, 3)),
}


def build(
    input_shape: Sequence[int | None],
    classes: int,
    *,
    variant: Variant = "monai",
    filters: int = 16,
    strides: Strides | None = None,
    activation: Activation | None = None,
    bias: bool | None = None,
    dropout: float = 0.0,
    auxiliary: bool = False,
) -> keras.Model:
    """Builds a V-Net (Milletari et al. 2016, https://arxiv.org/abs/1606.04797).

    The default has 45,601,516 trainable parameters in 3D (PReLU, 1 channel, 2 classes) and
    9,360,348 in 2D (ELU, 1 channel, 4 classes). The authors' own network, `variant="prototxt"`,
    has 61,982,682 in 3D (1 channel, 2 classes).

    Args:
        input_shape: `(height, width, channels)` or `(depth, height, width, channels)`. The
            channel count must divide `filters`, since the repeated input is the first residual.
        classes: Number of classes with the background.
        variant: `"monai"`: the form in use today, with 1, 1, 2, 3, 2 convolutions per stage down
            and 2, 2, 1, 1 up, and batch normalisation. `"mattmacy"`: the same with biases
            everywhere. `"prototxt"`: what the authors trained, 1, 1, 2, 3, 3 and 3, 2, 1, 1,
            without normalisation. `"figure"`: figure 2 of the paper, 1, 2, 3, 3, 3 and 3, 3, 2, 1,
            with batch normalisation.
        filters: Channels of the first stage, doubled at each coarser one; 16.
        strides: Stride, and so the kernel, of each of the 4 down- and up-convolutions, finest
            first; 2 everywhere by default.
        activation: `"prelu"`, `"elu"` or `"relu"`. By default PReLU as in the paper, except ELU
            for the 2D forms of `"monai"` and `"mattmacy"`, whose authors' default it is.
        bias: For `"monai"` alone: biases in the contracting path and the output. (MONAI ignores
            its option of that name in the expanding path.) The other forms have them everywhere.
        dropout: Rate at which whole channels are dropped where MONAI does it: in the two coarsest
            stages down, on every skip, and into the two coarsest stages up. The paper has none.
        auxiliary: Whether to return a list: the logits, then those of every coarser decoder
            level but the coarsest, enlarged to the same size.

    Returns:
        A model from `(batch, *spatial, channels)` to float32 logits `(batch, *spatial, classes)`.

    Raises:
        ArchitectureError: An option, `classes` or `input_shape` is not possible.
    """
    shape = checks.check_input(input_shape, classes)
    verify(shape, variant=variant, filters=filters, strides=strides, bias=bias, dropout=dropout)
    dims = len(shape) - 1
    levels = pooling(dims, strides=strides)
    form = FORMS[variant]
    slope = activation or default_activation(dims, variant)

    # Here, not above: the catalogue reads this file where Keras must not be loaded.
    import keras

    from architectures.blocks import Blocks

    # The authors' Caffe network is initialised by the mean of both fans ("variance_norm: 2").
    down = Blocks(dims, form.normalization, slope, bias=form.bias or bool(bias), fan="fan_avg")
    up = Blocks(dims, form.normalization, slope, bias=form.bias, fan="fan_avg")

    inputs = keras.Input(shape, name="image")
    x = _input_stage(down, inputs, filters)
    skips = []
    for level, stride in enumerate(levels):
        skips.append(x)
        name = f"encoder{level + 2}"
        x = down.unit(x, 2 * x.shape[-1], stride, stride=stride, name=f"{name}_down")
        rate = dropout if level >= DEPTH - 2 else 0.0
        kept = down.dropout(x, rate, channels=True, name=f"{name}_dropout")
        x = _stage(down, kept, x, form.encoder[level], form, name)

    extra: list[Any] = []
    for level in reversed(range(DEPTH)):
        name, skip = f"decoder{level + 1}", skips[level]
        rate = dropout if level >= DEPTH - 2 else 0.0
        x = up.dropout(x, rate, channels=True, name=f"{name}_dropout")
        skip = up.dropout(skip, dropout, channels=True, name=f"{name}_skip_dropout")
        x = up.up_conv(x, skip.shape[-1], levels[level], name=f"{name}_up_conv")
        x = up.act(up.norm(x, name=f"{name}_up_bn"), name=f"{name}_up_act")
        x = up.concat([x, skip], name=f"{name}_concat")
        x = _stage(up, x, x, form.decoder[level], form, name)
        if auxiliary and 0 < level < DEPTH - 1:
            factors = checks.total_stride(levels[:level], dims)
            extra.insert(0, up.head(x, classes, factors, name=f"auxiliary{level}"))
    x = down.unit(x, classes, KERNEL, name="output")
    logits = down.head(x, classes, (1,) * dims, name="logits")
    return keras.Model(inputs, [logits, *extra] if auxiliary else logits, name="vnet")


def default_activation(dims: int, variant: Variant) -> Activation:
    """Returns the activation where none is asked for: the paper's PReLU, or ELU (see `build`)."""
    return "elu" if dims == 2 and variant in ("monai", "mattmacy") else "prelu"


def defaults(dims: int, *, variant: Variant = "monai", **_others: object) -> dict[str, object]:
    """Returns what the options stand for that are None."""
    return {"activation": default_activation(dims, variant), "bias": FORMS[variant].bias}


def pooling(dims: int, *, strides: Strides | None = None, **_others: object) -> Strides:
    """Returns the stride of every down-convolution, finest first.

    Raises:
        ArchitectureError: `strides` is not possible.
    """
    return checks.pooling_strides(dims, DEPTH, strides)


def verify(
    shape: tuple[int | None, ...],
    *,
    variant: Variant = "monai",
    filters: int = 16,
    strides: Strides | None = None,
    bias: bool | None = None,
    dropout: float = 0.0,
    **_others: object,
) -> None:
    """Checks the values together.

    Raises:
        ArchitectureError: An option, the channel count or a size is not possible.
    """
    dims = len(shape) - 1
    checks.check_positive("filters", filters)
    checks.check_rate("dropout", dropout)
    if bias is not None and variant != "monai":
        raise ArchitectureError(
            f"Option 'bias' must be null for variant={variant!r}, which always has biases. "
            f"Received: bias={bias!r}."
        )
    channels = shape[-1] or 1
    if filters % channels:
        allowed = [str(count) for count in range(1, filters + 1) if filters % count == 0]
        raise ArchitectureError(
            f"`input_shape` {shape}: V-Net adds its repeated input to the first stage, so the "
            f"channel count must divide 'filters'. Allowed with filters={filters}: "
            f"{', '.join(allowed)}. Received: {channels} channels."
        )
    checks.check_size(shape, checks.total_stride(pooling(dims, strides=strides), dims))


def _input_stage(net: Blocks, inputs: Any, filters: int) -> Any:
    """One convolution, to which the input is added, repeated to the same number of channels."""
    x = net.conv(inputs, filters, KERNEL, bias=net.biased, name="encoder1_1_conv")
    x = net.norm(x, name="encoder1_1_bn")
    repeats = filters // inputs.shape[-1]
    residual = inputs
    if repeats > 1 and inputs.shape[-1] > 1:
        residual = net.concat([inputs] * repeats, name="encoder1_repeat")
    # A single channel is repeated by the addition itself, without a copy in memory.
    return net.act(net.add([x, residual], name="encoder1_add"), name="encoder1_act")


def _stage(net: Blocks, x: Any, residual: Any, count: int, form: Form, name: str) -> Any:
    """`count` convolutions that keep the channels, the residual added, the sum activated."""
    width = x.shape[-1]
    for index in range(1, count + 1):
        if index < count or form.activated:
            x = net.unit(x, width, KERNEL, name=f"{name}_{index}")
        else:
            x = net.conv(x, width, KERNEL, bias=net.biased, name=f"{name}_{index}_conv")
            x = net.norm(x, name=f"{name}_{index}_bn")
    return net.act(net.add([x, residual], name=f"{name}_add"), name=f"{name}_act")
