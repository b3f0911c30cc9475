"""The YAML border: ``experiments.yaml`` becomes checked configuration, or one clear error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import Field, PrivateAttr, ValidationError

import architectures
from benchmark.errors import ConfigError, nearest
from benchmark.experiment.config_errors import first, sentence
from benchmark.experiment.config_types import (
    ArchitectureName,
    DatasetName,
    Fault,
    Index,
    Millimetres,
    Positive,
    Section,
)
from benchmark.experiment.follow_section import RobustnessSection, SiteSection, check_follow
from benchmark.experiment.matrix_rules import Cell, cells
from benchmark.experiment.matrix_section import Exclusion, Inclusion, MatrixSection, PairedSection
from benchmark.experiment.protocol_section import ProtocolSection
from benchmark.experiment.tuning_section import (
    FoundOn,
    Range,
    TunedSection,
    TuningSection,
    axis_of,
    entries,
)
from benchmark.experiment.yaml_tree import Layer, Location, Tree, load

PROFILES = ("smoke", "quick", "cpu", "full")


class DatasetSection(Section):
    """The working grid of one dataset, and what differs for it from the protocol."""

    spacing_mm: tuple[Millimetres | None, Millimetres, Millimetres]
    patch_2d: tuple[Positive, Positive]
    patch_3d: tuple[Positive, Positive, Positive]
    phantom_patients: Annotated[int, Field(ge=5, le=1000)] = 20
    protocol: dict[str, Any] = Field(default_factory=dict)
    test_on: dict[str, dict[str, str] | None] = Field(default_factory=dict)


class PairSection(Section):
    """What differs for an architecture on one dataset."""

    options: dict[str, Any] = Field(default_factory=dict)
    init_from: str | None = None


class ArchitectureSection(Section):
    """Options of one architecture's ``build`` and the dimensions it runs in."""

    dims: dict[DatasetName, Literal[2, 3]] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    datasets: dict[DatasetName, PairSection] = Field(default_factory=dict)
    init_from: str | None = None


class LimitsSection(Section):
    """How long a run may take before it is ended with status ``timeout``; no part of its key."""

    run_s: Annotated[float, Field(gt=0)] = 7 * 86400.0
    silence_s: Annotated[float, Field(gt=0)] = 3600.0


class TrackingSection(Section):
    """What goes to MLflow beside the records; no part of a run's key."""

    models: Literal["none", "best"] = "none"


class Experiment(Section):
    """A whole experiment file with one profile laid over it."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[\w.-]+$")]
    data: Literal["auto", "real", "phantom"] = "auto"
    data_root: str = "data"
    phantom_seed: Annotated[int, Field(ge=0)] = 0
    limits: LimitsSection = LimitsSection()
    tracking: TrackingSection = TrackingSection()
    sites: dict[str, SiteSection] = Field(default_factory=dict)
    robustness: RobustnessSection | None = None
    matrix: MatrixSection
    protocol: ProtocolSection
    datasets: dict[DatasetName, DatasetSection]
    architectures: dict[ArchitectureName, ArchitectureSection] = Field(default_factory=dict)
    tuning: TuningSection | None = None
    tuned: dict[ArchitectureName, dict[DatasetName, dict[Index, TunedSection]]] = Field(
        default_factory=dict
    )

    _path: Path = PrivateAttr(default=Path("experiments.yaml"))
    _tree: Tree = PrivateAttr(default_factory=lambda: Tree({}))

    def protocol_for(
        self, dataset: str, recipe: Mapping[str, Any] | None = None
    ) -> ProtocolSection:
        """Return the protocol with the dataset's own differences, and a recipe's, laid over it."""
        overrides = {**self.datasets[dataset].protocol, **(recipe or {})}
        return ProtocolSection.model_validate({**self.protocol.model_dump(), **overrides})

    def options_for(self, cell: Cell) -> dict[str, Any]:
        """Return the options the file gives a network: the more special ones win."""
        options: dict[str, Any] = {}
        section = self.architectures.get(cell.architecture)
        if section is not None:
            options.update(section.options)
            if cell.dataset in section.datasets:
                options.update(section.datasets[cell.dataset].options)
        if cell.include is not None:
            options.update(self.matrix.include[cell.include].options)
        return options

    def start_for(self, cell: Cell) -> tuple[str, Location] | None:
        """Return the run whose weights a network starts from, and where the file says so."""
        if cell.include is not None and (own := self.matrix.include[cell.include].init_from):
            return own, ("matrix", "include", cell.include, "init_from")
        where: Location = ("architectures", cell.architecture)
        section = self.architectures.get(cell.architecture)
        pair = section.datasets.get(cell.dataset) if section else None
        if pair is not None and pair.init_from:
            return pair.init_from, (*where, "datasets", cell.dataset, "init_from")
        return (section.init_from, (*where, "init_from")) if section and section.init_from else None

    def dims_for(self, cell: Cell) -> int:
        """Return the spatial dimensions in which a network runs (default 2)."""
        if cell.include is not None and self.matrix.include[cell.include].dims is not None:
            return self.matrix.include[cell.include].dims or 2
        section = self.architectures.get(cell.architecture)
        return section.dims.get(cell.dataset, 2) if section else 2

    def recipe_for(self, cell: Cell) -> TunedSection | None:
        """Return the tuned recipe that a cell of the matrix has beside its own."""
        folds = self.tuned.get(cell.architecture, {}).get(cell.dataset, {})
        return folds.get(cell.fold) if cell.include is None else None

    def place(self, *location: str | int) -> str:
        """Return ``file:line`` of a place of the file."""
        return self._tree.place(self._path, location)

    def read_from(self, path: Path, tree: Tree) -> Experiment:
        """Return this experiment, which knows from now on where it was read."""
        self._path, self._tree = path, tree
        return self


# The keys of every kind of section, by its place in the file.
KEYS: dict[Location, tuple[str, ...]] = {
    (): (*Experiment.model_fields, "profiles"),
    ("limits",): tuple(LimitsSection.model_fields),
    ("tracking",): tuple(TrackingSection.model_fields),
    ("sites", "*"): tuple(SiteSection.model_fields),
    ("robustness",): tuple(RobustnessSection.model_fields),
    ("matrix",): tuple(MatrixSection.model_fields),
    ("matrix", "paired"): tuple(PairedSection.model_fields),
    ("matrix", "exclude", "*"): tuple(Exclusion.model_fields),
    ("matrix", "include", "*"): tuple(Inclusion.model_fields),
    ("protocol",): tuple(ProtocolSection.model_fields),
    ("datasets", "*"): tuple(DatasetSection.model_fields),
    ("datasets", "*", "protocol"): tuple(ProtocolSection.model_fields),
    ("architectures", "*"): tuple(ArchitectureSection.model_fields),
    ("architectures", "*", "datasets", "*"): tuple(PairSection.model_fields),
    ("tuning",): tuple(TuningSection.model_fields),
    ("tuning", "search", "*"): tuple(Range.model_fields),
    ("tuned", "*", "*", "*"): tuple(TunedSection.model_fields),
    ("tuned", "*", "*", "*", "found_on"): tuple(FoundOn.model_fields),
}


def load_experiment(path: Path, profile: str, layers: Sequence[Layer] = ()) -> Experiment:
    """Read an experiment file as one profile sees it; all of its profiles are checked.

    Args:
        path: The YAML file.
        profile: Name of the profile to lay over the base.
        layers: What is laid over the profile in turn: overrides, settings of the command line.

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
        if "profiles" in (profiles[name] or ()):
            raise ConfigError(
                f"{path}:{tree.line(('profiles', name, 'profiles'))}: expected no profiles inside "
                f"profile {name!r}."
            )
    if profile not in profiles:
        raise ConfigError(
            f"{path}: profile {profile!r} is not in the file; it has {', '.join(profiles)}."
        )
    checked = {name: _validate(path, tree.overlaid(("profiles", name))) for name in profiles}
    if not layers:
        return checked[profile]
    tree = tree.overlaid(("profiles", profile))
    for layer in layers:
        tree = layer(tree)
    return _validate(path, tree)


def _validate(path: Path, tree: Tree) -> Experiment:
    data = {key: value for key, value in tree.data.items() if key != "profiles"}
    try:
        experiment = Experiment.model_validate(data).read_from(path, tree)
        _check_protocols(experiment, path, tree)
        _check_options(experiment)
        _check_cells(experiment)
        _check_recipes(experiment, path, tree)
        check_follow(experiment)
    except ValidationError as error:
        raise ConfigError(sentence(path, tree, first(error), KEYS)) from None
    except Fault as fault:
        raise ConfigError(f"{tree.place(path, fault.location)}: {fault}") from None
    return experiment


def _check_protocols(experiment: Experiment, path: Path, tree: Tree) -> None:
    for dataset in experiment.datasets:
        try:
            experiment.protocol_for(dataset)
        except ValidationError as error:
            details = first(error)
            details["loc"] = ("datasets", dataset, "protocol", *details["loc"])
            raise ConfigError(sentence(path, tree, details, KEYS)) from None


def _check_options(experiment: Experiment) -> None:
    for name, section in experiment.architectures.items():
        where: Location = ("architectures", name)
        _check_known(name, section.options, (*where, "options"))
        for dataset, pair in section.datasets.items():
            _check_known(name, pair.options, (*where, "datasets", dataset, "options"))
    for number, entry in enumerate(experiment.matrix.include):
        names = (
            [entry.architecture] if entry.architecture else experiment.matrix.values("architecture")
        )
        for name in names:
            _check_known(name, entry.options, ("matrix", "include", number, "options"))


def _check_known(architecture: str, options: dict[str, Any], where: Location) -> None:
    try:
        architectures.check_options(architecture, options)
    except architectures.ArchitectureError as error:
        named = [(*where, key) for key in options if f"{key!r}" in str(error)]
        raise Fault(named[0] if named else where, str(error)) from None


def _check_recipes(experiment: Experiment, path: Path, tree: Tree) -> None:
    """Refuse what a search must not try and a recipe cannot be."""
    for name, content in (experiment.tuning.search if experiment.tuning else {}).items():
        try:
            axis_of(content, ("tuning", "search", name))
        except ValidationError as error:
            _refuse(error, ("tuning", "search", name), path, tree)
    names = experiment.matrix.values("architecture")
    for entry in entries(experiment.tuning, experiment.tuned):
        if entry.section == "protocol":
            try:
                ProtocolSection.model_validate(
                    {**experiment.protocol.model_dump(), entry.field: entry.value}
                )
            except ValidationError as error:
                _refuse(error, entry.location[:-1], path, tree, entry.location[-1])
        elif entry.architecture is not None:
            _check_known(entry.architecture, {entry.field: entry.value}, entry.location[:-1])
        else:
            _check_known_to_one(names, {entry.field: entry.value}, entry.location)


def _refuse(
    error: ValidationError, where: Location, path: Path, tree: Tree, key: str | int | None = None
) -> NoReturn:
    details = first(error)
    details["loc"] = (*where, *(details["loc"] if key is None else (key,)))
    raise ConfigError(sentence(path, tree, details, KEYS)) from None


def _check_known_to_one(names: Sequence[str], options: dict[str, Any], where: Location) -> None:
    """Refuse an option that none of these architectures takes."""
    faults = []
    for name in names:
        try:
            architectures.check_options(name, options)
        except architectures.ArchitectureError as error:
            faults.append(str(error))
    if len(faults) == len(names):
        raise Fault(where, faults[0])


def _check_cells(experiment: Experiment) -> None:
    """Refuse combinations that cannot be run, before anything looks at the data."""
    matrix = experiment.matrix
    runs = [cell for cell in cells(matrix) if cell.exclude is None]
    for dataset in dict.fromkeys(cell.dataset for cell in runs):
        if dataset not in experiment.datasets:
            raise Fault(
                matrix.place("dataset", dataset),
                f"dataset {dataset!r} is in the matrix but has no section under 'datasets:' (line "
                f"{experiment.place('datasets').rpartition(':')[2]}) that gives its spacing_mm "
                "and patches.",
            )
        protocol = experiment.protocol_for(dataset)
        for fold in {cell.fold for cell in runs if cell.dataset == dataset}:
            if protocol.split == "kfold" and fold >= protocol.folds:
                raise Fault(
                    matrix.place("fold", fold),
                    f"expected folds below {protocol.folds} (protocol.folds), got {fold}.",
                )
    for cell in {(cell.architecture, cell.dataset, cell.include): cell for cell in runs}.values():
        _check_devices(experiment, cell)
        dims, able = experiment.dims_for(cell), architectures.describe(cell.architecture).dims
        if dims not in able:
            own = cell.include is not None and matrix.include[cell.include].dims is not None
            raise Fault(
                ("matrix", "include", cell.include or 0, "dims") if own
                else ("architectures", cell.architecture, "dims", cell.dataset),
                f"{cell.architecture} is defined for {' or '.join(map(str, able))} dimensions, "
                f"got {dims}.",
            )  # fmt: skip


def _check_devices(experiment: Experiment, cell: Cell) -> None:
    """Refuse what cannot be trained on several devices."""
    protocol = experiment.protocol_for(cell.dataset)
    own = "devices" in experiment.datasets[cell.dataset].protocol
    where: Location = (*(("datasets", cell.dataset) if own else ()), "protocol", "devices")
    name = f"batch_size_{experiment.dims_for(cell)}d"
    batch = getattr(protocol, name)
    if batch % protocol.devices:
        raise Fault(
            where,
            f"expected protocol.devices to divide {name}, since each device takes an equal part of "
            f"every batch of {cell.architecture} on {cell.dataset}: {batch} is no multiple of "
            f"{protocol.devices}. Change one of the two.",
        )
    if protocol.devices > 1 and protocol.backend == "torch":
        raise Fault(
            where,
            f"expected devices: 1 with backend torch, got {protocol.devices}: Keras trains on "
            "several devices with tensorflow or jax only.",
        )
    if protocol.devices > 1 and (protocol.backend, protocol.compile) == ("tensorflow", "xla"):
        raise Fault(
            where,
            f"expected devices: 1 with compile: xla, got {protocol.devices}: TensorFlow's XLA "
            "compiles a step for a single device. Take compile: auto, or backend: jax.",
        )
