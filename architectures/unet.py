"""U-Net: a contracting path, an expanding path, and skips that carry the detail across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from architectures import checks
from architectures.checks import ArchitectureError, Strides
from architectures.valid import next_valid_size, valid_crops

if TYPE_CHECKING:
    import keras

    from architectures.blocks import Blocks

Variant = Literal["standard", "cicek", "camus"]
Padding = Literal["same", "valid"]
Upsampling = Literal["transpose", "bilinear", "nearest"]
DEPTH = {"standard": 4, "cicek": 3, "camus": 5}
FILTERS = {"standard": 64, "cicek": 32, "camus": 32}


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
    padding: Padding = "same",
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
            narrow and deep, enlarging by repetition.
        filters: Channels of the first convolution; 64, or 32 for `"cicek"` and `"camus"`.
        depth: Number of poolings; 4, or 3 for `"cicek"`. Always 5 for `"camus"`.
        strides: Stride of every pooling, finest first; 2 everywhere by default.
        normalization: Batch normalisation after each convolution, or none.
        bias: Whether normalised convolutions have a bias as well. By default as in the reference
            of the variant: not in `"standard"`.
        padding: `"valid"` convolves without padding, so the output is smaller than the input.
        upsampling: `"transpose"` (the default): transposed convolution. `"bilinear"`: without
            weights, hence with a bottleneck of half the width. `"nearest"`: repetition and a
            3×3 convolution. `"camus"` and `"cicek"` have their own.
        dropout: Rate at the end of the contracting path (the last two levels).
        auxiliary: Whether to return a list: the logits, then those of every coarser decoder
            level but the coarsest, enlarged to the same size.

    Returns:
        A model from `(batch, *spatial, channels)` to float32 logits `(batch, *spatial, classes)`.

    Raises:
        ArchitectureError: An option, `classes` or `input_shape` is not possible.
    """
    shape = checks.check_input(input_shape, classes)
    crops = verify(
        shape,
        variant=variant,
        filters=filters,
        depth=depth,
        strides=strides,
        padding=padding,
        upsampling=upsampling,
        dropout=dropout,
        auxiliary=auxiliary,
    )
    dims = len(shape) - 1
    levels = pooling(dims, variant=variant, depth=depth, strides=strides)
    mode = upsampling or ("nearest" if variant == "camus" else "transpose")
    width = FILTERS[variant] if filters is None else filters
    widths = _widths(variant, width, len(levels), halved=mode == "bilinear")

    # Here, not above: the catalogue reads this file where Keras must not be loaded.
    import keras

    from architectures.blocks import Blocks

    has_bias = bias if bias is not None else variant != "standard"
    net = Blocks(dims, normalization=normalization, bias=has_bias, padding=padding)
    x = inputs = keras.Input(shape, name="image")
    skips = []
    for level, stride in enumerate(levels):
        name = f"encoder{level + 1}"
        x = _pair(net, x, widths.encoder[level], name, variant)
        if level == len(levels) - 1:
            x = net.dropout(x, dropout, name=f"{name}_dropout")
        skips.append(x)
        x = net.pool(x, stride, name=f"{name}_pool")
    x = _pair(net, x, widths.encoder[-1], "bottleneck", variant)
    x = net.dropout(x, dropout, name="bottleneck_dropout")

    outputs: list[Any] = []
    for level in reversed(range(len(levels))):
        name = f"decoder{level + 1}"
        x = _enlarge(net, x, levels[level], mode, variant, name)
        skip = net.crop(skips[level], crops[level], name=f"{name}_crop")
        # The CAMUS network concatenates the other way round; only weight transfer can tell.
        order = [x, skip] if variant == "camus" else [skip, x]
        x = net.concat(order, name=f"{name}_concat")
        x = _pair(net, x, widths.decoder[level], name, variant)
        if level == 0 or (auxiliary and level < len(levels) - 1):
            head = "logits" if level == 0 else f"auxiliary{level}"
            factors = checks.total_stride(levels[:level], dims)
            outputs.insert(0, net.head(x, classes, factors, name=head))
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
    if depth is None and variant != "camus" and strides:
        depth = len(strides)
    levels = checks.check_positive("depth", DEPTH[variant] if depth is None else depth)
    return checks.pooling_strides(dims, levels, strides)


def verify(
    shape: tuple[int | None, ...],
    *,
    variant: Variant = "standard",
    filters: int | None = None,
    depth: int | None = None,
    strides: Strides | None = None,
    padding: Padding = "same",
    upsampling: Upsampling | None = None,
    dropout: float = 0.0,
    auxiliary: bool = False,
    **_others: object,
) -> list[tuple[int, ...]]:
    """Checks the values together; returns how much is cropped off each skip, on both sides.

    Raises:
        ArchitectureError: An option or a size is not possible.
    """
    dims = len(shape) - 1
    levels = pooling(dims, variant=variant, depth=depth, strides=strides)
    if filters is not None:
        checks.check_positive("filters", filters)
    checks.check_rate("dropout", dropout)
    if upsampling is not None and variant != "standard":
        raise ArchitectureError(
            f"Option 'upsampling' must be null for variant={variant!r}, which has its own. "
            f"Received: upsampling={upsampling!r}."
        )
    if padding == "same":
        checks.check_size(shape, checks.total_stride(levels, dims))
        return [(0,) * dims for _ in levels]
    if auxiliary:
        raise ArchitectureError(
            "Option 'auxiliary' needs padding='same', where all levels cover the same field of "
            "view. Received: auxiliary=True with padding='valid'."
        )
    if upsampling == "nearest":
        raise ArchitectureError(
            "Option 'padding' must be 'same' with upsampling='nearest', whose convolution would "
            "shrink the enlarged features once more. Received: padding='valid'."
        )
    return valid_crops(shape, levels)


def defaults(dims: int, *, variant: Variant = "standard", **_others: object) -> dict[str, object]:
    """Returns what the options stand for that are None."""
    return {
        "filters": FILTERS[variant],
        "depth": DEPTH[variant],
        "bias": variant != "standard",
        "upsampling": "nearest" if variant == "camus" else "transpose",
    }


def nominal_size(dims: int, *, padding: Padding = "same", **options: Any) -> tuple[int, ...] | None:
    """Returns the sizes at which costs are stated, where they are not the usual ones.

    The paper's 572 pixels, or the next size that is possible, for a network without padding.
    """
    if padding == "same":
        return None
    steps = pooling(dims, **options)
    return tuple(
        next_valid_size(572 if dims == 2 else 116, [s[a] for s in steps]) for a in range(dims)
    )


@dataclass(frozen=True)
class _Widths:
    """Channels of the two convolutions of every level, finest first.

    Attributes:
        encoder: Of the contracting path; the last is the bottleneck.
        decoder: Of the expanding path.
    """

    encoder: list[tuple[int, int]]
    decoder: list[tuple[int, int]]


def _widths(variant: Variant, filters: int, depth: int, *, halved: bool) -> _Widths:
    if variant == "camus":
        up = [filters, filters, 2 * filters, 4 * filters, 4 * filters, 4 * filters]
        down = [max(filters // 2, 1), *up[1:-1]]
        return _Widths([(w, w) for w in up], [(w, w) for w in down])
    wide = [filters * 2**level for level in range(depth + 1)]
    if variant == "cicek":
        return _Widths([(w, 2 * w) for w in wide], [(2 * w, 2 * w) for w in wide[:-1]])
    if halved:
        # Without a convolution to halve the channels, the second of each pair does it.
        bottleneck = (wide[-1] // 2, wide[-1] // 2)
        decoder = [(w, max(w // 2, filters)) for w in wide[:-1]]
        return _Widths([*((w, w) for w in wide[:-1]), bottleneck], decoder)
    return _Widths([(w, w) for w in wide], [(w, w) for w in wide[:-1]])


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
    width = x.shape[-1] // 2
    x = net.repeat(x, stride, name=f"{name}_up")
    return x if variant == "camus" else net.unit(x, width, name=f"{name}_up")
