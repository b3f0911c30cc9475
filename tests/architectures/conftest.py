"""Looking into a built network."""

import keras
import pytest


class Graph:
    """Answers which layers feed a layer."""

    def __init__(self, model):
        self.model = model

    def layer(self, name):
        return self.model.get_layer(name)

    def has(self, name):
        return any(layer.name == name for layer in self.model.layers)

    def named(self, part):
        return [layer.name for layer in self.model.layers if part in layer.name]

    def inputs(self, name):
        """Names of the layers whose outputs the layer takes, in their order."""
        tensors = self.layer(name)._inbound_nodes[0].input_tensors
        return [tensor._keras_history.operation.name for tensor in tensors]


@pytest.fixture
def graph():
    return Graph


@pytest.fixture
def empty_weights(monkeypatch):
    """Starts all weights at zero: drawing tens of millions of numbers takes most of a build."""

    def zeros(self, shape, dtype=None, **_):
        return keras.ops.zeros(shape, dtype)

    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)
    monkeypatch.setattr(keras.initializers.RandomNormal, "__call__", zeros)
