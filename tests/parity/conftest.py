"""Copying weights from PyTorch modules into our networks, and comparing what comes out."""

import keras
import numpy as np
import pytest


def _ours(weight: np.ndarray) -> np.ndarray:
    """Returns a kernel (out, in, *space) as (*space, in, out).

    A transposed kernel is (in, out, *space) there and (*space, out, in) here: the same move.
    """
    return weight if weight.ndim < 3 else np.moveaxis(weight, (0, 1), (-1, -2))


def _copy(layer, module):
    """Copies the weights of one torch module into one Keras layer."""
    state = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    state.pop("num_batches_tracked", None)
    names = {
        "kernel": "weight",
        "bias": "bias",
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
        "alpha": "weight",
    }
    for variable in layer.weights:
        value = _ours(state.pop(names[variable.name]))
        variable.assign(np.reshape(value, variable.shape) if value.ndim == 1 else value)
    assert not state, f"{layer.name} left {sorted(state)} behind"


@pytest.fixture
def transfer():
    """Copies the modules of `{our layer's name: torch module}`; every layer must be named."""

    def copy(model, modules):
        layers = {layer.name for layer in model.layers if layer.weights}
        assert layers == set(modules), layers ^ set(modules)
        for name, module in modules.items():
            _copy(model.get_layer(name), module)

    return copy


@pytest.fixture
def relative_error(record_property):
    """Runs both on the same images; returns the largest difference over the largest value."""
    torch = pytest.importorskip("torch")

    def compare(model, reference, shape, seed=0):
        x = np.random.default_rng(seed).normal(size=shape).astype("float32")
        with torch.no_grad():
            theirs = reference(torch.from_numpy(np.moveaxis(x, -1, 1).copy()))
        theirs = np.moveaxis(theirs.numpy(), 1, -1)
        ours = keras.ops.convert_to_numpy(model(x, training=False))
        error = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
        record_property("relative_error", error)
        return error

    return compare


@pytest.fixture
def shaken():
    """Gives a torch module random normalisation weights, averages and slopes, in eval mode."""
    torch = pytest.importorskip("torch")

    def shake(module, seed=0):
        torch.manual_seed(seed)
        for part in module.modules():
            if hasattr(part, "running_mean") and part.running_mean is not None:
                torch.nn.init.uniform_(part.weight, 0.5, 1.5)
                torch.nn.init.normal_(part.bias, 0, 0.2)
                part.running_mean.normal_(0, 0.2)
                part.running_var.uniform_(0.5, 1.5)
            elif isinstance(part, torch.nn.PReLU):
                torch.nn.init.uniform_(part.weight, 0.05, 0.5)
        return module.eval()

    return shake
