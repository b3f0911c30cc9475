"""The formats in which a network leaves: written, and loaded again as a stranger would.

Keras converts to ONNX by tf2onnx, whose use of names that NumPy 2 lacks it mends itself
(keras/src/export/tf2onnx_lib.py; tf2onnx issue 2373).
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError

Array = npt.NDArray[np.float32]
Apply = Callable[[Array], Array]

INPUT = "image"
OUTPUT = "logits"
# The newest operator set for which tf2onnx 1.17 converts everything that the networks use.
OPSET = 18


@dataclass(frozen=True)
class Format:
    """One of the formats.

    Attributes:
        name: As the user calls it.
        suffix: How its files' names end; empty where it is a folder.
        packages: What must be installed for it besides what the project always needs.
        tensorflow_only: Whether Keras' backend must be TensorFlow.
        write: Writes a network, with properties for those formats that can hold some.
        load: Loads a file again, as a function from images to logits.
    """

    name: str
    suffix: str
    packages: tuple[str, ...]
    tensorflow_only: bool
    write: Callable[[Any, Path, Mapping[str, Any]], None]
    load: Callable[[Path], Apply]


def finest(network: Any) -> Any:
    """Return the network with its first output alone: deep supervision is for training."""
    import keras

    if len(network.outputs) == 1:
        return network
    return keras.Model(network.inputs[0], network.outputs[0], name=network.name)


def own_layers(network: Any) -> list[str]:
    """Return the names of the layers that Keras finds only after `import architectures.layers`."""
    import keras

    names = {keras.saving.get_registered_name(type(layer)) for layer in network.layers}
    return sorted(name.partition(">")[2] for name in names if ">" in name)


def apply(network: Any) -> Apply:
    """Return a Keras model as a function from images to logits, as in inference."""
    import keras

    def call(images: Array) -> Array:
        return np.asarray(keras.ops.convert_to_numpy(network(images, training=False)), np.float32)

    return call


def _write_keras(network: Any, path: Path, properties: Mapping[str, Any]) -> None:
    network.save(path)


def _load_keras(path: Path) -> Apply:
    import keras

    import architectures.layers  # noqa: F401  registers our layers

    return apply(keras.saving.load_model(path, compile=False))


def _write_savedmodel(network: Any, path: Path, properties: Mapping[str, Any]) -> None:
    _named(network).export(path, format="tf_saved_model", verbose=False)


def _load_savedmodel(path: Path) -> Apply:
    import keras

    # Loads by `tf.saved_model.load` and calls the signature, whose only argument is the image.
    layer = keras.layers.TFSMLayer(path, call_endpoint="serving_default")
    return lambda images: np.asarray(layer(images)[OUTPUT], np.float32)


def _write_onnx(network: Any, path: Path, properties: Mapping[str, Any]) -> None:
    import onnx

    named = _named(network)
    with warnings.catch_warnings():
        # Keras asks NumPy for names that it then adds.
        warnings.simplefilter("ignore", FutureWarning)
        named.export(path, format="onnx", verbose=False, opset_version=OPSET)
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(
        model,
        {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in properties.items()
        },
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _load_onnx(path: Path) -> Apply:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run([OUTPUT], {INPUT: images})[0], np.float32)


def _named(network: Any) -> Any:
    """Return the network with an output that has a name wherever it is loaded."""
    import keras

    named = keras.Model(network.inputs[0], {OUTPUT: network.outputs[0]}, name=network.name)
    # Keras refuses to convert what was never called.
    named(np.zeros((1, *network.input_shape[1:]), np.float32))
    return named


FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format("keras", ".keras", (), False, _write_keras, _load_keras),
        Format("savedmodel", "", (), True, _write_savedmodel, _load_savedmodel),
        Format("onnx", ".onnx", ("onnx", "onnxruntime", "tf2onnx"), True, _write_onnx, _load_onnx),
    )
}


def check_request(name: str, path: Path, backend: str) -> Format:
    """Return the format, or say why a run cannot be exported in it.

    Raises:
        BenchmarkError: A package is absent, the backend is another than the format needs, the file
            has another suffix, or something else lies where it should be written.
    """
    form = FORMATS[name]
    absent = [each for each in form.packages if importlib.util.find_spec(each) is None]
    if absent:
        raise BenchmarkError(
            f"--format {name}: expected {', '.join(form.packages)}, {', '.join(absent)} is not "
            f"installed. It belongs to the extra '{name}': uv sync --extra {name}."
        )
    if form.tensorflow_only and backend != "tensorflow":
        raise BenchmarkError(
            f"--format {name}: expected a run of the backend tensorflow, received one of "
            f"{backend}. --format keras works with every backend."
        )
    if path.suffix != form.suffix and form.suffix:
        raise BenchmarkError(
            f"-o {path}: expected a name that ends with {form.suffix} for --format {name}."
        )
    if not form.suffix and path.suffix in {each.suffix for each in FORMATS.values() if each.suffix}:
        raise BenchmarkError(
            f"-o {path}: expected the name of a folder for --format {name}, not of a file "
            f"{path.suffix}."
        )
    if form.suffix and path.is_dir():
        raise BenchmarkError(f"-o {path}: expected a file to write, found a folder.")
    if not form.suffix and path.exists() and not (path / "saved_model.pb").is_file():
        raise BenchmarkError(
            f"-o {path}: expected nothing there, or a SavedModel to replace, found other files. "
            "Choose another name."
        )
    return form
