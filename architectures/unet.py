"""U-Net: a contracting path, an expanding path, and skips that carry the detail across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from architectures import checks
from architectures.checks import ArchitectureError, Strides

if TYPE_CHECKING:
    import keras

    from architectures.blocks import Blocks

Variant = Literal["standard", "cicek", "camus"]
Upsampling = Literal["transpose", "bilinear", "nearest"]
DEPTH = {"standard": 4, "cicek": 3, "camus": 5}
FILTERS = {"standard": 64, "cicek": 32, "camus": 32}


@dataclass(frozen=True)
class Widths:
    """Channels of the two convolutions of every stage.

    Attributes:
        encoder: From the input to the bottleneck, which is the last.
        decoder: From the bottleneck to the output.
    """

    encoder: tuple[tuple[int, int], ...]
    decoder: tuple[tuple[int, int], ...]


def build(
    input_shape: Sequence[int | None],
    classes: int,
    *,
    variant: Variant = "standard",
    filters: int | None = None,
    depth: int | None = None,
    strides: Strides | None = None,
    normalization: Literal["batch", "none"] = "batch",
    bias: bool | None = None,
    padding: Literal["same", "valid"] = "same",
    upsampling: Upsampling | None = None,
    dropout: float = 0.0,
    auxiliary: bool = False,
) -> keras.Model:
    """Builds a U-Net for 2 or 3 spatial dimensions.

    The default (1 channel, 4 classes, 2D) has 31,036,676 trainable parameters. The network of
    Ronneberger et al. 2015 (https://arxiv.org/abs/1505.04597) is `normalization="none",
    padding="valid"`: 31,030,658 for 1 channel and 2 classes, 572² in and 388² out.

    Args:
        input_shape: `(height, width, channels)` or `(depth, height, width, channels)`.
        classes: Number of classes with the background.
        variant: `"standard"`: channels double at every level. `"cicek"`: 3D U-Net of Çiçek et al.
            2016 (https://arxiv.org/abs/1606.06650), whose channels double before each pooling.
            `"camus"`: U-Net 1 of Leclerc et al. 2019 (https://doi.org/10.1109/TMI.2019.2900516),
            narrow and deep, with nearest-neighbour enlargement.
        filters: Channels of the first convolution; 64, or 32 for `"cicek"` and `"camus"`.
        depth: Number of poolings; 4, or 3 for `"cicek"`. Always 5 for `"camus"`.
        strides: Stride of every pooling, finest first; 2 everywhere by default.
        normalization: Batch normalisation after each convolution, or none.
        bias: Whether normalised convolutions have a bias as well. By default as in the reference
            of the variant: not in `"standard"`.
        padding: `"valid"` convolves without padding, so the output is smaller than the input.
        upsampling: `"transpose"`; `"bilinear"`, without weights and with a bottleneck of half the
            width; `"nearest"`, followed by a 3×3 convolution. `"camus"` is always its own.
        dropout: Rate at the end of the contracting path (the last two levels).
        auxiliary: Whether to return a list: the logits, then those of every coarser decoder
            level but the coarsest, enlarged to the same size.

    Returns:
        A model from `(batch, *spatial, channels)` to float32 logits `(batch, *spatial, classes)`.

    Raises:
        ArchitectureError: An option, `classes` or `input_shape` is not possible.
    """
    shape = checks.check_input(input_shape, classes)
    dims = len(shape) - 1
    levels = pooling(dims, variant=variant, depth=depth, strides=strides)
    width = checks.check_positive("filters", filters or FILTERS[variant])
    checks.check_rate("dropout", dropout)
    mode = _upsampling(variant, upsampling)
    crops = _crops(shape, levels, padding, auxiliary)

    # Here, not above: the catalogue reads this file where Keras must not be loaded.
    import keras

    from architectures.blocks import Blocks

    has_bias = bias if bias is not None else variant != "standard"
    net = Blocks(dims, normalization=normalization, bias=has_bias, padding=padding)
    widths = _widths(variant, width, len(levels), halved=mode == "bilinear")

    inputs = keras.Input(shape, name="image")
    x, skips = inputs, []
    for level, pair in enumerate(widths.encoder):
        name = f"encoder{level + 1}" if level < len(levels) else "bottleneck"
        x = _pair(net, x, pair, name, variant)
        if dropout and level >= len(levels) - 1:
            x = keras.layers.Dropout(dropout, name=f"{name}_dropout")(x)
        if level < len(levels):
            skips.append(x)
            x = net.pool(x, levels[level], name=f"{name}_pool")

    outputs = []
    for level in reversed(range(len(levels))):
        name = f"decoder{level + 1}"
        pair = widths.decoder[len(levels) - 1 - level]
        x = _enlarge(net, x, levels[level], mode, variant, name)
        skip = net.crop(skips[level], crops[level], name=f"{name}_crop")
        # The CAMUS network concatenates the other way round; only weight transfer can tell.
        order = [x, skip] if variant == "camus" else [skip, x]
        x = _pair(net, net.concat(order, name=f"{name}_concat"), pair, name, variant)
        if level == 0 or (auxiliary and level < len(levels) - 1):
            name = "logits" if level == 0 else f"auxiliary{level}"
            head = net.conv(x, classes, 1, name=f"{name}_conv")
            head = net.enlarge(
                head, checks.total_stride(levels[:level], dims), name=f"{name}_enlarge"
            )
            outputs.insert(0, net.logits(head, name=name))
    return keras.Model(inputs, outputs if auxiliary else outputs[0], name="unet")


def pooling(
    dims: int,
    *,
    variant: Variant = "standard",
    depth: int | None = None,
    strides: Strides | None = None,
    **_others: object,
) -> Strides:
    """Returns the stride of every pooling, finest first.

    Raises:
        ArchitectureError: `depth` or `strides` is not possible.
    """
    if variant == "camus" and depth not in (None, DEPTH["camus"]):
        raise ArchitectureError(
            f"Option 'depth' must be {DEPTH['camus']} for variant='camus', whose widths are fixed "
            f"per level. Received: depth={depth}."
        )
    levels = checks.check_positive("depth", DEPTH[variant] if depth is None else depth)
    if depth is None and variant != "camus" and strides:
        levels = len(strides)
    return checks.pooling_strides(dims, levels, strides)


def _upsampling(variant: Variant, upsampling: Upsampling | None) -> Upsampling:
    if variant == "camus":
        if upsampling is not None:
            raise ArchitectureError(
                "Option 'upsampling' must be null for variant='camus', which repeats the nearest "
                f"value without a convolution. Received: upsampling={upsampling!r}."
            )
        return "nearest"
    return upsampling or "transpose"


def _widths(variant: Variant, filters: int, depth: int, *, halved: bool) -> Widths:
    """Returns the channels of every convolution; `halved` is for weightless enlargement."""
    if variant == "camus":
        up = [filters, filters, 2 * filters, 4 * filters, 4 * filters, 4 * filters]
        down = [4 * filters, 4 * filters, 2 * filters, filters, max(filters // 2, 1)]
        return Widths(tuple((w, w) for w in up), tuple((w, w) for w in down))
    if variant == "cicek":
        inner = [filters * 2**level for level in range(depth + 1)]
        encoder = [(w, 2 * w) for w in inner]
        return Widths(tuple(encoder), tuple((2 * w, 2 * w) for w in inner[-2::-1]))
    wide = [filters * 2**level for level in range(depth + 1)]
    encoder = [(w, w) for w in wide]
    decoder = [(w, w) for w in wide[-2::-1]]
    if halved:
        # Without a convolution to halve the channels, the second of each pair does it.
        encoder[-1] = (wide[-1] // 2, wide[-1] // 2)
        decoder = [(w, max(w // 2, filters)) for w in wide[-2::-1]]
    return Widths(tuple(encoder), tuple(decoder))


def _pair(net: Blocks, x: Any, widths: tuple[int, int], name: str, variant: Variant) -> Any:
    for index, width in enumerate(widths, start=1):
        if variant == "camus":
            # Convolution, activation, normalisation: in this order in the CAMUS network.
            x = net.conv(x, width, bias=net.biased, name=f"{name}_{index}_conv")
            x = net.norm(net.act(x, name=f"{name}_{index}_act"), name=f"{name}_{index}_bn")
        else:
            x = net.unit(x, width, name=f"{name}_{index}")
    return x


def _enlarge(
    net: Blocks, x: Any, stride: Sequence[int], mode: Upsampling, variant: Variant, name: str
) -> Any:
    if mode == "bilinear":
        return net.enlarge(x, stride, name=f"{name}_up")
    if mode == "transpose":
        # Çiçek's up-convolution keeps the channels and has no bias.
        keep = variant == "cicek"
        width = x.shape[-1] if keep else x.shape[-1] // 2
        return net.up_conv(x, width, stride, bias=not keep, name=f"{name}_up")
    x_up = net.repeat(x, stride, name=f"{name}_up")
    if variant == "camus":
        return x_up
    return net.unit(x_up, x.shape[-1] // 2, name=f"{name}_up")


def _crops(
    shape: tuple[int | None, ...], levels: Strides, padding: str, auxiliary: bool
) -> list[tuple[int, ...]]:
    """Checks the input's size; returns how much each skip is cropped on both sides, per axis.

    Two valid 3×3 convolutions take 4 from a size, and what a deeper level takes counts by its
    stride. The numbers do not depend on the input's size, provided that all poolings divide it.
    """
    dims = len(shape) - 1
    if padding == "same":
        checks.check_size(shape, checks.total_stride(levels, dims))
        return [(0,) * dims for _ in levels]
    if auxiliary:
        raise ArchitectureError(
            "Option 'auxiliary' needs padding='same', where all levels cover the same field of "
            "view. Received: auxiliary=True with padding='valid'."
        )
    lost: list[tuple[int, ...]] = []
    for stride in reversed(levels):
        below = lost[0] if lost else (-4,) * dims
        lost.insert(0, tuple(s * (8 + b) for s, b in zip(stride, below, strict=True)))
    for axis, size in enumerate(shape[:-1]):
        if size is not None and not _valid_size(size, [level[axis] for level in levels]):
            fits = next(
                n for n in range(size + 1, 10**9) if _valid_size(n, [v[axis] for v in levels])
            )
            raise ArchitectureError(
                f"`input_shape` {shape}: size {size} of axis {axis} is not possible with "
                f"padding='valid', where every pooling must divide what the convolutions leave. "
                f"The next possible size is {fits}."
            )
    odd = [axis for axis in range(dims) if any(level[axis] % 2 for level in lost)]
    if odd:
        raise ArchitectureError(
            f"Option 'strides' needs even strides with padding='valid' so that skips are cropped "
            f"evenly. Received: strides={levels}."
        )
    return [tuple(amount // 2 for amount in level) for level in lost]


def _valid_size(size: int, strides: Sequence[int]) -> bool:
    """Tells whether unpadded convolutions and poolings leave a whole, positive size throughout."""
    for stride in strides:
        size -= 4
        if size < stride or size % stride:
            return False
        size //= stride
    size -= 4
    if size < 1:
        return False
    for stride in reversed(strides):
        size = size * stride - 4
    return size >= 1
