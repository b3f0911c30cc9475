"""What may be asked of an architecture, checked without importing Keras.

Three questions: is each option known and of the right type (read from the signature of the
module's `build`), do the values make sense together, and is the input large enough.
"""

from __future__ import annotations

import difflib
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Strides = tuple[tuple[int, ...], ...]


class ArchitectureError(ValueError):
    """An architecture was asked for something that it cannot be.

    The message names the parameter, what was received and what is allowed.
    """


def suggestion(received: object, allowed: Sequence[str]) -> str:
    """Returns `" Did you mean 'x'?"` for the nearest allowed name, or an empty string."""
    near = difflib.get_close_matches(str(received), allowed, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def option_types(build: Callable) -> dict[str, object]:
    """Returns the keyword-only options of `build` as `{name: type}`, in their written order."""
    parameters = inspect.signature(build).parameters.values()
    names = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    # The return type names keras, which is not imported here: only the options are resolved.
    options = {name: build.__annotations__[name] for name in names}
    probe = types.SimpleNamespace(__annotations__=options)
    return typing.get_type_hints(probe, globalns=build.__globals__)


def option_defaults(build: Callable) -> dict[str, object]:
    """Returns the keyword-only options of `build` as `{name: default}`."""
    parameters = inspect.signature(build).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def check_options(
    architecture: str, build: Callable, options: Mapping[str, object]
) -> dict[str, object]:
    """Returns `options` with lists turned into tuples, if all are known and well typed.

    Raises:
        ArchitectureError: An option is unknown or its value is not of the declared type.
    """
    allowed = option_types(build)
    checked = {}
    for name, value in options.items():
        if name not in allowed:
            raise ArchitectureError(
                f"Architecture {architecture!r} has no option {name!r}. "
                f"Allowed options: {', '.join(allowed)}.{suggestion(name, list(allowed))}"
            )
        value = as_tuples(value)
        if not matches(value, allowed[name]):
            choices = choices_of(allowed[name])
            raise ArchitectureError(
                f"Option {name!r} of architecture {architecture!r} must be "
                f"{describe_type(allowed[name])}. Received: {name}={value!r} "
                f"(of type {type(value).__name__}).{suggestion(value, choices)}"
            )
        checked[name] = value
    return checked


def as_tuples(value: object) -> object:
    """Returns `value` with all lists, at any depth, made tuples (YAML knows lists only)."""
    if isinstance(value, list | tuple):
        return tuple(as_tuples(item) for item in value)
    return value


def matches(value: object, expected: object) -> bool:
    """Tells whether `value` is of the type `expected`; `True` is no int, an int is a float."""
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin in (typing.Union, types.UnionType):
        return any(matches(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return any(type(value) is type(a) and value == a for a in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(matches(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(matches, value, arguments))
    if expected is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, typing.cast(type, expected))


def choices_of(expected: object) -> list[str]:
    """Returns the words that a `Literal` type, also inside a union, allows."""
    if typing.get_origin(expected) is typing.Literal:
        return [str(a) for a in typing.get_args(expected)]
    return [word for a in typing.get_args(expected) for word in choices_of(a)]


def describe_type(expected: object) -> str:
    """Returns a type in words: `one of 'batch', 'none'`, `an integer`, ..."""
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe_type(a) for a in arguments)
    if origin is typing.Literal:
        return "one of " + ", ".join(repr(a) for a in arguments)
    if expected == Strides:
        return "a list of per-level strides, such as [[1, 2, 2], [2, 2, 2]]"
    words = {int: "an integer", float: "a number", bool: "true or false", str: "a string"}
    words[type(None)] = "null"
    return words.get(typing.cast(type, expected), str(expected))


def check_input(
    input_shape: Sequence[int | None], classes: int, dims: Sequence[int] = (2, 3)
) -> tuple[int | None, ...]:
    """Returns the shape `(*spatial, channels)` as a tuple, if it and `classes` are possible.

    Raises:
        ArchitectureError: Wrong number of dimensions, no channel, or fewer than two classes.
    """
    shape = as_tuples(input_shape)
    if not isinstance(shape, tuple) or len(shape) - 1 not in dims:
        forms = {2: "(height, width, channels)", 3: "(depth, height, width, channels)"}
        raise ArchitectureError(
            f"`input_shape` must be {' or '.join(forms[d] for d in dims)}, without the batch. "
            f"Received: input_shape={shape}."
        )
    if not matches(shape[-1], int) or typing.cast(int, shape[-1]) < 1:
        raise ArchitectureError(
            f"`input_shape` must end in a channel count of at least 1. "
            f"Received: input_shape={shape}."
        )
    if any(size is not None and (not matches(size, int) or size < 1) for size in shape[:-1]):
        raise ArchitectureError(
            f"`input_shape` must hold positive integers, or None for a size that varies. "
            f"Received: input_shape={shape}."
        )
    if not matches(classes, int) or classes < 2:
        raise ArchitectureError(
            f"`classes` must be an integer of at least 2, since it counts the background. "
            f"Received: classes={classes!r}."
        )
    return shape


def check_positive(name: str, value: int) -> int:
    """Returns `value` if it is an integer of at least 1.

    Raises:
        ArchitectureError: It is not.
    """
    if not matches(value, int) or value < 1:
        raise ArchitectureError(
            f"Option {name!r} must be a positive integer. Received: {name}={value!r}."
        )
    return value


def check_rate(name: str, value: float) -> float:
    """Returns `value` if it is a dropout rate in [0, 1).

    Raises:
        ArchitectureError: It is not.
    """
    if not matches(value, float) or not 0 <= value < 1:
        raise ArchitectureError(
            f"Option {name!r} must be a rate of at least 0 and below 1. Received: {name}={value!r}."
        )
    return value


def check_file(name: str, value: str) -> Path:
    """Returns `value` as a path if a file lies there.

    Raises:
        ArchitectureError: There is none.
    """
    path = Path(value).expanduser()
    if not path.is_file():
        raise ArchitectureError(
            f"Option {name!r} must be the path of a file. Received: {name}={value!r}, where there "
            f"is no file (looked for {path.absolute()})."
        )
    return path


def pooling_strides(dims: int, depth: int, strides: Strides | None) -> Strides:
    """Returns the stride of every pooling, finest first: `strides` checked, or 2 everywhere.

    Args:
        dims: Number of spatial dimensions.
        depth: Number of poolings.
        strides: One tuple of `dims` integers per pooling, or None. A stride of 1 leaves an axis
            as it is: the way to spare the few thick slices of an anisotropic volume.

    Raises:
        ArchitectureError: `strides` has another length, or a stride below 1.
    """
    if strides is None:
        return ((2,) * dims,) * depth
    levels = typing.cast(Strides, as_tuples(strides))
    fits = isinstance(levels, tuple) and len(levels) == depth
    fits = fits and all(isinstance(level, tuple) and len(level) == dims for level in levels)
    if not fits or any(not matches(s, int) or s < 1 for level in levels for s in level):
        example = [[1] + [2] * (dims - 1)] + [[2] * dims] * (depth - 1)
        raise ArchitectureError(
            f"Option 'strides' must hold {depth} lists (one per pooling) of {dims} positive "
            f"integers (one per axis), such as {example}. Received: strides={strides!r}."
        )
    return levels


def total_stride(strides: Strides, dims: int) -> tuple[int, ...]:
    """Returns the product of the strides along every axis."""
    return tuple(math.prod(level[axis] for level in strides) for axis in range(dims))


def check_size(shape: Sequence[int | None], divisor: Sequence[int]) -> None:
    """Checks that the spatial sizes of `shape` are multiples of `divisor`.

    Raises:
        ArchitectureError: A size is smaller than, or no multiple of, its divisor.
    """
    for axis, (size, unit) in enumerate(zip(shape[:-1], divisor, strict=True)):
        if size is None or (size >= unit and size % unit == 0):
            continue
        why = "is too small for this depth" if size < unit else "cannot be pooled evenly"
        raise ArchitectureError(
            f"`input_shape` {tuple(shape)}: size {size} of axis {axis} {why}. It must be a "
            f"multiple of {unit}, such as {math.ceil(size / unit) * unit}. Pad the input, or "
            f"pool less (options 'depth' and 'strides', where the architecture has them)."
        )
