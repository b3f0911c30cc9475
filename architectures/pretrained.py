"""ImageNet weights for the residual network below DeepLabv3, from a local file.

The file holds a ResNet under torchvision's names (`conv1.weight`, `layer1.0.bn1.running_mean`,
...), as timm and torchvision publish them: `.safetensors`, `.npz`, or `.pth`/`.pt` where PyTorch
is installed. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from architectures.checks import ArchitectureError

if TYPE_CHECKING:
    import keras

Arrays = Mapping[str, np.ndarray]
FORMATS = (".safetensors", ".npz", ".pth", ".pt")
NUMPY_TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8", "I32": "<i4"}
NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def load_resnet(model: keras.Model, path: str | Path) -> None:
    """Fills the layers of the residual network in `model` from a file.

    A stem of other than three channels gets the sum of the three colours' kernels, spread evenly:
    a grey image then excites it as its copy in three colours would have.

    Args:
        model: A DeepLabv3 built by this project.
        path: The weight file.

    Raises:
        ArchitectureError: The file is of another format, lacks a weight, or has one of another
            shape; nothing is changed then.
    """
    arrays = read_arrays(path)
    values: list[tuple[Any, np.ndarray]] = []
    for layer in model.layers:
        source = source_name(layer.name)
        if source is None:
            continue
        for variable in layer.weights:
            name = f"{source}.{NORM.get(variable.name, 'weight')}"
            if name not in arrays:
                raise ArchitectureError(
                    f"Weight file {path} must hold a ResNet of the model's backbone under "
                    f"torchvision's names. Missing: {name!r} (for layer {layer.name!r}). "
                    "Check the option 'backbone'."
                )
            value = _fitted(name, arrays[name], tuple(variable.shape))
            if value.shape != tuple(variable.shape):
                raise ArchitectureError(
                    f"Weight {name!r} of {path} must have the shape {tuple(variable.shape)} for "
                    f"layer {layer.name!r}. Received: {value.shape}. Check the options 'backbone' "
                    "and 'filters' (64)."
                )
            values.append((variable, value))
    for variable, value in values:
        variable.assign(value)


def source_name(layer: str) -> str | None:
    """Returns torchvision's name of one of our layers, or None if it is not of the ResNet."""
    if layer in ("stem_conv", "stem_bn"):
        return "conv1" if layer == "stem_conv" else "bn1"
    found = re.fullmatch(r"stage(\d)_block(\d+)_(\d|skip)_(conv|bn)", layer)
    if found is None:
        return None
    stage, block, part, kind = found.groups()
    prefix = f"layer{stage}.{int(block) - 1}"
    if part == "skip":
        return f"{prefix}.downsample.{0 if kind == 'conv' else 1}"
    return f"{prefix}.{kind}{part}"


def _fitted(name: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if value.ndim != 4:
        return value
    value = value.transpose(2, 3, 1, 0)  # (out, in, y, x) to (y, x, in, out)
    if name == "conv1.weight" and value.shape[2] == 3 != shape[2]:
        total = value.sum(axis=2, keepdims=True)
        value = np.repeat(total / shape[2], shape[2], axis=2)
    return value


def read_arrays(path: str | Path) -> Arrays:
    """Returns the named arrays of a weight file.

    Raises:
        ArchitectureError: The file cannot be read as one of the known formats.
    """
    path = Path(path).expanduser()
    readers = {".safetensors": _read_safetensors, ".npz": _read_npz}
    if path.suffix not in FORMATS:
        raise ArchitectureError(
            f"Weight file must be one of {', '.join(FORMATS)}. Received: {path}."
        )
    try:
        arrays = readers.get(path.suffix, _read_torch)(path)
    except (OSError, ValueError, KeyError) as error:
        raise ArchitectureError(
            f"Weight file {path} must be a whole {path.suffix} file. Received: {error}."
        ) from error
    # Segmentation checkpoints hold the ResNet below a prefix.
    return {re.sub(r"^(backbone|encoder)\.", "", name): value for name, value in arrays.items()}


def _read_npz(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def _read_safetensors(path: Path) -> Arrays:
    """Reads the published layout: 8 bytes of header length, a JSON header, then raw arrays."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        flat = np.frombuffer(data[start + first : start + last], NUMPY_TYPES[entry["dtype"]])
        arrays[name] = flat.reshape(entry["shape"])
    return arrays


def _read_torch(path: Path) -> Arrays:
    try:
        import torch
    except ImportError as error:
        raise ArchitectureError(
            f"Weight file {path} needs PyTorch to be read, which is not installed. Install the "
            "extra 'torch', or convert the file to .safetensors or .npz."
        ) from error
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.items()}
