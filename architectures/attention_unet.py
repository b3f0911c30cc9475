"""Attention U-Net: a U-Net whose skips pass a gate that the coarser level controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from architectures import checks
from architectures.checks import ArchitectureError, Strides

if TYPE_CHECKING:
    import keras

    from architectures.blocks import Blocks

Variant = Literal["additive", "grid", "monai"]
DEPTH = 4
FILTERS = {"additive": 64, "grid": 16, "monai": 64}


def build(
    input_shape: Sequence[int | None],
    classes: int,
    *,
    variant: Variant | None = None,
    filters: int | None = None,
    depth: int | None = None,
    strides: Strides | None = None,
    gates: int = 2,
    deep_supervision: bool = True,
    auxiliary: bool = False,
) -> keras.Model:
    """Builds an Attention U-Net (Oktay et al. 2018) for 2 or 3 spatial dimensions.

    The default is what people mean in these dimensions: in 2D the additive form with 34,877,616
    trainable parameters (1 channel, 4 classes); in 3D the network of the paper with 6,472,784
    (1 channel, 2 classes).

    Args:
        input_shape: `(height, width, channels)` or `(depth, height, width, channels)`.
        classes: Number of classes with the background.
        variant: `"additive"`: a gate on every skip, steered by the decoder's enlarged features at
            the skip's own resolution. `"grid"`: the paper's grid attention, steered by the coarser
            level, no gate on the finest skip, and fused deep supervision. `"monai"`: the additive
            gate in MONAI's network, with strided instead of pooled levels. By default `"additive"`
            in 2D and `"grid"` in 3D.
        filters: Channels of the finest level, doubled at each coarser one; 64, or 16 for `"grid"`
            (the paper's 64 with a feature scale of 4).
        depth: Number of poolings; 4.
        strides: Stride of every pooling, finest first; 2 everywhere by default.
        gates: Gates per skip of `"grid"`, 1 or 2 (the authors' "single" and "multi" attention).
        deep_supervision: Whether `"grid"` fuses the logits of all decoder levels into its output.
        auxiliary: Whether to return a list: the logits, then those of every coarser decoder
            level but the coarsest, enlarged to the same size.

    Returns:
        A model from `(batch, *spatial, channels)` to float32 logits `(batch, *spatial, classes)`.

    Raises:
        ArchitectureError: An option, `classes` or `input_shape` is not possible.
    """
    shape = checks.check_input(input_shape, classes)
    dims = len(shape) - 1
    levels = pooling(dims, depth=depth, strides=strides)
    checks.check_size(shape, checks.total_stride(levels, dims))
    form = _variant(dims, variant)
    width = checks.check_positive("filters", FILTERS[form] if filters is None else filters)
    if gates not in (1, 2):
        raise ArchitectureError(f"Option 'gates' must be 1 or 2. Received: gates={gates!r}.")

    # Here, not above: the catalogue reads this file where Keras must not be loaded.
    import keras

    from architectures.blocks import Blocks

    net = Blocks(dims, bias=True)
    widths = [width * 2**level for level in range(len(levels) + 1)]
    inputs = keras.Input(shape, name="image")
    decoder = {"additive": _additive, "grid": _grid, "monai": _monai}[form]
    encoder = _strided_encoder if form == "monai" else _pooled_encoder
    skips, x = encoder(net, inputs, widths, levels)
    features = decoder(net, skips, x, levels, gates)

    outputs = []
    heads = [
        net.enlarge(
            net.conv(feature, classes, 1, name=f"head{level + 1}"),
            checks.total_stride(levels[:level], dims),
            name=f"head{level + 1}_enlarge",
        )
        for level, feature in enumerate(features)
        if level == 0 or (form == "grid" and deep_supervision) or (auxiliary and level < DEPTH - 1)
    ]
    final = heads[0]
    if form == "grid" and deep_supervision:
        fused = net.concat(heads, name="heads_concat")
        final = net.conv(fused, classes, 1, name="heads_fused")
    outputs = [net.logits(final)]
    if auxiliary:
        coarser = heads[1 : len(levels) - 1]
        outputs += [net.logits(h, name=f"auxiliary{i}") for i, h in enumerate(coarser, start=1)]
    return keras.Model(inputs, outputs if auxiliary else outputs[0], name="attention_unet")


def pooling(
    dims: int, *, depth: int | None = None, strides: Strides | None = None, **_others: object
) -> Strides:
    """Returns the stride of every pooling, finest first.

    Raises:
        ArchitectureError: `depth` or `strides` is not possible.
    """
    levels = len(strides) if depth is None and strides else DEPTH
    levels = checks.check_positive("depth", levels if depth is None else depth)
    return checks.pooling_strides(dims, levels, strides)


def _variant(dims: int, variant: Variant | None) -> Variant:
    return variant or ("additive" if dims == 2 else "grid")


def _pair(net: Blocks, x: Any, width: int, name: str, stride: Any = 1) -> Any:
    x = net.unit(x, width, stride=stride, name=f"{name}_1")
    return net.unit(x, width, name=f"{name}_2")


def _pooled_encoder(
    net: Blocks, x: Any, widths: list[int], levels: Strides
) -> tuple[list[Any], Any]:
    skips = []
    for level, (width, stride) in enumerate(zip(widths, levels, strict=False), start=1):
        x = _pair(net, x, width, f"encoder{level}")
        skips.append(x)
        x = net.pool(x, stride, name=f"encoder{level}_pool")
    return skips, _pair(net, x, widths[-1], "bottleneck")


def _additive(net: Blocks, skips: list[Any], x: Any, levels: Strides, gates: int) -> list[Any]:
    """Gates of the same resolution: both inputs projected, normalised, added."""
    features: list[Any] = []
    for level in reversed(range(len(levels))):
        name, skip = f"decoder{level + 1}", skips[level]
        x = net.repeat(x, levels[level], name=f"{name}_up")
        x = net.unit(x, skip.shape[-1], name=f"{name}_up")
        gated = _additive_gate(net, skip, x, f"gate{level + 1}")
        x = _pair(net, net.concat([gated, x], name=f"{name}_concat"), skip.shape[-1], name)
        features.insert(0, x)
    return features


def _additive_gate(net: Blocks, skip: Any, gating: Any, name: str) -> Any:
    import keras

    inner = max(skip.shape[-1] // 2, 1)
    parts = []
    for source, part in ((gating, "gating"), (skip, "skip")):
        projected = net.conv(source, inner, 1, name=f"{name}_{part}_conv")
        parts.append(net.norm(projected, name=f"{name}_{part}_bn"))
    x = net.act(keras.layers.Add(name=f"{name}_add")(parts), name=f"{name}_act")
    x = net.norm(net.conv(x, 1, 1, name=f"{name}_psi_conv"), name=f"{name}_psi_bn")
    alpha = keras.layers.Activation("sigmoid", name=f"{name}_alpha")(x)
    return keras.layers.Multiply(name=f"{name}_gated")([skip, alpha])


def _grid(net: Blocks, skips: list[Any], x: Any, levels: Strides, gates: int) -> list[Any]:
    """Gates steered from the coarser grid; none on the finest skip, which has no context yet."""
    features: list[Any] = []
    gating = net.unit(x, x.shape[-1], 1, name="gating")
    for level in reversed(range(len(levels))):
        name, skip, stride = f"decoder{level + 1}", skips[level], levels[level]
        width = skip.shape[-1]
        if level > 0:
            gated = [
                _grid_gate(net, skip, gating, stride, f"gate{level + 1}_{index + 1}")
                for index in range(gates)
            ]
            joined = gated[0] if gates == 1 else net.concat(gated, name=f"gate{level + 1}_concat")
            skip = net.unit(joined, width, 1, name=f"gate{level + 1}_combine")
        x = net.enlarge(x, stride, name=f"{name}_up")
        x = gating = _pair(net, net.concat([skip, x], name=f"{name}_concat"), width, name)
        features.insert(0, x)
    return features


def _grid_gate(net: Blocks, skip: Any, gating: Any, stride: Sequence[int], name: str) -> Any:
    """`W(x · up(sigmoid(psi(relu(theta(x) + phi(g))))))`: one scalar per cell of the coarse grid."""
    import keras

    width = skip.shape[-1]
    theta = net.conv(
        skip, width, stride, stride=stride, bias=False, padding="valid", name=f"{name}_theta"
    )
    phi = net.conv(gating, width, 1, name=f"{name}_phi")
    x = net.act(keras.layers.Add(name=f"{name}_add")([theta, phi]), name=f"{name}_act")
    x = net.conv(x, 1, 1, name=f"{name}_psi")
    alpha = keras.layers.Activation("sigmoid", name=f"{name}_alpha")(x)
    alpha = net.enlarge(alpha, stride, name=f"{name}_alpha_enlarge")
    x = keras.layers.Multiply(name=f"{name}_gated")([skip, alpha])
    return net.norm(net.conv(x, width, 1, name=f"{name}_w_conv"), name=f"{name}_w_bn")


def _strided_encoder(
    net: Blocks, x: Any, widths: list[int], levels: Strides
) -> tuple[list[Any], Any]:
    skips = [_pair(net, x, widths[0], "encoder1")]
    for level, (width, stride) in enumerate(zip(widths[1:], levels, strict=True), start=2):
        name = f"encoder{level}" if level <= len(levels) else "bottleneck"
        x = net.unit_strided(skips[-1], width, stride, name=f"{name}_1")
        skips.append(net.unit(x, width, name=f"{name}_2"))
    return skips[:-1], skips[-1]


def _monai(net: Blocks, skips: list[Any], x: Any, levels: Strides, gates: int) -> list[Any]:
    features: list[Any] = []
    for level in reversed(range(len(levels))):
        name, skip = f"decoder{level + 1}", skips[level]
        x = net.up_unit(x, skip.shape[-1], levels[level], name=f"{name}_up")
        gated = _additive_gate(net, skip, x, f"gate{level + 1}")
        x = net.conv(
            net.concat([gated, x], name=f"{name}_concat"), skip.shape[-1], name=f"{name}_merge"
        )
        x = net.instance_prelu(x, name=f"{name}_merge")
        features.insert(0, x)
    return features
