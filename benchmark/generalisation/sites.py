"""Where the files lie on which finished runs are tested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import datasets
from benchmark.errors import DataError
from benchmark.experiment.config import Experiment
from benchmark.experiment.follow_section import places, tests_of
from benchmark.experiment.matrix import Source
from benchmark.experiment.sources import fingerprint
from benchmark.experiment.spec import RunSpec
from benchmark.generalisation.maps import shared_classes
from benchmark.generalisation.tasks import CrossTest


def tested_datasets(experiment: Experiment, trained: Iterable[str]) -> list[str]:
    """Return the datasets of the file on which runs of some datasets are tested."""
    asked = (name for dataset in trained for name in tests_of(experiment, dataset))
    return [name for name in dict.fromkeys(asked) if name in experiment.datasets]


def locate_sites(experiment: Experiment, trained: Iterable[str]) -> dict[str, Source]:
    """Find the files of the sites on which runs of some datasets are tested.

    Raises:
        DataError: A site's folder does not hold its dataset.
    """
    asked = (name for dataset in trained for name in tests_of(experiment, dataset))
    return {
        name: source_at(
            experiment.sites[name].dataset,
            Path(experiment.sites[name].data_root),
            place=experiment.place("sites", name),
        )
        for name in dict.fromkeys(asked)
        if name in experiment.sites
    }


def source_at(dataset: str, root: Path, *, place: str) -> Source:
    """Describe the files of a dataset at or below a folder.

    Args:
        dataset: Name of the dataset.
        root: A data root.
        place: Who asks, for the message.

    Raises:
        DataError: They are not there.
    """
    found = datasets.find(dataset, root) if root.is_dir() else None
    if found is None:
        raise DataError(
            f"{place}: expected files in the layout of {datasets.info(dataset).title} at or below "
            f"{root}, found none. {datasets.info(dataset).instructions}"
        )
    cases = datasets.read_cases(dataset, found.root)
    return Source(
        root=found.root,
        source=found.source,
        release=found.release,
        fingerprint=fingerprint(dataset, found.root, cases),
        cases=len(cases),
        patients=len({case.patient for case in cases}),
    )


def tests_for(
    experiment: Experiment, spec: RunSpec, sources: Mapping[str, Source]
) -> list[CrossTest]:
    """Return the tests on other files that the experiment asks of a run."""
    having = places(experiment)
    return [
        cross_test(name, having[name], sources[name], spec.dataset, classes)
        for name, classes in tests_of(experiment, spec.dataset).items()
    ]


def cross_test(
    site: str, dataset: str, source: Source, trained: str, classes: Mapping[str, str] | None
) -> CrossTest:
    """Return one test; without a map, classes of the same name are the same."""
    if classes is None:
        classes = shared_classes(trained, dataset)
    return CrossTest(
        site, dataset, source.source, source.release, source.fingerprint, classes, source.root
    )


def own_files(spec: RunSpec, results: Path, data_root: Path | None = None) -> Path:
    """Return the folder with the files on which a run was made, known by their fingerprint.

    Args:
        spec: The run.
        results: Results folder, where phantoms lie.
        data_root: Folder that holds the datasets; by default ``data``.

    Raises:
        DataError: None of the files at hand are those.
    """
    data_root = data_root or Path("data")
    met = []
    for root in (data_root, *sorted((results / "phantoms").glob("*"))):
        found = datasets.find(spec.dataset, root) if root.is_dir() else None
        if found is None:
            continue
        cases = datasets.read_cases(spec.dataset, found.root)
        digest = fingerprint(spec.dataset, found.root, cases)
        if found.source == spec.source and digest == spec.fingerprint:
            return found.root
        met.append(f"{found.root} ({found.source}, {digest})")
    raise DataError(
        f"{spec.name}: expected the files on which it was made ({spec.source}, fingerprint "
        f"{spec.fingerprint}) in {data_root} or {results / 'phantoms'}, found "
        f"{', '.join(met) or 'none of that dataset'}. Name their folder with --data-root."
    )
