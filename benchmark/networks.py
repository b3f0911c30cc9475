"""What the networks are: size, cost, and whether they are what their papers say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

import architectures
from architectures import cost, references
from benchmark.errors import BenchmarkError


@dataclass(frozen=True)
class Request:
    """A network to be described.

    Attributes:
        name: Name in the catalogue.
        dims: Spatial dimensions, 2 or 3.
        channels: Channels of the input.
        classes: Classes with the background.
        options: Options of the architecture's ``build``.
    """

    name: str
    dims: int
    channels: int
    classes: int
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Description:
    """Size and cost of a network.

    Attributes:
        name: Name in the catalogue.
        title: Name for people.
        paper: Where it was published.
        dims: Spatial dimensions.
        options: Options that were asked for.
        input_shape: ``(*spatial, channels)`` at which the cost is stated.
        classes: Classes with the background.
        trainable_params: Trainable parameters, without moving averages.
        gmacs: Billions of multiply-accumulates of one forward pass of one input.
        reference_params: Parameters of the published network, or None if nobody published it.
        reference: Who published that number.
        matches: Whether both numbers are equal; None without a reference.
    """

    name: str
    title: str
    paper: str
    dims: int
    options: dict[str, Any]
    input_shape: tuple[int, ...]
    classes: int
    trainable_params: int
    gmacs: float
    reference_params: int | None
    reference: str | None
    matches: bool | None


def requests(
    name: str | None,
    *,
    channels: int | None,
    classes: int | None,
    dims: int | None,
    options: Mapping[str, Any],
    everything: bool,
) -> list[Request]:
    """Return what is to be described.

    With no wish at all, or with ``everything``: the networks whose size is known from a paper or
    its authors' code (the headline ones, or all). Otherwise the one that is meant, for every
    architecture if none is named.

    Raises:
        ArchitectureError: There is no such architecture, dimension or option.
    """
    names = [architectures.describe(name).name] if name else list(architectures.NAMES)
    wishes = (name, channels, classes, dims, options or None)
    if everything or all(wish is None for wish in wishes):
        known = [
            Request(each.architecture, each.dims, each.channels, each.classes, each.options)
            for each in references.references()
            if each.architecture in names and (each.headline or everything)
        ]
        return sorted(known, key=lambda request: names.index(request.name))
    asked = []
    for each in names:
        allowed = architectures.describe(each).dims
        wanted = [dims] if dims else ([2] if 2 in allowed else list(allowed))
        for count in wanted:
            if name is None and count not in allowed:
                continue  # all architectures were asked for; this one has no such form
            asked.append(
                Request(
                    each,
                    count,
                    1 if channels is None else channels,
                    4 if classes is None else classes,
                    options,
                )
            )
    return asked


def describe(request: Request) -> Description:
    """Build a network and measure it.

    Raises:
        ArchitectureError: The request is not possible.
    """
    entry = architectures.describe(request.name)
    shape = architectures.nominal_shape(
        request.name, request.dims, request.channels, request.options
    )
    model = architectures.build(request.name, shape, request.classes, **request.options)
    trainable = cost.trainable_parameters(model)
    published = references.find(
        request.name, request.dims, request.channels, request.classes, request.options
    )
    return Description(
        name=request.name,
        title=entry.title,
        paper=entry.paper,
        dims=request.dims,
        options=dict(request.options),
        input_shape=shape,
        classes=request.classes,
        trainable_params=trainable,
        gmacs=round(cost.multiply_accumulates(model) / 1e9, 3),
        reference_params=published.trainable_params if published else None,
        reference=published.source if published else None,
        matches=None if published is None else published.trainable_params == trainable,
    )


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Read ``key=value`` words; values are YAML (``filters=16``, ``strides=[[2,2],[2,2]]``).

    Raises:
        BenchmarkError: A word has no ``=`` or a value that is no YAML.
    """
    options: dict[str, Any] = {}
    for word in settings:
        key, equals, value = word.partition("=")
        try:
            if not equals or not key:
                raise ValueError
            options[key] = yaml.safe_load(value)
        except (ValueError, yaml.YAMLError):
            raise BenchmarkError(
                f"--set {word}: expected key=value, for example --set filters=16."
            ) from None
    return options


def to_dict(description: Description) -> dict[str, Any]:
    """Return plain types for ``--json``."""
    return asdict(description)


def show(descriptions: Sequence[Description], console: Console) -> None:
    """Print a table of networks."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("architecture", "form", "input", "classes"):
        table.add_column(column, overflow="fold")
    for column in ("parameters", "reference", "GMACs"):
        table.add_column(column, justify="right")
    table.add_column("published by", overflow="fold")
    for each in descriptions:
        form = ", ".join(f"{key}={value}" for key, value in each.options.items()) or "default"
        mark = {True: "[green]= ", False: "[red]≠ ", None: ""}[each.matches]
        published = f"{mark}{each.reference_params:,}" if each.reference_params else "—"
        table.add_row(
            each.title,
            f"{each.dims}D {form}",
            "×".join(str(size) for size in each.input_shape),
            str(each.classes),
            f"{each.trainable_params:,}",
            published,
            f"{each.gmacs:.2f}",
            each.reference or "—",
        )
    console.print(table)
    for title, paper in dict.fromkeys((each.title, each.paper) for each in descriptions):
        console.print(f"{title}: {paper}", soft_wrap=True)
