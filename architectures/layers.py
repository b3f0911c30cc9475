"""Layers that Keras lacks, registered so that a saved model finds them again."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from architectures import kernels

PACKAGE = "cardiac_segmentation_benchmark"
WIDE = 6  # From this dilation on, the separate taps are faster than the convolution of a CPU.

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package=PACKAGE)
class LinearUpsampling(keras.layers.Layer):
    """Enlarges by whole factors with linear interpolation along every spatial axis.

    Pixel centres lie at half-integer positions (`align_corners=False`) and the edge is repeated.
    Interpolation is separable, so that a volume is enlarged by two resizings of images: the last
    two axes first, then the first one with the other two flattened.

    Args:
        factors: One integer per spatial axis, 2 or 3 of them.
    """

    def __init__(self, factors: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factors = tuple(factors)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input's shape with every spatial size times its factor."""
        spatial = [
            None if size is None else size * factor
            for size, factor in zip(input_shape[1:-1], self.factors, strict=True)
        ]
        return (input_shape[0], *spatial, input_shape[-1])

    def call(self, inputs: Any) -> Any:
        """Enlarges `inputs` of shape `(batch, *spatial, channels)`."""
        *_, height, width, channels = ops.shape(inputs)
        rows, columns = self.factors[-2:]
        if len(self.factors) == 2:
            return _resize(inputs, height * rows, width * columns)
        depth, planes = ops.shape(inputs)[1], self.factors[0]
        x = inputs
        if rows > 1 or columns > 1:
            x = ops.reshape(x, (-1, height, width, channels))
            x = _resize(x, height * rows, width * columns)
        height, width = height * rows, width * columns
        if planes > 1:
            x = ops.reshape(x, (-1, depth, height * width, channels))
            x = _resize(x, depth * planes, height * width)
        return ops.reshape(x, (-1, depth * planes, height, width, channels))

    def get_config(self) -> dict[str, Any]:
        """Returns what the constructor needs to make the layer again."""
        return {**super().get_config(), "factors": list(self.factors)}


def _resize(images: Any, height: Any, width: Any) -> Any:
    return ops.image.resize(
        images, (height, width), interpolation="bilinear", data_format="channels_last"
    )


@keras.saving.register_keras_serializable(package=PACKAGE)
class DilatedConv2D(keras.layers.Conv2D):
    """A 3×3 convolution with `padding="same"` for dilations that are wide for their map.

    Its result is that of `Conv2D`. With a dilation of 12 on a map of 32×32, almost half of the
    products are with padding; with 36, eight of nine. The library kernels of a CPU compute them
    all, and slowly. Here each tap is a 1×1 convolution of the part of the map that it can see,
    and a tap that sees nothing is left out. Where the size is not known the layer is a `Conv2D`.
    """

    def call(self, inputs: Any) -> Any:
        """Convolves `inputs` of shape `(batch, height, width, channels)`."""
        height, width = inputs.shape[1:3]
        step = self.dilation_rate[0]
        if height is None or width is None or step < WIDE:
            return super().call(inputs)
        batch, channels = ops.shape(inputs)[0], inputs.shape[-1]
        # All taps at once: the gradient then puts them together in one pass over the kernel.
        taps = ops.unstack(ops.reshape(self.kernel, (9, 1, 1, channels, self.filters)))
        total = None
        for row in (-step, 0, step):
            for column in (-step, 0, step):
                if abs(row) >= height or abs(column) >= width:
                    continue
                # Not by indices: TensorFlow's gradient of that is ten times as slow.
                seen = ops.slice(
                    inputs,
                    (0, max(row, 0), max(column, 0), 0),
                    (batch, height - abs(row), width - abs(column), channels),
                )
                tap = taps[3 * (row // step + 1) + column // step + 1]
                part = ops.conv(seen, tap, data_format="channels_last")
                if row or column:
                    part = ops.pad(
                        part,
                        [
                            (0, 0),
                            (max(-row, 0), max(row, 0)),
                            (max(-column, 0), max(column, 0)),
                            (0, 0),
                        ],
                    )
                total = part if total is None else total + part
        return total if self.bias is None else total + self.bias


@keras.saving.register_keras_serializable(package=PACKAGE)
class Conv3D(keras.layers.Conv3D):
    """Keras' layer of this name with the kernels that suit a processor (`kernels.conv3d`)."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolves `inputs` of shape `(batch, depth, height, width, channels)`."""
        plain = {*self.strides, *self.dilation_rate, self.groups} == {1}
        odd = all(size % 2 for size in self.kernel_size) and max(self.kernel_size) > 1
        here = kernels.on_processor() and kernels.usable(inputs.dtype)
        if not (plain and odd and self.padding == "same" and here):
            return super().convolution_op(inputs, kernel)
        return kernels.conv3d(inputs, ops.convert_to_tensor(kernel))


@keras.saving.register_keras_serializable(package=PACKAGE)
class Spread(keras.layers.Layer):
    """Repeats a `(batch, 1, ..., 1, channels)` tensor over the grid of a second tensor."""

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        """Returns the second input's shape with the first one's channels."""
        pooled, like = input_shape
        return (*like[:-1], pooled[-1])

    def call(self, inputs: list[Any]) -> Any:
        """Repeats the first of the two inputs over the grid of the second."""
        pooled, like = inputs
        return ops.broadcast_to(pooled, (*ops.shape(like)[:-1], ops.shape(pooled)[-1]))


@keras.saving.register_keras_serializable(package=PACKAGE)
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer of this name, computed by TensorFlow's fused kernel while training.

    Keras composes it of a dozen passes over the features in float32, and as many backward, which
    were a fifth of a training step of U-Net. Values, moving statistics (the biased variance) and
    weights are those of Keras, which still computes what the kernel does not know.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalises `inputs` of shape `(batch, *spatial, channels)`."""
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        plain = self.center and self.scale and not (self.renorm or self.synchronized)
        last = self.axis in (-1, len(inputs.shape) - 1) and len(inputs.shape) in (4, 5)
        batch = training is True and self.trainable
        if not (batch and plain and last and mask is None and kernels.usable(dtype)):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = kernels.normalize_batch(
            inputs, self.gamma, self.beta, epsilon=self.epsilon
        )
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)
