"""What a network costs: trainable parameters, and multiply-accumulates per input."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def trainable_parameters(model: keras.Model) -> int:
    """Returns the number of trainable parameters; moving averages are none."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def multiply_accumulates(model: keras.Model) -> int:
    """Returns the multiply-accumulates of one forward pass of one input, padding included.

    Counts convolutions, transposed convolutions and dense layers; a multiply-accumulate is two
    floating-point operations. A convolution multiplies its whole kernel once per output position,
    a transposed one once per input position.

    Args:
        model: A model of fixed input size.

    Raises:
        ValueError: A size of the model is not fixed.
    """
    return sum(_of_layer(layer) for layer in model.layers)


def _of_layer(layer: Any) -> int:
    import keras

    layers = keras.layers
    if isinstance(layer, layers.Conv1D | layers.Conv2D | layers.Conv3D | layers.Dense):
        positions = _positions(layer.output.shape, layer.name)
    elif isinstance(layer, layers.Conv2DTranspose | layers.Conv3DTranspose):
        positions = _positions(layer.input.shape, layer.name)
    else:
        return 0
    return positions * math.prod(layer.kernel.shape)


def _positions(shape: tuple[int | None, ...], name: str) -> int:
    sizes = shape[1:-1]
    if any(size is None for size in sizes):
        raise ValueError(
            f"Multiply-accumulates need a model built for a fixed input size. "
            f"Received: layer {name!r} with spatial sizes {sizes}."
        )
    return math.prod(size for size in sizes if size is not None)
