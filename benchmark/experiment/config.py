"""The YAML border: ``experiments.yaml`` becomes checked configuration, or one clear error."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

import architectures
import datasets
from benchmark.errors import ConfigError, nearest
from benchmark.experiment.yaml_tree import Location, Tree, load
from datasets.splits import SPLITS

PROFILES = ("smoke", "quick", "full")

Positive = Annotated[int, Field(ge=1)]
Millimetres = Annotated[float, Field(gt=0, le=100)]


def _known(kind: str, names: tuple[str, ...]) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value not in names:
            raise ValueError(
                f"unknown {kind} {value!r}; known are {', '.join(names)}."
                + nearest(str(value), names)
            )
        return value

    return BeforeValidator(check)


ArchitectureName = Annotated[str, _known("architecture", architectures.NAMES)]
DatasetName = Annotated[str, _known("dataset", datasets.NAMES)]


class Section(BaseModel):
    """A mapping of the file that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError("expected every value once")
    return values


Distinct = AfterValidator(_distinct)
Index = Annotated[int, Field(ge=0)]


class MatrixSection(Section):
    """The axes whose product is run."""

    architectures: Annotated[tuple[ArchitectureName, ...], Field(min_length=1), Distinct]
    datasets: Annotated[tuple[DatasetName, ...], Field(min_length=1), Distinct]
    folds: Annotated[tuple[Index, ...], Field(min_length=1), Distinct] = (0,)
    seeds: Annotated[tuple[Index, ...], Field(min_length=1), Distinct] = (0,)


def _ascending(bounds: tuple[int, int]) -> tuple[int, int]:
    if bounds[0] > bounds[1]:
        raise ValueError("expected [least, most]")
    return bounds


class ProtocolSection(Section):
    """Rules shared by all runs; see :class:`benchmark.experiment.spec.Protocol`."""

    split: Annotated[str, _known("split", tuple(SPLITS))] = "kfold"
    folds: Annotated[int, Field(ge=2)] = 5
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    split_seed: Annotated[int, Field(ge=0)] = 0
    batch_size_2d: Positive
    batch_size_3d: Positive
    epochs: Positive
    steps_per_epoch: Annotated[tuple[Positive, Positive], AfterValidator(_ascending)]
    validation_patches_2d: Positive
    validation_patches_3d: Positive
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    loss: Literal["dice_cross_entropy", "dice_squared", "one_vs_rest", "focal_tversky"] = (
        "dice_cross_entropy"
    )
    augmentation: Literal["standard", "none"] = "standard"
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    compile: Literal["auto", "xla", "none"] = "auto"
    backend: Literal["tensorflow", "jax", "torch"] = "tensorflow"
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5


class DatasetSection(Section):
    """The working grid of one dataset, and what differs for it from the protocol."""

    spacing_mm: tuple[Millimetres | None, Millimetres, Millimetres]
    patch_2d: tuple[Positive, Positive]
    patch_3d: tuple[Positive, Positive, Positive]
    phantom_patients: Annotated[int, Field(ge=5, le=1000)] = 20
    protocol: dict[str, Any] = {}


class ArchitectureSection(Section):
    """Options of one architecture's ``build`` and the dimensions it runs in."""

    dims: dict[DatasetName, Literal[2, 3]] = {}
    options: dict[str, Any] = {}


class LimitsSection(Section):
    """How long a run may take before it is ended with status ``timeout``; no part of its key."""

    run_s: Annotated[float, Field(gt=0)] = 7 * 86400.0
    silence_s: Annotated[float, Field(gt=0)] = 3600.0


class Experiment(Section):
    """A whole experiment file with one profile laid over it."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[\w.-]+$")]
    data: Literal["auto", "real", "phantom"] = "auto"
    data_root: str = "data"
    phantom_seed: Annotated[int, Field(ge=0)] = 0
    limits: LimitsSection = LimitsSection()
    matrix: MatrixSection
    protocol: ProtocolSection
    datasets: dict[DatasetName, DatasetSection]
    architectures: dict[ArchitectureName, ArchitectureSection] = {}

    def protocol_for(self, dataset: str) -> ProtocolSection:
        """Return the protocol with the dataset's own differences laid over it."""
        overrides = self.datasets[dataset].protocol
        return ProtocolSection.model_validate({**self.protocol.model_dump(), **overrides})


def load_experiment(path: Path, profile: str) -> Experiment:
    """Read an experiment file as one profile sees it; all of its profiles are checked.

    Args:
        path: The YAML file.
        profile: Name of the profile to lay over the base.

    Raises:
        ConfigError: With file, line, what was expected and the nearest valid name.
    """
    tree = load(path)
    profiles = tree.data.get("profiles")
    if not isinstance(profiles, dict) or not profiles:
        raise ConfigError(f"{path}:{tree.line(('profiles',))}: expected 'profiles:' with at least "
                          f"one of {', '.join(PROFILES)}.")  # fmt: skip
    for name in profiles:
        if name not in PROFILES:
            raise ConfigError(
                f"{path}:{tree.line(('profiles', name))}: unknown profile {name!r}; expected "
                f"{', '.join(PROFILES)}.{nearest(str(name), PROFILES)}"
            )
        if not isinstance(profiles[name], dict | None):
            raise ConfigError(
                f"{path}:{tree.line(('profiles', name))}: expected profile {name!r} to be a "
                f"mapping of sections, got {profiles[name]!r}."
            )
    if profile not in profiles:
        raise ConfigError(
            f"{path}: profile {profile!r} is not in the file; it has {', '.join(profiles)}."
        )
    checked = {name: _validate(path, tree.overlaid(("profiles", name))) for name in profiles}
    return checked[profile]


def _validate(path: Path, tree: Tree) -> Experiment:
    data = {key: value for key, value in tree.data.items() if key != "profiles"}
    try:
        experiment = Experiment.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_sentence(path, tree, _first(error))) from None
    for dataset in experiment.matrix.datasets:
        if dataset not in experiment.datasets:
            raise ConfigError(
                f"{path}:{tree.line(('matrix', 'datasets'))}: dataset {dataset!r} is in the matrix "
                f"but has no section under 'datasets:' (line {tree.line(('datasets',))}) that "
                "gives its spacing_mm and patches."
            )
    for dataset in experiment.datasets:
        try:
            experiment.protocol_for(dataset)
        except ValidationError as error:
            details = _first(error)
            details["loc"] = ("datasets", dataset, "protocol", *details["loc"])
            raise ConfigError(_sentence(path, tree, details)) from None
    for name, section in experiment.architectures.items():
        try:
            architectures.check_options(name, section.options)
        except architectures.ArchitectureError as error:
            where: Location = ("architectures", name, "options")
            named = [(*where, key) for key in section.options if f"{key!r}" in str(error)]
            line = tree.line(named[0] if named else where)
            raise ConfigError(f"{path}:{line}: {error}") from None
    for name in experiment.matrix.architectures:
        for dataset in experiment.matrix.datasets:
            dims = dims_of(experiment, name, dataset)
            if dims not in architectures.describe(name).dims:
                raise ConfigError(
                    f"{path}:{tree.line(('architectures', name, 'dims', dataset))}: {name} is "
                    f"defined for {architectures.describe(name).dims} dimensions, got {dims}."
                )
    return experiment


def dims_of(experiment: Experiment, architecture: str, dataset: str) -> int:
    """Return the spatial dimensions in which an architecture runs on a dataset (default 2)."""
    section = experiment.architectures.get(architecture)
    return section.dims.get(dataset, 2) if section else 2


def _first(error: ValidationError) -> ErrorDetails:
    """Return the fault to tell: a misspelt key before the key that is missing because of it."""
    found = error.errors()
    return next((details for details in found if details["type"] == "extra_forbidden"), found[0])


def _sentence(path: Path, tree: Tree, details: ErrorDetails) -> str:
    location = tuple(part for part in details["loc"] if part != "[key]")
    line = tree.line(location)
    place = ".".join(str(part) for part in location)
    if details["type"] == "extra_forbidden":
        known = _keys_at(location[:-1])
        return (
            f"{path}:{line}: unknown key {place!r}; expected one of {', '.join(known)}."
            + nearest(str(location[-1]), known)
        )
    if details["type"] == "missing":
        return f"{path}:{line}: {place!r} is missing; add it."
    message = details["msg"].removeprefix("Value error, ").rstrip(".")
    received = "" if "unknown" in message else f"; received {details['input']!r}"
    return f"{path}:{line}: {place}: {message[0].lower()}{message[1:]}{received}."


def _keys_at(location: Location) -> tuple[str, ...]:
    """Return the keys that are valid at a place of the file."""
    sections: dict[str, type[BaseModel]] = {
        "limits": LimitsSection,
        "matrix": MatrixSection,
        "protocol": ProtocolSection,
        "datasets": DatasetSection,
        "architectures": ArchitectureSection,
    }
    if not location:
        return (*Experiment.model_fields, "profiles")
    if location[-1] == "protocol":
        return tuple(ProtocolSection.model_fields)
    return tuple(sections[str(location[0])].model_fields)
