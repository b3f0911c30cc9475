"""Trainable parameters and costs of the published implementations, to compare ours with.

`references.json` lists what the implementations of others have, computed by running them, or
stated in the paper. An entry holds the request in our terms: architecture, dimensions, channels,
classes and the options that are not the default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import architectures
from architectures import checks

# They change what a network computes while it trains, or how it starts, but not its size.
WITHOUT_SIZE = ("dropout", "weights")
# They change how often the weights are used, but not how many there are.
WITHOUT_PARAMETERS = ("output_stride", "padding")


@dataclass(frozen=True)
class Reference:
    """One network of others.

    Attributes:
        architecture: Our name of it.
        dims: Number of spatial dimensions.
        channels: Channels of the input.
        classes: Classes with the background.
        options: Options that are not the default, as `architectures.build` takes them.
        trainable_params: Trainable parameters; moving averages are none.
        source: The implementation or paper.
        gmacs: Billions of multiply-accumulates per input of `size`, or None if not known.
        size: Spatial sizes of the input for `gmacs`.
        headline: Whether it is among those that stand for the architecture.
    """

    architecture: str
    dims: int
    channels: int
    classes: int
    options: Mapping[str, Any]
    trainable_params: int
    source: str
    gmacs: float | None = None
    size: tuple[int, ...] | None = None
    headline: bool = False


@cache
def references() -> tuple[Reference, ...]:
    """Returns all references, by architecture."""
    text = Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = [
        {k: checks.as_tuples(v) for k, v in entry.items()} for entry in json.loads(text)
    ]
    return tuple(Reference(**entry) for entry in entries)


def find(
    name: str, dims: int, channels: int, classes: int, options: Mapping[str, object]
) -> Reference | None:
    """Returns the reference for a request, or None if nobody published that network.

    Does not import Keras. Spelling out a default, or leaving it out, is the same request. Where
    only an option differs that costs no parameters, the reference is returned without its cost.

    Raises:
        ArchitectureError: Unknown architecture or option, or a value of the wrong type.
    """
    wanted = _settled(name, dims, options)
    same = (name, dims, channels, classes)
    alike = None
    for reference in references():
        if same != (
            reference.architecture,
            reference.dims,
            reference.channels,
            reference.classes,
        ):
            continue
        settled = _settled(name, dims, reference.options)
        if settled == wanted:
            return reference
        differing = {key for key in wanted if wanted[key] != settled[key]}
        if differing <= set(WITHOUT_PARAMETERS):
            alike = replace(reference, gmacs=None, size=None)
    return alike


def _settled(name: str, dims: int, options: Mapping[str, object]) -> dict[str, object]:
    """Returns all options with their values, None replaced by what it stands for."""
    given = architectures.check_options(name, options)
    module = import_module(architectures.describe(name).module)
    full = checks.option_defaults(module.build) | given
    meant = module.defaults(dims, **full) if hasattr(module, "defaults") else {}
    full = {key: meant.get(key) if value is None else value for key, value in full.items()}
    if "strides" in full:
        # Strides of 2 everywhere are the default, so they are the same as none.
        full["strides"] = strides = module.pooling(dims, **given)
        full["depth"] = len(strides)
    return {key: value for key, value in full.items() if key not in WITHOUT_SIZE}
