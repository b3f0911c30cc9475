"""Which class of a model is which class of the files it is tested on, and when there is no test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

import datasets
from benchmark.experiment.spec import RunSpec
from benchmark.generalisation.tasks import CrossTest

if TYPE_CHECKING:
    from benchmark.data.preprocessing import Labels


def shared_classes(trained: str, tested: str) -> dict[str, str]:
    """Return the map of two datasets that state none: classes of the same name are the same.

    The left ventricle is the cavity in ACDC and in CAMUS, the myocardium is that of the left
    ventricle in both, the left atrium that of the Decathlon, of LA2018 and of CAMUS.
    """
    theirs = datasets.info(tested).classes
    return {name: name for name in datasets.info(trained).classes if name in theirs}


def translate(predicted: Labels, table: Labels) -> Labels:
    """Return a label map of the model in the labels of the files."""
    return np.asarray(table[predicted], np.uint8)


def label_table(
    classes: Mapping[str, str], trained: Mapping[str, int], tested: Mapping[str, int]
) -> Labels:
    """Return the label of the files for each label of the model; what has none is background.

    Args:
        classes: Class of the files by class of the model.
        trained: Labels of the model.
        tested: Labels of the files.
    """
    table = np.zeros(256, np.uint8)
    for ours, theirs in classes.items():
        table[trained[ours]] = tested[theirs]
    return table


def why_not(spec: RunSpec, task: CrossTest) -> str:
    """Return why a run cannot be tested there, or an empty text if it can."""
    trained, tested = datasets.info(spec.dataset), datasets.info(task.dataset)
    if not task.classes:
        return (
            f"{trained.name} ({', '.join(trained.classes)}) and {tested.name} "
            f"({', '.join(tested.classes)}) have no class in common; a map would state one (in the "
            f"file under datasets.{trained.name}.test_on, --classes of test-on)"
        )
    if spec.dims == 3 and tested.dims == 2:
        return f"a volumetric network reads volumes, and {tested.name} has planar images"
    if spec.source != task.source:
        return f"trained on {spec.source} data, and the files there are {task.source} data"
    if (spec.dataset, spec.fingerprint) == (task.dataset, task.fingerprint):
        return "these are the files it was trained on; its folds are tested there"
    return ""


def grid_mm(spec: RunSpec, task: CrossTest) -> tuple[float | None, ...]:
    """Return the grid on which the model sees the files: the one it was trained on.

    Where the protocol keeps the files' own distance of slices, planar networks keep it here too.
    Volumetric ones see slices as far apart as those of their own dataset usually are: their kernels
    and poolings are made for that.
    """
    protocol = spec.protocol.spacing_mm
    if spec.dims == 2 or spec.dataset == task.dataset:
        return protocol
    usual = datasets.info(spec.dataset).spacing_mm
    return tuple(own if mm is None else mm for mm, own in zip(protocol, usual, strict=True))
