"""The catalogue of architectures, readable without importing Keras.

To add one, write `architectures/<name>.py` with a function
`build(input_shape, classes, *, <typed keyword parameters>) -> keras.Model` that returns float32
logits, and add one line to `_CATALOGUE`. The module must not import Keras at its top, only inside
functions. Further functions of the module are used where they exist:

- `pooling(dims, **options)` returns the strides, by which inputs are padded and sizes checked;
- `verify(shape, **options)` refuses values that do not go together, before Keras is imported;
- `defaults(dims, **options)` says what options stand for that are None, to find the reference;
- `nominal_size(dims, **options)` gives the size at which costs are stated, if it is unusual.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from architectures import checks
from architectures.checks import ArchitectureError

if TYPE_CHECKING:
    import keras

__all__ = [
    "NAMES",
    "Architecture",
    "ArchitectureError",
    "build",
    "check",
    "check_options",
    "describe",
    "divisor",
    "nominal_shape",
    "pooling",
]


@dataclass(frozen=True)
class Architecture:
    """One line of the catalogue.

    Attributes:
        name: Name of the module below `architectures`, as used in experiments.
        title: Name for people.
        paper: Authors, year and address of the paper.
        dims: Numbers of spatial dimensions that `build` takes.
    """

    name: str
    title: str
    paper: str
    dims: tuple[int, ...] = (2, 3)

    @property
    def module(self) -> str:
        """Dotted name of the module that holds `build`."""
        return f"architectures.{self.name}"


_CATALOGUE = (
    Architecture("unet", "U-Net", "Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597"),
    Architecture(
        "attention_unet", "Attention U-Net", "Oktay et al. 2018, https://arxiv.org/abs/1804.03999"
    ),
    Architecture("vnet", "V-Net", "Milletari et al. 2016, https://arxiv.org/abs/1606.04797"),
    Architecture(
        "deeplabv3", "DeepLabv3", "Chen et al. 2017, https://arxiv.org/abs/1706.05587", dims=(2,)
    ),
)

NAMES: tuple[str, ...] = tuple(entry.name for entry in _CATALOGUE)


def describe(name: str) -> Architecture:
    """Returns the line of the catalogue for `name`.

    Raises:
        ArchitectureError: There is no such architecture.
    """
    for entry in _CATALOGUE:
        if entry.name == name:
            return entry
    raise ArchitectureError(
        f"There is no architecture {name!r}. Available: {', '.join(NAMES)}."
        f"{checks.suggestion(name, NAMES)}"
    )


def check_options(name: str, options: Mapping[str, object]) -> dict[str, object]:
    """Returns `options` (lists made tuples) if `name` knows them all and their types are right.

    Does not import Keras.

    Raises:
        ArchitectureError: Unknown architecture or option, or a value of the wrong type.
    """
    return checks.check_options(name, _builder(name), options)


def divisor(name: str, dims: int, options: Mapping[str, object]) -> tuple[int, ...]:
    """Returns what the spatial sizes of an input must be multiples of, one number per axis.

    Does not import Keras. A U-Net with `padding="valid"` has a rule of its own on top, which
    `check` applies.

    Raises:
        ArchitectureError: Unknown architecture, impossible dimensions or options.
    """
    strides = pooling(name, dims, options)
    return checks.total_stride(strides, dims) if strides else (1,) * dims


def pooling(name: str, dims: int, options: Mapping[str, object]) -> checks.Strides:
    """Returns the stride of every pooling, finest first; empty for a network without.

    Does not import Keras.

    Raises:
        ArchitectureError: Unknown architecture, impossible dimensions or options.
    """
    checked = check_options(name, options)
    _check_dims(name, dims)
    strides = getattr(_module(name), "pooling", None)
    return strides(dims, **checked) if strides else ()


def check(
    name: str, input_shape: Sequence[int | None], classes: int, options: Mapping[str, object]
) -> None:
    """Checks a whole request as far as that is possible without importing Keras.

    Args:
        name: Name of the architecture.
        input_shape: `(*spatial, channels)`, without the batch; a size may be None.
        classes: Number of classes with the background.
        options: Keyword options of the architecture's `build`.

    Raises:
        ArchitectureError: Anything in the request is not possible.
    """
    checked = check_options(name, options)
    shape = checks.check_input(input_shape, classes, describe(name).dims)
    verify = getattr(_module(name), "verify", None)
    if verify is not None:
        verify(shape, **checked)


def nominal_shape(
    name: str, dims: int, channels: int, options: Mapping[str, object]
) -> tuple[int, ...]:
    """Returns the input shape at which costs are stated, `(*spatial, channels)`.

    256² and 96³, as in the references, or the next larger sizes that the options allow; 572² for
    the U-Net without padding. Does not import Keras.

    Raises:
        ArchitectureError: Unknown architecture, impossible dimensions or options.
    """
    units = divisor(name, dims, options)
    special = getattr(_module(name), "nominal_size", None)
    sizes = special(dims, **check_options(name, options)) if special else None
    usual = {2: 256, 3: 96}[dims]
    return (*(sizes or [-(-usual // unit) * unit for unit in units]), channels)


def build(
    name: str, input_shape: Sequence[int | None], classes: int, **options: object
) -> keras.Model:
    """Builds the architecture `name` with freshly initialised weights.

    Args:
        name: Name of the architecture.
        input_shape: `(height, width, channels)` or `(depth, height, width, channels)`.
        classes: Number of classes with the background.
        **options: Keyword options of the architecture's own `build`.

    Returns:
        A model whose outputs are float32 logits `(batch, *spatial, classes)`.

    Raises:
        ArchitectureError: Anything in the request is not possible.
    """
    check(name, input_shape, classes, options)
    return _builder(name)(tuple(input_shape), classes, **check_options(name, options))


def _module(name: str) -> ModuleType:
    return importlib.import_module(describe(name).module)


def _builder(name: str) -> Callable[..., keras.Model]:
    return _module(name).build


def _check_dims(name: str, dims: int) -> None:
    allowed = describe(name).dims
    if dims not in allowed:
        raise ArchitectureError(
            f"Architecture {name!r} exists in {' or '.join(map(str, allowed))} spatial "
            f"dimensions. Received: dims={dims}."
        )
