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

from architectures.layers import LinearUpsampling

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
            without one always do.
        padding: `"same"` or `"valid"`.
        initializer: Initialiser of the convolutions; defaults to He's normal distribution.
    """

    dims: int
    normalization: Literal["batch", "none"] = "batch"
    activation: Literal["relu", "elu", "prelu"] = "relu"
    bias: bool = False
    padding: Literal["same", "valid"] = "same"
    initializer: str = "he_normal"

    @property
    def biased(self) -> bool:
        """Whether the convolutions of a unit have biases."""
        return self.bias or self.normalization == "none"

    def _layer(self, name: str) -> Any:
        return getattr(keras.layers, f"{name}{self.dims}D")

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
        initializer: Any = None,
    ) -> Tensor:
        """Applies one convolution."""
        return self._layer("Conv")(
            filters,
            kernel,
            strides=stride,
            dilation_rate=dilation,
            use_bias=bias,
            padding=padding or self.padding,
            kernel_initializer=initializer or self.initializer,
            name=name,
        )(x)

    def norm(self, x: Tensor, *, name: str) -> Tensor:
        """Applies the normalisation, if there is one."""
        if self.normalization == "none":
            return x
        return keras.layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=name)(x)

    def act(self, x: Tensor, *, name: str) -> Tensor:
        """Applies the activation."""
        if self.activation == "prelu":
            # Without shared axes Keras learns one slope per pixel and fixes the input size.
            return keras.layers.PReLU(
                alpha_initializer=keras.initializers.Constant(PRELU_START),
                shared_axes=list(range(1, self.dims + 1)),
                name=name,
            )(x)
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
        initializer: Any = None,
    ) -> Tensor:
        """Applies convolution, normalisation and activation, named `<name>_conv`, `_bn`, `_act`."""
        x = self.conv(
            x,
            filters,
            kernel,
            stride=stride,
            dilation=dilation,
            bias=self.biased,
            padding=padding,
            initializer=initializer,
            name=f"{name}_conv",
        )
        return self.act(self.norm(x, name=f"{name}_bn"), name=f"{name}_act")

    def pool(
        self, x: Tensor, window: Size, *, name: str, stride: Size | None = None
    ) -> Tensor:
        """Takes the maximum over windows, which follow each other unless a stride is given."""
        return self._layer("MaxPooling")(window, stride, name=name)(x)

    def up_conv(
        self, x: Tensor, filters: int, stride: Sequence[int], *, name: str, bias: bool = True
    ) -> Tensor:
        """Applies a transposed convolution whose kernel is its stride.

        Each output is reached by one tap, so the variance of He's rule counts the input channels
        alone; Keras' `he_normal` would count the output channels times the kernel.
        """
        layer = getattr(keras.layers, f"Conv{self.dims}DTranspose")
        deviation = math.sqrt(2 / x.shape[-1])
        return layer(
            filters,
            tuple(stride),
            strides=tuple(stride),
            use_bias=bias,
            kernel_initializer=keras.initializers.RandomNormal(stddev=deviation),
            name=name,
        )(x)

    def unit_strided(self, x: Tensor, filters: int, stride: Sequence[int], *, name: str) -> Tensor:
        """Applies a 3×3 unit with a stride, padded by one on both sides as PyTorch does.

        Keras' `"same"` would pad the far side alone and so look half a pixel elsewhere.
        """
        x = self.pad(x, 1, name=f"{name}_pad")
        return self.unit(x, filters, 3, stride=stride, padding="valid", name=name)

    def pad(self, x: Tensor, amount: int, *, name: str) -> Tensor:
        """Adds `amount` zeros on both sides of every axis."""
        return self._layer("ZeroPadding")(amount, name=name)(x)

    def up_unit(self, x: Tensor, filters: int, stride: Sequence[int], *, name: str) -> Tensor:
        """Applies a 3×3 transposed convolution with a stride, normalisation and activation.

        Aligned as PyTorch's `padding=1, output_padding=stride - 1`: the full result without its
        first row.
        """
        layer = getattr(keras.layers, f"Conv{self.dims}DTranspose")
        taps = math.prod(3 / s for s in stride)
        x = layer(
            filters,
            3,
            strides=tuple(stride),
            padding="valid",
            kernel_initializer=keras.initializers.RandomNormal(
                stddev=math.sqrt(2 / (taps * x.shape[-1]))
            ),
            name=f"{name}_conv",
        )(x)
        # The full length is (n - 1) * stride + 3; what stays is n * stride, from the second on.
        excess = [(1, 2 - s) for s in stride]
        x = self._layer("Cropping")(excess, name=f"{name}_crop")(x)
        return self.act(self.norm(x, name=f"{name}_bn"), name=f"{name}_act")

    def instance_prelu(self, x: Tensor, *, name: str) -> Tensor:
        """Applies instance normalisation without weights and a PReLU of a single slope."""
        x = keras.layers.GroupNormalization(
            groups=-1, epsilon=EPSILON, center=False, scale=False, name=f"{name}_in"
        )(x)
        return keras.layers.PReLU(
            alpha_initializer=keras.initializers.Constant(PRELU_START),
            shared_axes=list(range(1, self.dims + 2)),
            name=f"{name}_act",
        )(x)

    def enlarge(self, x: Tensor, factors: Sequence[int], *, name: str) -> Tensor:
        """Enlarges with linear interpolation (pixel centres at half-integers)."""
        if all(factor == 1 for factor in factors):
            return x
        return LinearUpsampling(tuple(factors), name=name)(x)

    def repeat(self, x: Tensor, factors: Sequence[int], *, name: str) -> Tensor:
        """Enlarges by repeating the nearest value."""
        return self._layer("UpSampling")(tuple(factors), name=name)(x)

    def concat(self, tensors: Sequence[Tensor], *, name: str) -> Tensor:
        """Concatenates along the channels."""
        return keras.layers.Concatenate(name=name)(list(tensors))

    def crop(self, x: Tensor, amounts: Sequence[int], *, name: str) -> Tensor:
        """Cuts `amounts` off both sides of every axis."""
        if not any(amounts):
            return x
        return self._layer("Cropping")(tuple(amounts), name=name)(x)

    def logits(self, x: Tensor, *, name: str = "logits") -> Tensor:
        """Returns `x` as float32: a loss in half precision overflows and loses small classes."""
        return keras.layers.Activation("linear", dtype="float32", name=name)(x)
