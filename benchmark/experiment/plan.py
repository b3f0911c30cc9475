"""The plan: what would run, what is done, and why."""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import architectures
import datasets
from benchmark.environment import gpu_names
from benchmark.errors import ConfigError
from benchmark.experiment.config import Experiment, load_experiment
from benchmark.experiment.matrix import Source, expand
from benchmark.experiment.matrix_rules import Cell, cells
from benchmark.experiment.selection import INFRASTRUCTURE, select
from benchmark.experiment.sources import locate
from benchmark.experiment.spec import RunSpec
from benchmark.experiment.start import check_starts, starts
from benchmark.experiment.states import PlannedRun, look_up
from benchmark.experiment.yaml_tree import Layer
from benchmark.generalisation.sites import locate_sites, tested_datasets
from benchmark.training.devices import processor_name


@dataclass(frozen=True)
class ExcludedRun:
    """A combination that a rule of the file takes out.

    Attributes:
        cell: The combination.
        rule: ``file:line`` of the rule.
        because: The rule's own words, may be empty.
    """

    cell: Cell
    rule: str
    because: str

    @property
    def name(self) -> str:
        """Short label, as a run has it."""
        cell = self.cell
        return f"{cell.architecture}·{cell.dataset}·f{cell.fold}·s{cell.seed}"

    @property
    def reason(self) -> str:
        """One sentence for the user."""
        return f"by {self.rule}" + (f": {self.because}" if self.because else "")


@dataclass(frozen=True)
class Plan:
    """All runs of an experiment under one profile.

    Attributes:
        path: The experiment file.
        profile: Name of the profile.
        profile_reason: Why this profile.
        experiment: The file as the profile sees it.
        sources: The files of each dataset that is run.
        runs: What is to be run or has been, in order.
        excluded: What a rule takes out.
        left_out: How many combinations ``--only`` leaves out.
        warnings: Sentences the user should read.
        places: The files on which finished runs are tested too, by the name of their place.
    """

    path: Path
    profile: str
    profile_reason: str
    experiment: Experiment
    sources: Mapping[str, Source]
    runs: tuple[PlannedRun, ...]
    excluded: tuple[ExcludedRun, ...] = ()
    left_out: int = 0
    warnings: tuple[str, ...] = ()
    places: Mapping[str, Source] = field(default_factory=dict)

    @property
    def pending(self) -> list[PlannedRun]:
        """The runs that will be executed, in order."""
        return [run for run in self.runs if run.pending]

    @property
    def expected(self) -> tuple[float, bool]:
        """The seconds that the pending runs take in all, and whether each of them is known."""
        known = [run.expected_s for run in self.pending if run.expected_s is not None]
        return sum(known), len(known) == len(self.pending)

    def to_dict(self) -> dict[str, Any]:
        """Return plain types for ``plan --json``."""
        seconds, complete = self.expected
        return {
            "experiment": self.experiment.name,
            "profile": self.profile,
            "profile_reason": self.profile_reason,
            "expected": {"pending_s": seconds, "complete": complete},
            "left_out": self.left_out,
            "warnings": list(self.warnings),
            "sources": {
                name: {
                    "source": found.source,
                    "release": found.release,
                    "root": str(found.root),
                    "cases": found.cases,
                    "patients": found.patients,
                }
                for name, found in self.sources.items()
            },
            "runs": [
                {
                    "key": run.spec.key,
                    "name": run.spec.name,
                    "state": run.state,
                    "reason": run.reason,
                    "changes": list(run.changes),
                    "expected_s": run.expected_s,
                    "architecture": run.spec.architecture,
                    "dataset": run.spec.dataset,
                    "source": run.spec.source,
                    "fold": run.spec.fold,
                    "seed": run.spec.seed,
                    "dims": run.spec.dims,
                    "options": dict(run.spec.options),
                }
                for run in self.runs
            ],
            "excluded": [
                {
                    "name": run.name,
                    "state": "excluded",
                    "reason": run.reason,
                    "rule": run.rule,
                    "because": run.because,
                    "architecture": run.cell.architecture,
                    "dataset": run.cell.dataset,
                    "fold": run.cell.fold,
                    "seed": run.cell.seed,
                }
                for run in self.excluded
            ],
        }


def make_plan(
    path: Path,
    *,
    results: Path,
    data_root: Path | None = None,
    profile: str | None = None,
    mode: str | None = None,
    only: Mapping[str, Collection[str]] | None = None,
    retry: Collection[str] = INFRASTRUCTURE,
    layers: Sequence[Layer] = (),
) -> Plan:
    """Read the experiment file, look at the data and at the finished records.

    Args:
        path: The experiment file.
        results: Results folder.
        data_root: Folder with datasets, if given by the user.
        profile: Name of a profile; None chooses ``full`` where a GPU and all real files are
            present, else ``quick``.
        mode: Overrides ``data:`` of the file.
        only: Values that axes are narrowed to; see :mod:`benchmark.experiment.selection`.
        retry: Statuses of failed runs that are run again.
        layers: What is laid over the file, see :mod:`benchmark.experiment.layers`.

    Raises:
        BenchmarkError: The file or the data are not as they should be.
    """
    find = functools.partial(locate, data_root=data_root, results=results, mode=mode)
    if profile is None:
        profile, why = _choose_profile(path, layers, only or {}, find)
    else:
        why = "asked for"
    experiment = load_experiment(path, profile, layers)
    everything = cells(experiment.matrix)
    chosen = select(everything, only or {})
    folds = _folds(chosen)
    tested: dict[str, list[int]] = {
        name: [] for name in tested_datasets(experiment, folds) if name not in folds
    }
    sources = find(experiment, folds | tested)
    specs = expand(experiment, chosen, sources, starts(experiment, chosen, results))
    check_starts(specs, sources, results)
    _check_backends(experiment, specs)
    _check_networks(experiment, specs)
    runs, warnings = look_up(
        specs, results, profile=profile, retry=retry,
        device=lambda: (gpu_names() or [processor_name()])[0],
    )  # fmt: skip
    excluded = tuple(
        ExcludedRun(
            cell,
            experiment.place("matrix", "exclude", cell.exclude),
            experiment.matrix.exclude[cell.exclude].because,
        )
        for cell in chosen
        if cell.exclude is not None
    )
    return Plan(path, profile, why, experiment, sources, runs, excluded,
                len(everything) - len(chosen), warnings,
                {**sources, **locate_sites(experiment, folds)})  # fmt: skip


def _folds(chosen: Sequence[Cell]) -> dict[str, list[int]]:
    """Return the datasets that are run, and the folds of each."""
    folds: dict[str, dict[int, None]] = {}
    for cell in chosen:
        if cell.exclude is None:
            folds.setdefault(cell.dataset, {})[cell.fold] = None
    return {dataset: list(each) for dataset, each in folds.items()}


def _choose_profile(
    path: Path,
    layers: Sequence[Layer],
    only: Mapping[str, Collection[str]],
    find: Callable[[Experiment, Mapping[str, list[int]]], dict[str, Source]],
) -> tuple[str, str]:
    gpus = gpu_names()
    if not gpus:
        return "quick", "no GPU was found, and the full profile needs one"
    experiment = load_experiment(path, "quick", layers)
    sources = find(experiment, _folds(select(cells(experiment.matrix), only)))
    phantoms = [name for name, found in sources.items() if found.source == "phantom"]
    if phantoms:
        return "quick", f"the real files of {', '.join(phantoms)} are absent"
    return "full", f"{gpus[0]} and the real files of all datasets are present"


def _check_backends(experiment: Experiment, specs: Sequence[RunSpec]) -> None:
    backends = {spec.protocol.backend: spec.dataset for spec in specs}
    for backend, dataset in backends.items():
        if importlib.util.find_spec(backend) is None:
            own = "backend" in experiment.datasets[dataset].protocol
            place = experiment.place(*(("datasets", dataset) if own else ()), "protocol", "backend")
            raise ConfigError(
                f"{place}: protocol.backend: {backend!r} is not installed. Install it with "
                f"`uv sync --extra {backend}`, or take tensorflow."
            )


def _check_networks(experiment: Experiment, specs: Sequence[RunSpec]) -> None:
    """Refuse a network that cannot be built, before anything is trained; each is checked once."""
    networks = {
        (spec.architecture, spec.dataset, spec.patch, json.dumps(spec.options)): spec
        for spec in specs
    }
    for spec in networks.values():
        classes = len(datasets.info(spec.dataset).classes) + 1
        try:
            architectures.check(spec.architecture, (*spec.patch, 1), classes, spec.options)
        except architectures.ArchitectureError as error:
            place = experiment.place("datasets", spec.dataset, f"patch_{spec.dims}d")
            raise ConfigError(f"{place}: {spec.architecture} on {spec.dataset}: {error}") from None
