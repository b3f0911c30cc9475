"""Layers that Keras lacks, registered so that a saved model finds them again."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

PACKAGE = "cardiac_segmentation_benchmark"


@keras.saving.register_keras_serializable(package=PACKAGE)
class LinearUpsampling(keras.layers.Layer):
    """Enlarges by whole factors with linear interpolation along every spatial axis.

    Pixel centres lie at half-integer positions (`align_corners=False`), the edge is repeated.
    Being separable, it covers 2 and 3 dimensions with one rule: along an axis enlarged by `r`,
    the output of phase `p` lies `(p + 0.5) / r - 0.5` beside its source, hence is a fixed mix of
    two neighbours.

    Args:
        factors: One integer per spatial axis.
    """

    def __init__(self, factors: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factors = tuple(factors)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        spatial = [
            None if size is None else size * factor
            for size, factor in zip(input_shape[1:-1], self.factors, strict=True)
        ]
        return (input_shape[0], *spatial, input_shape[-1])

    def call(self, inputs: Any) -> Any:
        x = inputs
        for axis, factor in enumerate(self.factors, start=1):
            if factor > 1:
                x = self._enlarge(x, axis, factor)
        return x

    def _enlarge(self, x: Any, axis: int, factor: int) -> Any:
        shape = list(ops.shape(x))
        size = shape[axis]
        whole: list[slice] = [slice(None)] * len(shape)

        def part(start: Any, stop: Any) -> Any:
            window = list(whole)
            window[axis] = slice(start, stop)
            return x[tuple(window)]

        before = ops.concatenate([part(0, 1), part(0, size - 1)], axis=axis)
        after = ops.concatenate([part(1, size), part(size - 1, size)], axis=axis)
        phases = []
        for phase in range(factor):
            offset = (phase + 0.5) / factor - 0.5
            neighbour = before if offset < 0 else after
            weight = math.fabs(offset)
            phases.append(x if weight == 0 else x * (1 - weight) + neighbour * weight)
        stacked = ops.stack(phases, axis=axis + 1)
        return ops.reshape(stacked, (*shape[:axis], size * factor, *shape[axis + 1 :]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factors": list(self.factors)}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Spread(keras.layers.Layer):
    """Repeats a `(batch, 1, ..., 1, channels)` tensor over the grid of a second tensor."""

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> Any:
        pooled, like = input_shape
        return (*like[:-1], pooled[-1])

    def call(self, inputs: list[Any]) -> Any:
        pooled, like = inputs
        return ops.broadcast_to(pooled, (*ops.shape(like)[:-1], ops.shape(pooled)[-1]))
