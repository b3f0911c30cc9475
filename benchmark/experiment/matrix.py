"""The matrix: configuration and the data at hand become run specifications."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import architectures
import datasets
from benchmark.experiment.config import DatasetSection, Experiment, dims_of
from benchmark.experiment.spec import Protocol, RunSpec


@dataclass(frozen=True)
class Source:
    """Where the files of one dataset lie and what they are.

    Attributes:
        root: Folder of the release.
        source: ``real`` or ``phantom``.
        fingerprint: Digest of the labelled cases on disk.
        cases: Number of labelled cases.
        patients: Number of patients.
    """

    root: Path
    source: str
    fingerprint: str
    cases: int
    patients: int


def expand(experiment: Experiment, sources: Mapping[str, Source]) -> list[RunSpec]:
    """Return the runs in the order in which they are executed.

    Architectures alternate inside each (dataset, fold, seed), so that a drift of the machine or an
    early stop meets all of them alike.
    """
    code = {
        (name, dataset): code_digest(name, dataset)
        for name in experiment.matrix.architectures
        for dataset in experiment.matrix.datasets
    }
    specs = []
    for seed in experiment.matrix.seeds:
        for fold in experiment.matrix.folds:
            for dataset in experiment.matrix.datasets:
                protocol = resolve_protocol(experiment, dataset)
                for name in experiment.matrix.architectures:
                    section = experiment.architectures.get(name)
                    specs.append(
                        RunSpec(
                            architecture=name,
                            options=section.options if section else {},
                            dims=dims_of(experiment, name, dataset),
                            dataset=dataset,
                            source=sources[dataset].source,
                            fingerprint=sources[dataset].fingerprint,
                            code=code[name, dataset],
                            fold=fold,
                            seed=seed,
                            protocol=protocol,
                        )
                    )
    return specs


def resolve_protocol(experiment: Experiment, dataset: str) -> Protocol:
    """Return the protocol of one dataset with its own grid and differences filled in."""
    section: DatasetSection = experiment.datasets[dataset]
    return Protocol(
        **experiment.protocol_for(dataset).model_dump(),
        spacing_mm=section.spacing_mm,
        patch_2d=section.patch_2d,
        patch_3d=section.patch_3d,
    )


def code_digest(architecture: str, dataset: str) -> str:
    """Digest the files that define a network and read a dataset: an edit makes a new run.

    A file of either room counts unless it belongs to another architecture or dataset.
    """
    sha = hashlib.sha256()
    for package, name in ((architectures, architecture), (datasets, dataset)):
        for file in sorted(Path(inspect.getfile(package)).parent.glob("*.py")):
            if file.stem == name or file.stem not in package.NAMES:
                sha.update(file.read_bytes())
    return sha.hexdigest()[:12]
