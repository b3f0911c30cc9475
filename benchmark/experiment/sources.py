"""Which files serve each dataset: real ones where they lie, phantoms where they do not."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import datasets
from benchmark.errors import DataError
from benchmark.experiment.config import Experiment
from benchmark.experiment.matrix import Source
from benchmark.experiment.partition import split_of
from benchmark.experiment.spec import digest
from datasets import phantom
from datasets.case import Case
from datasets.layout import phantom_marker


def locate(
    experiment: Experiment,
    folds: Mapping[str, Collection[int]],
    *,
    data_root: Path | None,
    results: Path,
    mode: str | None = None,
) -> dict[str, Source]:
    """Find the files of every dataset that is run; opens no image.

    Args:
        experiment: The checked configuration.
        folds: The datasets that are run and their folds, whose splits are tried.
        data_root: Folder given by the user; None takes the one named in the file.
        results: Results folder, where phantoms lie.
        mode: ``auto``, ``real`` or ``phantom``; None takes the one named in the file.

    Raises:
        DataError: The given folder does not exist or holds none of the datasets, or real files
            are demanded and absent.
    """
    mode = mode or experiment.data
    names = tuple(folds)
    if mode == "phantom":
        return {name: phantom_source(experiment, name, results) for name in names}
    root = data_root or Path(experiment.data_root)
    if data_root is not None and not data_root.is_dir():
        raise DataError(
            f"--data-root {data_root}: expected a folder with datasets, found "
            f"{'a file' if data_root.exists() else 'nothing'}. Name the folder that holds "
            f"{_wanted(names)}, or leave the option out to run on phantoms."
        )
    sources = {}
    for name in names:
        found = datasets.find(name, root) if root.is_dir() else None
        if found is not None and (found.source == "real" or mode != "real"):
            sources[name] = _source(experiment, name, found, folds[name])
        elif mode == "real":
            raise DataError(
                f"{datasets.info(name).title}: expected its files under {root}, found none, and "
                f"phantoms are refused (data: real). {datasets.info(name).instructions}"
            )
    if data_root is not None and not sources:
        raise DataError(
            f"--data-root {data_root}: expected {_wanted(names)}, found none of them. Give the "
            "folder above the releases, or leave the option out to run on phantoms."
        )
    for name in names:
        if name not in sources:
            sources[name] = phantom_source(experiment, name, results)
    return sources


def phantom_source(experiment: Experiment, name: str, results: Path) -> Source:
    """Describe the phantom of a dataset; its files need not exist yet."""
    patients = experiment.datasets[name].phantom_patients
    seed = experiment.phantom_seed
    return Source(
        root=results / "phantoms" / f"{patients}-{seed}" / phantom.folder_name(name),
        source="phantom",
        fingerprint=_phantom_fingerprint(name, patients, seed, phantom.VERSION),
        cases=0,
        patients=patients,
    )


def ensure_phantoms(experiment: Experiment, sources: Mapping[str, Source], results: Path) -> None:
    """Write the phantoms that a plan needs and that are not there yet.

    Raises:
        DatasetError: The folder of a phantom holds something else.
    """
    for name, source in sources.items():
        if source == phantom_source(experiment, name, results):
            datasets.write_phantom(
                name, source.root.parent, patients=source.patients, seed=experiment.phantom_seed
            )


def fingerprint(name: str, root: Path, cases: Sequence[Case]) -> str:
    """Digest the cases of a release as they lie on disk; of a phantom, what it was made from.

    A phantom thus has the same fingerprint before it is written, after, and anywhere else.

    Raises:
        DatasetError: A file is gone.
    """
    marker = phantom_marker(root)
    if marker is not None:
        try:
            made_from = json.loads(marker.read_text(encoding="utf-8"))
            numbers = [made_from[key] for key in ("patients", "seed", "version")]
        except (ValueError, KeyError, TypeError):
            pass  # a marker that does not say: the files are all there is to go by
        else:
            return _phantom_fingerprint(name, *numbers, full=bool(made_from.get("full")))
    return datasets.fingerprint(name, root, cases)[:16]


def _phantom_fingerprint(
    name: str, patients: int, seed: int, version: int, *, full: bool = False
) -> str:
    return digest([name, patients, seed, version, *(["full"] if full else [])])[:16]


def _source(
    experiment: Experiment, name: str, found: datasets.Found, folds: Collection[int]
) -> Source:
    cases = datasets.read_cases(name, found.root)
    protocol = experiment.protocol_for(name)
    for fold in folds:
        # A split that these files cannot give is refused before anything is trained.
        split_of(protocol, cases, fold)
    return Source(
        root=found.root,
        source=found.source,
        release=found.release,
        fingerprint=fingerprint(name, found.root, cases),
        cases=len(cases),
        patients=len({case.patient for case in cases}),
    )


def _wanted(names: Iterable[str]) -> str:
    return ", ".join(datasets.info(name).title for name in names)
