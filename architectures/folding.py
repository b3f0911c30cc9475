"""The same network for prediction alone: normalisation is folded into the convolutions.

With fixed statistics a normalisation multiplies and shifts every channel, which the convolution
before it can do as well: `k' = k · γ / √(σ² + ε)`, `b' = (b - μ) · γ / √(σ² + ε) + β`. Two passes
over the features of every layer are saved, and the backend can fuse bias and activation into the
convolution.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class Folded:
    """A copy of a network whose normalisations are parts of its convolutions.

    Its weights are those that the network had at the last `refresh`; a network that computes in
    half precision is copied in half precision, so that no weight is converted at every call.

    Args:
        network: A functional model.

    Attributes:
        model: The copy: takes and gives what the network does.
    """

    def __init__(self, network: keras.Model) -> None:
        self._network = network
        self._pairs = _foldable(network)
        folded = {norm.name for norm in self._pairs.values()}

        def copy(layer: Any) -> Any:
            config = layer.get_config()
            if "kernel_initializer" in config:
                config["kernel_initializer"] = "zeros"  # nobody draws what is overwritten at once
            if layer.name in self._pairs:
                config["use_bias"] = True
                config["dtype"] = layer.compute_dtype
            return type(layer).from_config(config)

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            return args[0] if layer.name in folded else layer(*args, **kwargs)

        # A view without the loss and the optimiser, which a copy cannot take over.
        outputs = network.outputs if len(network.outputs) > 1 else network.outputs[0]
        view = keras.Model(network.inputs[0], outputs)
        self.model = keras.models.clone_model(view, clone_function=copy, call_function=call)
        self.model.jit_compile = network.jit_compile
        self.refresh()

    def predict_on_batch(self, images: Any) -> Any:
        """Returns what the network's method of this name would, up to rounding."""
        return self.model.predict_on_batch(images)

    def refresh(self) -> None:
        """Take over the network's present weights."""
        for copy in self.model.layers:
            if not copy.variables:
                continue
            layer = self._network.get_layer(copy.name)
            norm = self._pairs.get(copy.name)
            values = layer.variables if norm is None else _fold(layer, norm)
            for mine, value in zip(copy.variables, values, strict=True):
                mine.assign(value)


def _foldable(network: keras.Model) -> dict[str, Any]:
    """Returns the normalisation of every convolution that has one right behind it, by name."""
    convolutions = (
        keras.layers.Conv2D,
        keras.layers.Conv3D,
        keras.layers.Conv2DTranspose,
        keras.layers.Conv3DTranspose,
    )
    pairs = {}
    for layer in network.layers:
        if not isinstance(layer, keras.layers.BatchNormalization) or layer.renorm:
            continue
        before = layer.input._keras_history.operation
        linear = isinstance(before, convolutions) and before.activation is keras.activations.linear
        if linear and len(before.output._keras_history.operation._outbound_nodes) == 1:
            pairs[before.name] = layer
    return pairs


def _fold(layer: Any, norm: Any) -> tuple[Any, Any]:
    """Returns kernel and bias of a convolution that is normalised by the moving statistics."""
    scale = ops.rsqrt(norm.moving_variance + norm.epsilon)
    if norm.scale:
        scale *= norm.gamma
    transposed = isinstance(layer, keras.layers.Conv2DTranspose | keras.layers.Conv3DTranspose)
    kernel = layer.kernel * (ops.expand_dims(scale, -1) if transposed else scale)
    bias = -norm.moving_mean if layer.bias is None else layer.bias - norm.moving_mean
    bias *= scale
    return kernel, bias + norm.beta if norm.center else bias
