"""What follows a finished run from its weights: tests on other files, and corrupted images.

.. code-block:: yaml

    matrix:
      test_on: [camus, LA2018]    # every run is evaluated there too, where a class is shared
    sites:                        # other files in the layout of a known dataset, by a name of yours
      LA2018: {dataset: decathlon, data_root: ../la2018}
    datasets:
      acdc:                       # without this, classes of the same name are the same structure
        test_on: {camus: {left_ventricle: left_ventricle, myocardium: myocardium}}
    robustness: {corruptions: [noise, blur], severities: [1, 3, 5], cases: 8}

None of it is part of a run's key: adding a line trains nothing again. The two ways to write
`test_on` add up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

import datasets
from benchmark.errors import nearest
from benchmark.evaluation.corruption import CORRUPTIONS, SEVERITIES
from benchmark.experiment.config_types import (
    DatasetName,
    Distinct,
    Fault,
    Positive,
    Section,
    known,
)
from benchmark.experiment.yaml_tree import Location

if TYPE_CHECKING:
    from benchmark.experiment.config import Experiment

ClassMap = dict[str, str]


class SiteSection(Section):
    """Files that are not those the runs are trained on, in the layout of a dataset."""

    dataset: DatasetName
    data_root: Annotated[str, Field(min_length=1)]


class RobustnessSection(Section):
    """Which corruptions the test images of every run are given, and how many images."""

    corruptions: Annotated[
        tuple[Annotated[str, known("corruption", tuple(CORRUPTIONS))], ...],
        Field(min_length=1),
        Distinct,
    ] = tuple(CORRUPTIONS)
    severities: Annotated[
        tuple[Annotated[int, Field(ge=1, le=SEVERITIES)], ...], Field(min_length=1), Distinct
    ] = (1, 3, 5)
    cases: Positive = 8


def places(experiment: Experiment) -> dict[str, str]:
    """Return every place a run can be tested on, and the dataset whose layout it has."""
    own = {name: name for name in experiment.datasets}
    return own | {name: site.dataset for name, site in experiment.sites.items()}


def tests_of(experiment: Experiment, dataset: str) -> dict[str, ClassMap | None]:
    """Return where the runs of a dataset are tested too, with the map of classes the file gives.

    ``matrix.test_on`` leaves a dataset's own place out: that is where its folds are tested.
    """
    asked: dict[str, ClassMap | None] = {
        name: None for name in experiment.matrix.test_on if name != dataset
    }
    return asked | experiment.datasets[dataset].test_on


def name_fault(site: str) -> str:
    """Return why other files cannot have this name; an empty text if they can."""
    if not re.fullmatch(r"\w[\w.-]*", site):
        return "expected letters, digits, '.', '_' or '-' as a name: it names a folder."
    if site in datasets.NAMES:
        return f"expected a name of your own for other files, {site!r} is the dataset itself."
    return ""


def check_follow(experiment: Experiment) -> None:
    """Refuse places and classes that there are not.

    Raises:
        Fault: With the place of the file.
    """
    for name in experiment.sites:
        if fault := name_fault(name):
            raise Fault(("sites", name), fault)
    there = places(experiment)
    for number, name in enumerate(experiment.matrix.test_on):
        _check_place(there, name, ("matrix", "test_on", number))
    for dataset, section in experiment.datasets.items():
        for name, classes in section.test_on.items():
            where: Location = ("datasets", dataset, "test_on", name)
            _check_place(there, name, where)
            if name == dataset:
                raise Fault(where, f"{dataset} is tested on itself by its folds already.")
            if classes is not None and (found := map_fault(classes, dataset, there[name])):
                at, text = found
                raise Fault((*where, at) if at else where, text)


def _check_place(there: Mapping[str, str], name: str, where: Location) -> None:
    if name not in there:
        raise Fault(
            where,
            f"expected a place among {', '.join(there)} (from 'datasets:' and 'sites:'), got "
            f"{name!r}.{nearest(name, there)}",
        )


def map_fault(classes: Mapping[str, str], trained: str, tested: str) -> tuple[str, str] | None:
    """Return which entry of a map of classes is wrong and how; None where all are right.

    Args:
        classes: Class of the files by class of the model.
        trained: The dataset of the model.
        tested: The dataset of the files.
    """
    if not classes:
        return "", "expected at least one 'class of the model: class of the files'."
    for ours, theirs in classes.items():
        for name, dataset in ((ours, trained), (theirs, tested)):
            having = datasets.info(dataset).classes
            if name not in having:
                told = f"{dataset} has no class {name!r}; it has {', '.join(having)}."
                return ours, told + nearest(name, having)
    return None
