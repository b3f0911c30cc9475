"""The plan: what would run, what is done, and why."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import architectures
import datasets
from benchmark.environment import gpu_names
from benchmark.errors import BenchmarkError, ConfigError
from benchmark.experiment.config import Experiment, load_experiment
from benchmark.experiment.matrix import Source, expand
from benchmark.experiment.sources import locate
from benchmark.experiment.spec import RunSpec
from benchmark.records import Damaged, read_record

# Results of the method itself: repeating them would only repeat the cost.
KEPT = ("oom", "diverged")


@dataclass(frozen=True)
class PlannedRun:
    """One run and what is to be done about it.

    Attributes:
        spec: The run.
        state: ``new``, ``done``, ``failed`` (is run again) or ``kept`` (a failure that is a
            result).
        reason: One sentence for the user.
    """

    spec: RunSpec
    state: str
    reason: str

    @property
    def pending(self) -> bool:
        """Whether the run will be executed."""
        return self.state in ("new", "failed")


@dataclass(frozen=True)
class Plan:
    """All runs of an experiment under one profile."""

    path: Path
    profile: str
    profile_reason: str
    experiment: Experiment
    sources: Mapping[str, Source]
    runs: tuple[PlannedRun, ...]

    @property
    def pending(self) -> list[PlannedRun]:
        """The runs that will be executed, in order."""
        return [run for run in self.runs if run.pending]

    def to_dict(self) -> dict[str, Any]:
        """Return plain types for ``plan --json``."""
        return {
            "experiment": self.experiment.name,
            "profile": self.profile,
            "profile_reason": self.profile_reason,
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
                    "architecture": run.spec.architecture,
                    "dataset": run.spec.dataset,
                    "source": run.spec.source,
                    "fold": run.spec.fold,
                    "seed": run.spec.seed,
                    "dims": run.spec.dims,
                }
                for run in self.runs
            ],
        }


def make_plan(
    path: Path,
    *,
    results: Path,
    data_root: Path | None = None,
    profile: str | None = None,
    mode: str | None = None,
) -> Plan:
    """Read the experiment file, look at the data and at the finished records.

    Args:
        path: The experiment file.
        results: Results folder.
        data_root: Folder with datasets, if given by the user.
        profile: Name of a profile; None chooses ``full`` where a GPU and all real files are
            present, else ``quick``.
        mode: Overrides ``data:`` of the file.

    Raises:
        BenchmarkError: The file or the data are not as they should be.
    """
    if profile is None:
        profile, why = _choose_profile(path, results, data_root, mode)
    else:
        why = "asked for"
    experiment = load_experiment(path, profile)
    folds = min(experiment.protocol_for(name).folds for name in experiment.matrix.datasets)
    for fold in experiment.matrix.folds:
        if fold >= folds:
            raise ConfigError(
                f"{path}: matrix.folds: expected folds below {folds} (protocol.folds), got {fold}."
            )
    sources = locate(experiment, data_root=data_root, results=results, mode=mode)
    specs = expand(experiment, sources)
    for backend in {spec.protocol.backend for spec in specs}:
        if importlib.util.find_spec(backend) is None:
            raise BenchmarkError(
                f"{path}: protocol.backend: {backend!r} is not installed. Install it with "
                f"`uv sync --extra {backend}`, or take tensorflow."
            )
    for spec in specs:
        _check_network(path, spec)
    runs = tuple(_look_up(spec, results) for spec in specs)
    return Plan(path, profile, why, experiment, sources, runs)


def _choose_profile(
    path: Path, results: Path, data_root: Path | None, mode: str | None
) -> tuple[str, str]:
    gpus = gpu_names()
    if not gpus:
        return "quick", "no GPU was found, and the full profile needs one"
    experiment = load_experiment(path, "quick")
    sources = locate(experiment, data_root=data_root, results=results, mode=mode)
    phantoms = [name for name, found in sources.items() if found.source == "phantom"]
    if phantoms:
        return "quick", f"the real files of {', '.join(phantoms)} are absent"
    return "full", f"{gpus[0]} and the real files of all datasets are present"


def _check_network(path: Path, spec: RunSpec) -> None:
    """Refuse a network that cannot be built, before anything is trained."""
    classes = len(datasets.info(spec.dataset).classes) + 1
    try:
        architectures.check(spec.architecture, (*spec.patch, 1), classes, spec.options)
    except architectures.ArchitectureError as error:
        raise ConfigError(f"{path}: {spec.architecture} on {spec.dataset}: {error}") from None


def _look_up(spec: RunSpec, results: Path) -> PlannedRun:
    try:
        record = read_record(results / "runs" / spec.key)
    except Damaged as damage:
        return PlannedRun(spec, "failed", f"damaged record, runs again: {damage}")
    if record is None:
        return PlannedRun(spec, "new", "no record yet")
    status, error = record["status"], record.get("error") or "no reason recorded"
    if status == "ok":
        return PlannedRun(spec, "done", f"mean Dice {record['summary']['dice']:.3f}")
    if status in KEPT:
        return PlannedRun(spec, "kept", f"{status} is a result of the method: {error}")
    return PlannedRun(spec, "failed", f"{status} last time, runs again: {error}")
