"""Runs that start from the weights of another: which, and whom that one has seen."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
from benchmark.errors import BenchmarkError, ConfigError
from benchmark.experiment.config import Experiment
from benchmark.experiment.matrix import Source
from benchmark.experiment.matrix_rules import Cell
from benchmark.experiment.partition import split_of
from benchmark.experiment.spec import RunSpec
from benchmark.records import WEIGHTS, digest_of
from benchmark.trained import Trained, find, open_run

# The place of the matrix that one start holds for.
Network = tuple[str, str, int | None]


def network_of(cell: Cell) -> Network:
    """Return what cells with the same start have in common."""
    return cell.architecture, cell.dataset, cell.include


def starts(
    experiment: Experiment, cells: Iterable[Cell], results: Path
) -> dict[Network, dict[str, str]]:
    """Find the runs whose weights others start from; return what specifications say of them.

    Raises:
        ConfigError: There is no such run, or it is of another network; names file and line.
    """
    found: dict[Network, dict[str, str]] = {}
    for cell in cells:
        asked = experiment.start_for(cell)
        if cell.exclude is not None or asked is None or network_of(cell) in found:
            continue
        name, where = asked
        try:
            source = find(results, name, original=True)
        except BenchmarkError as error:
            raise ConfigError(
                f"{experiment.place(*where)}: init_from: {error} A run that others start from has "
                "to be finished before they are planned (--only runs a part of the matrix)."
            ) from None
        mine = cell.architecture, experiment.dims_for(cell)
        if (source.spec.architecture, source.spec.dims) != mine:
            raise ConfigError(
                f"{experiment.place(*where)}: init_from: expected a run of {mine[0]} in {mine[1]} "
                f"dimensions, {name} is {source.spec.architecture} in {source.spec.dims}."
            )
        found[network_of(cell)] = {
            "run": source.spec.key,
            "sha256": digest_of(source.folder / WEIGHTS),
            "dataset": source.spec.dataset,
        }
    return found


def seen_patients(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return whom a run's weights were fitted to or chosen by, its own start included."""
    spec, split = record["spec"], record["split"]
    own = {
        "run": record["key"],
        "dataset": spec["dataset"],
        "source": spec["source"],
        "release": record.get("release") or "",
        "patients": sorted({*split["train"], *split["validation"]}),
    }
    return [own, *((record.get("init_from") or {}).get("seen") or ())]


def already_seen(
    record: Mapping[str, Any], files: tuple[str, str, str], tested: Collection[str]
) -> tuple[str, list[str]]:
    """Return which of some patients a run has seen, and in which training; none is an empty list.

    Args:
        record: Of the run.
        files: Dataset, source and release of the patients: people of other files may have the
            same names.
        tested: The patients.
    """
    for seen in seen_patients(record):
        both = sorted(set(seen["patients"]) & set(tested))
        if files == (seen["dataset"], seen["source"], seen["release"]) and both:
            return seen["run"], both
    return "", []


def check_unseen(
    record: Mapping[str, Any], spec: RunSpec, release: str, tested: Collection[str]
) -> None:
    """Refuse to start from a run that has seen patients on whom the new one is tested.

    Args:
        record: Of the run that is started from.
        spec: The new run.
        release: What the files of the new run are if not the official release.
        tested: Its test patients.

    Raises:
        BenchmarkError: Some of them are among those the weights were fitted to or chosen by.
    """
    run, both = already_seen(record, (spec.dataset, spec.source, release), tested)
    if both:
        raise BenchmarkError(
            f"{spec.name}: expected to start from a run that has not seen the patients of fold "
            f"{spec.fold}, run {run} was trained on {len(both)} of them, such as {both[0]}. Start "
            "from the run of the same fold and split, or from another dataset."
        )


def check_starts(specs: Sequence[RunSpec], sources: Mapping[str, Source], results: Path) -> None:
    """Refuse starts that have seen test patients, as far as the files are there to tell.

    A phantom that is not written yet has no patients to compare; its worker looks again.

    Raises:
        BenchmarkError: As :func:`check_unseen`.
    """

    @functools.cache
    def source(key: str) -> Trained:
        return open_run(results / "runs" / key)

    for spec in specs:
        where = sources[spec.dataset]
        if spec.init_from and where.root.is_dir():
            tested = tested_patients(spec, where.root)
            check_unseen(source(spec.init_from["run"]).record, spec, where.release, tested)


def tested_patients(spec: RunSpec, root: Path) -> set[str]:
    """Return the patients on whom a run is tested."""
    cases = datasets.read_cases(spec.dataset, root)
    protocol = spec.protocol
    split = split_of(protocol, cases, spec.fold)
    patient = {case.id: case.patient for case in cases}
    return {patient[case] for case in split.test}
