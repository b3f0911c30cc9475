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
    gates: int | None = None,
    deep_supervision: bool | None = None,
    auxiliary: bool = False,
) -> keras.Model:
    """Builds an Attention U-Net (Oktay et al. 2018, https://arxiv.org/abs/1804.03999).

    The default is what people mean in these dimensions: in 2D the additive form with 34,877,616
    trainable parameters (1 channel, 4 classes); in 3D the network of the paper with 6,472,784
    (1 channel, 2 classes).

    Args:
        input_shape: `(height, width, channels)` or `(depth, height, width, channels)`.
        classes: Number of classes with the background.
        variant: `"additive"`: a gate on every skip, steered by the decoder's enlarged features at
            the skip's own resolution. `"grid"`: the paper's grid attention, steered by the coarser
            level, no gate on the finest skip. `"monai"`: the additive gate in MONAI's network,
            with strides instead of poolings. By default `"additive"` in 2D and `"grid"` in 3D.
        filters: Channels of the finest level, doubled at each coarser one; 64, or 16 for `"grid"`
            (the paper's 64 with a feature scale of 4).
        depth: Number of poolings; 4.
        strides: Stride of every pooling, finest first; 2 everywhere by default.
        gates: Gates per skip of `"grid"`: 2 (the default) or 1, the authors' "multi" and "single".
        deep_supervision: Whether `"grid"` fuses the logits of all decoder levels into its output,
            as the paper does (the default).
        auxiliary: Whether to return a list: the logits, then those of every coarser decoder
            level but the coarsest, enlarged to the same size.

    Returns:
        A model from `(batch, *spatial, channels)` to float32 logits `(batch, *spatial, classes)`.

    Raises:
        ArchitectureError: An option, `classes` or `input_shape` is not possible.
    """
    shape = checks.check_input(input_shape, classes)
    form = verify(
        shape,
        variant=variant,
        filters=filters,
        depth=depth,
        strides=strides,
        gates=gates,
        deep_supervision=deep_supervision,
    )
    dims = len(shape) - 1
    levels = pooling(dims, depth=depth, strides=strides)
    width = FILTERS[form] if filters is None else filters
    widths = [width * 2**level for level in range(len(levels) + 1)]
    fused = form == "grid" and deep_supervision is not False

    # Here, not above: the catalogue reads this file where Keras must not be loaded.
    import keras

    from architectures.blocks import Blocks

    net = Blocks(dims, bias=True)
    inputs = keras.Input(shape, name="image")
    if form == "grid":
        features = _grid(net, *_pooled_encoder(net, inputs, widths, levels), levels, gates or 2)
    elif form == "additive":
        features = _additive(net, *_pooled_encoder(net, inputs, widths, levels), levels)
    else:
        features = _monai(net, *_strided_encoder(net, inputs, widths, levels), levels)

    coarser = range(1, len(levels) - 1) if auxiliary else range(0)
    extra = [
        net.head(
            features[level],
            classes,
            checks.total_stride(levels[:level], dims),
            name=f"auxiliary{level}",
        )
        for level in coarser
    ]
    if fused:
        logits = _fused_head(net, features, classes, levels)
    else:
        logits = net.head(features[0], classes, (1,) * dims, name="logits")
    return keras.Model(inputs, [logits, *extra] if auxiliary else logits, name="attention_unet")


def default_variant(dims: int) -> Variant:
    """Returns the variant where none is asked for (see `build`)."""
    return "additive" if dims == 2 else "grid"


def defaults(dims: int, *, variant: Variant | None = None, **_others: object) -> dict[str, object]:
    """Returns what the options stand for that are None."""
    form = variant or default_variant(dims)
    filled: dict[str, object] = {"variant": form, "filters": FILTERS[form], "depth": DEPTH}
    return filled | ({"gates": 2, "deep_supervision": True} if form == "grid" else {})


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


def verify(
    shape: tuple[int | None, ...],
    *,
    variant: Variant | None = None,
    filters: int | None = None,
    depth: int | None = None,
    strides: Strides | None = None,
    gates: int | None = None,
    deep_supervision: bool | None = None,
    **_others: object,
) -> Variant:
    """Checks the values together; returns the variant that is meant.

    Raises:
        ArchitectureError: An option or a size is not possible.
    """
    dims = len(shape) - 1
    form = variant or default_variant(dims)
    if filters is not None:
        checks.check_positive("filters", filters)
    if gates not in (None, 1, 2):
        raise ArchitectureError(f"Option 'gates' must be 1, 2 or null. Received: gates={gates!r}.")
    for name, value in (("gates", gates), ("deep_supervision", deep_supervision)):
        if value is not None and form != "grid":
            raise ArchitectureError(
                f"Option {name!r} must be null for variant={form!r}: only variant='grid' has it. "
                f"Received: {name}={value!r}."
            )
    levels = pooling(dims, depth=depth, strides=strides)
    checks.check_size(shape, checks.total_stride(levels, dims))
    if form == "monai" and any(s > 2 for level in levels for s in level):
        raise ArchitectureError(
            "Option 'strides' must hold 1 and 2 only for variant='monai', whose transposed "
            f"convolutions have a kernel of 3. Received: strides={levels}."
        )
    return form


def _pair(net: Blocks, x: Any, width: int, name: str) -> Any:
    x = net.unit(x, width, name=f"{name}_1")
    return net.unit(x, width, name=f"{name}_2")


def _pooled_encoder(
    net: Blocks, x: Any, widths: list[int], levels: Strides
) -> tuple[list[Any], Any]:
    skips = []
    for level, stride in enumerate(levels):
        name = f"encoder{level + 1}"
        skips.append(_pair(net, x, widths[level], name))
        x = net.pool(skips[-1], stride, name=f"{name}_pool")
    return skips, _pair(net, x, widths[-1], "bottleneck")


def _strided_encoder(
    net: Blocks, x: Any, widths: list[int], levels: Strides
) -> tuple[list[Any], Any]:
    features = [_pair(net, x, widths[0], "encoder1")]
    for level, stride in enumerate(levels, start=1):
        name = f"encoder{level + 1}" if level < len(levels) else "bottleneck"
        x = net.strided_unit(features[-1], widths[level], 3, stride, name=f"{name}_1")
        features.append(net.unit(x, widths[level], name=f"{name}_2"))
    return features[:-1], features[-1]


def _additive(net: Blocks, skips: list[Any], x: Any, levels: Strides) -> list[Any]:
    """Returns the decoder's features, finest first; gates at the resolution of their skip."""
    features: list[Any] = []
    for level in reversed(range(len(levels))):
        name, skip = f"decoder{level + 1}", skips[level]
        x = net.repeat(x, levels[level], name=f"{name}_up")
        x = net.unit(x, skip.shape[-1], name=f"{name}_up")
        gated = _additive_gate(net, skip, x, f"gate{level + 1}")
        x = _pair(net, net.concat([gated, x], name=f"{name}_concat"), skip.shape[-1], name)
        features.insert(0, x)
    return features


def _monai(net: Blocks, skips: list[Any], x: Any, levels: Strides) -> list[Any]:
    """Returns the decoder's features, finest first; as `_additive`, in MONAI's blocks."""
    features: list[Any] = []
    for level in reversed(range(len(levels))):
        name, skip = f"decoder{level + 1}", skips[level]
        x = net.up_unit(x, skip.shape[-1], levels[level], name=f"{name}_up")
        gated = _additive_gate(net, skip, x, f"gate{level + 1}")
        x = net.concat([gated, x], name=f"{name}_concat")
        x = net.conv(x, skip.shape[-1], name=f"{name}_merge_conv")
        x = net.instance_prelu(x, name=f"{name}_merge")
        features.insert(0, x)
    return features


def _additive_gate(net: Blocks, skip: Any, gating: Any, name: str) -> Any:
    """Returns `skip · sigmoid(bn(psi(relu(bn(W_g(gating)) + bn(W_x(skip))))))`."""
    import keras

    inner = max(skip.shape[-1] // 2, 1)
    parts = []
    for source, part in ((gating, "gating"), (skip, "skip")):
        projected = net.conv(source, inner, 1, name=f"{name}_{part}_conv")
        parts.append(net.norm(projected, name=f"{name}_{part}_bn"))
    x = net.act(net.add(parts, name=f"{name}_add"), name=f"{name}_act")
    x = net.norm(net.conv(x, 1, 1, name=f"{name}_psi_conv"), name=f"{name}_psi_bn")
    alpha = keras.layers.Activation("sigmoid", name=f"{name}_alpha")(x)
    return keras.layers.Multiply(name=f"{name}_gated")([skip, alpha])


def _grid(net: Blocks, skips: list[Any], x: Any, levels: Strides, gates: int) -> list[Any]:
    """Returns the decoder's features, finest first; gates steered from the coarser grid.

    The finest skip has no gate: its features have too little context to be judged (section 2.2).
    """
    features: list[Any] = []
    gating = net.unit(x, x.shape[-1], 1, name="gating")
    for level in reversed(range(len(levels))):
        name, skip, stride = f"decoder{level + 1}", skips[level], levels[level]
        width, gate = skip.shape[-1], f"gate{level + 1}"
        if level > 0:
            gated = [
                _grid_gate(net, skip, gating, stride, f"{gate}_{index}")
                for index in range(1, gates + 1)
            ]
            joined = gated[0] if gates == 1 else net.concat(gated, name=f"{gate}_concat")
            skip = net.unit(joined, width, 1, name=f"{gate}_combine")
        x = net.enlarge(x, stride, name=f"{name}_up")
        x = gating = _pair(net, net.concat([skip, x], name=f"{name}_concat"), width, name)
        features.insert(0, x)
    return features


def _grid_gate(net: Blocks, skip: Any, gating: Any, stride: Sequence[int], name: str) -> Any:
    """Returns `W(skip · up(sigmoid(psi(relu(theta(skip) + phi(gating))))))`.

    `theta` brings the skip onto the coarser grid of the gating signal, so that the projections of
    both need no resampling; the coefficients are then enlarged to the skip's grid.
    """
    import keras

    width = skip.shape[-1]
    theta = net.conv(
        skip, width, tuple(stride), stride=tuple(stride), bias=False, name=f"{name}_theta"
    )
    phi = net.conv(gating, width, 1, name=f"{name}_phi")
    x = net.act(net.add([theta, phi], name=f"{name}_add"), name=f"{name}_act")
    x = net.conv(x, 1, 1, name=f"{name}_psi")
    alpha = keras.layers.Activation("sigmoid", name=f"{name}_alpha")(x)
    alpha = net.enlarge(alpha, stride, name=f"{name}_alpha_enlarge")
    x = keras.layers.Multiply(name=f"{name}_gated")([skip, alpha])
    return net.norm(net.conv(x, width, 1, name=f"{name}_w_conv"), name=f"{name}_w_bn")


def _fused_head(net: Blocks, features: list[Any], classes: int, levels: Strides) -> Any:
    """Returns one map of logits from those of all levels, enlarged and mixed by a 1×1 layer."""
    maps = []
    for level, feature in enumerate(features):
        x = net.conv(feature, classes, 1, name=f"supervision{level + 1}")
        factors = checks.total_stride(levels[:level], net.dims)
        maps.append(net.enlarge(x, factors, name=f"supervision{level + 1}_enlarge"))
    return net.head(net.concat(maps, name="supervision"), classes, (1,) * net.dims, name="logits")
