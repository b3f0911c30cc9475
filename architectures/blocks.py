"""The blocks that the networks share, for 2 and 3 spatial dimensions.

A `Blocks` knows what stays the same through a whole network (dimensions, normalisation,
activation, padding, initialisation), so that a network's file states only what differs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras

from architectures.layers import (
    WIDE,
    BatchNormalization,
    Conv3D,
    DilatedConv2D,
    LinearUpsampling,
)

# PyTorch's momentum of 0.1 and epsilon of 1e-5, which every reference uses, in Keras' terms. The
# defaults of Keras (0.99 and 1e-3) need hundreds of steps until the moving statistics are usable.
MOMENTUM = 0.9
EPSILON = 1e-5
PRELU_START = 0.25  # He et al. 2015, section 2.1; also the default of Caffe and of PyTorch

Tensor = Any
Size = int | Sequence[int]


@dataclass(frozen=True)
class Blocks:
    """The blocks of one network; every method takes and returns Keras tensors.

    Attributes:
        dims: Number of spatial dimensions, 2 or 3.
        normalization: `"batch"` or `"none"`.
        activation: `"relu"`, `"elu"` or `"prelu"` (one slope per channel, shared over space).
        bias: Whether convolutions that are followed by a normalisation have a bias too. Those
            without a normalisation always do.
        padding: `"same"` or `"valid"`.
        fan: What the variance `2 / fan` of the initial weights counts (He et al. 2015,
            https://arxiv.org/abs/1502.01852): the connections into a unit, out of it, or the mean.
    """

    dims: int
    normalization: Literal["batch", "none"] = "batch"
    activation: Literal["relu", "elu", "prelu"] = "relu"
    bias: bool = False
    padding: Literal["same", "valid"] = "same"
    fan: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in"

    @property
    def biased(self) -> bool:
        """Whether the convolutions of a unit have biases."""
        return self.bias or self.normalization == "none"

    def _layer(self, name: str) -> Any:
        return getattr(keras.layers, name.format(dims=f"{self.dims}D"))

    def conv(
        self,
        x: Tensor,
        filters: int,
        kernel: Size = 3,
        *,
        name: str,
        stride: Size = 1,
        dilation: int = 1,
        bias: bool = True,
        padding: str | None = None,
    ) -> Tensor:
        """Applies one convolution."""
        if kernel == 1 and stride != 1:
            # The same numbers as a strided 1×1 convolution, whose gradient in TensorFlow 2.21
            # writes past its memory on CPUs where there are fewer than 16 channels.
            x, stride = self.pool(x, 1, stride=stride, name=f"{name}_pick"), 1
        layer = Conv3D if self.dims == 3 else keras.layers.Conv2D
        if self.dims == 2 and kernel == 3 and dilation >= WIDE:
            layer = DilatedConv2D
        return layer(
            filters,
            kernel,
            strides=stride,
            dilation_rate=dilation,
            use_bias=bias,
            padding=padding or self.padding,
            kernel_initializer=keras.initializers.VarianceScaling(
                2.0, mode=self.fan, distribution="untruncated_normal"
            ),
            name=name,
        )(x)

    def norm(self, x: Tensor, *, name: str) -> Tensor:
        """Applies the normalisation, if there is one."""
        if self.normalization == "none":
            return x
        return BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=name)(x)

    def act(self, x: Tensor, *, name: str) -> Tensor:
        """Applies the activation."""
        if self.activation == "prelu":
            # Without shared axes Keras learns one slope per pixel and fixes the input size.
            return self._prelu(x, range(1, self.dims + 1), name)
        return keras.layers.Activation(self.activation, name=name)(x)

    def unit(
        self,
        x: Tensor,
        filters: int,
        kernel: Size = 3,
        *,
        name: str,
        stride: Size = 1,
        dilation: int = 1,
        padding: str | None = None,
    ) -> Tensor:
        """Applies convolution, normalisation and activation: `<name>_conv`, `_bn`, `_act`."""
        x = self.conv(
            x,
            filters,
            kernel,
            stride=stride,
            dilation=dilation,
            bias=self.biased,
            padding=padding,
            name=f"{name}_conv",
        )
        return self.act(self.norm(x, name=f"{name}_bn"), name=f"{name}_act")

    def strided_unit(
        self, x: Tensor, filters: int, kernel: int, stride: Size, *, name: str
    ) -> Tensor:
        """Applies a strided unit, padded by half the kernel on both sides as PyTorch does.

        Keras' `"same"` pads the far side alone where it can, and so looks half a pixel elsewhere.
        """
        x = self.pad(x, kernel // 2, name=f"{name}_pad")
        return self.unit(x, filters, kernel, stride=stride, padding="valid", name=name)

    def up_conv(
        self, x: Tensor, filters: int, stride: Sequence[int], *, name: str, bias: bool = True
    ) -> Tensor:
        """Applies a transposed convolution whose kernel is its stride."""
        return self._transposed(x, filters, tuple(stride), stride, bias, name)

    def up_unit(self, x: Tensor, filters: int, stride: Sequence[int], *, name: str) -> Tensor:
        """Applies a 3×3 transposed convolution with a stride, normalisation and activation.

        Aligned as PyTorch's `padding=1, output_padding=stride - 1`: of the full result, which is
        `(size - 1) * stride + 3` long, `size * stride` stay, from the second on.
        """
        x = self._transposed(x, filters, (3,) * self.dims, stride, True, f"{name}_conv")
        excess = tuple((1, 2 - s) for s in stride)
        x = self._layer("Cropping{dims}")(excess, name=f"{name}_crop")(x)
        return self.act(self.norm(x, name=f"{name}_bn"), name=f"{name}_act")

    def _transposed(
        self,
        x: Tensor,
        filters: int,
        kernel: tuple[int, ...],
        stride: Sequence[int],
        bias: bool,
        name: str,
    ) -> Tensor:
        # An output is reached by kernel / stride taps per axis, from the input's channels. The
        # fans that Keras computes count the output's channels times the whole kernel.
        taps = math.prod(k / s for k, s in zip(kernel, stride, strict=True))
        deviation = math.sqrt(2 / (taps * x.shape[-1]))
        return self._layer("Conv{dims}Transpose")(
            filters,
            kernel,
            strides=tuple(stride),
            padding="valid",
            use_bias=bias,
            kernel_initializer=keras.initializers.RandomNormal(stddev=deviation),
            name=name,
        )(x)

    def pool(self, x: Tensor, window: Size, *, name: str, stride: Size | None = None) -> Tensor:
        """Takes the maximum over windows, which follow each other unless a stride is given."""
        return self._layer("MaxPooling{dims}")(window, stride, name=name)(x)

    def enlarge(self, x: Tensor, factors: Sequence[int], *, name: str) -> Tensor:
        """Enlarges with linear interpolation (pixel centres at half-integers)."""
        if all(factor == 1 for factor in factors):
            return x
        return LinearUpsampling(tuple(factors), name=name)(x)

    def repeat(self, x: Tensor, factors: Sequence[int], *, name: str) -> Tensor:
        """Enlarges by repeating the nearest value."""
        return self._layer("UpSampling{dims}")(tuple(factors), name=name)(x)

    def pad(self, x: Tensor, amount: int, *, name: str) -> Tensor:
        """Adds `amount` zeros on both sides of every axis."""
        return self._layer("ZeroPadding{dims}")(amount, name=name)(x)

    def crop(self, x: Tensor, amounts: Sequence[int], *, name: str) -> Tensor:
        """Cuts `amounts` off both sides of every axis."""
        if not any(amounts):
            return x
        return self._layer("Cropping{dims}")(tuple(amounts), name=name)(x)

    def concat(self, tensors: Sequence[Tensor], *, name: str) -> Tensor:
        """Concatenates along the channels."""
        return keras.layers.Concatenate(name=name)(list(tensors))

    def add(self, tensors: Sequence[Tensor], *, name: str) -> Tensor:
        """Adds element by element."""
        return keras.layers.Add(name=name)(list(tensors))

    def dropout(self, x: Tensor, rate: float, *, name: str, channels: bool = False) -> Tensor:
        """Drops single values, or whole channels, while training; nothing at a rate of 0."""
        if not rate:
            return x
        layer = self._layer("SpatialDropout{dims}") if channels else keras.layers.Dropout
        return layer(rate, name=name)(x)

    def instance_prelu(self, x: Tensor, *, name: str) -> Tensor:
        """Applies instance normalisation without weights and a PReLU of a single slope."""
        x = keras.layers.GroupNormalization(
            groups=-1, epsilon=EPSILON, center=False, scale=False, name=f"{name}_in"
        )(x)
        return self._prelu(x, range(1, self.dims + 2), f"{name}_act")

    def _prelu(self, x: Tensor, shared: Sequence[int], name: str) -> Tensor:
        start = keras.initializers.Constant(PRELU_START)
        return keras.layers.PReLU(start, shared_axes=list(shared), name=name)(x)

    def logits(self, x: Tensor, *, name: str = "logits") -> Tensor:
        """Returns `x` as float32: a loss in half precision overflows and loses small classes."""
        return keras.layers.Activation("linear", dtype="float32", name=name)(x)

    def head(self, x: Tensor, classes: int, factors: Sequence[int], *, name: str) -> Tensor:
        """Applies a 1×1 convolution to classes, enlarges, and returns float32 logits."""
        x = self.conv(x, classes, 1, padding="valid", name=f"{name}_conv")
        if all(factor == 1 for factor in factors):
            return self.logits(x, name=name)
        # In float32 before it is interpolated, not after: between classes small steps decide.
        x = self.logits(x, name=f"{name}_float32")
        return LinearUpsampling(tuple(factors), dtype="float32", name=name)(x)
