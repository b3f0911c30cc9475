"""A finished run on corrupted images of its own test cases."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import datasets
from benchmark.data.preprocessing import Array, Labels, prepare
from benchmark.errors import BenchmarkError
from benchmark.evaluation.cases import foreground_mean
from benchmark.evaluation.comparison import compare
from benchmark.evaluation.corruption import corrupt, kind_for
from benchmark.evaluation.metrics import METRICS
from benchmark.evaluation.postprocessing import keep_largest
from benchmark.experiment.sources import fingerprint
from benchmark.generalisation.tasks import Robustness
from benchmark.records import AXES, write_table
from benchmark.trained import Trained
from datasets import nifti
from datasets.case import Case, Volume

if TYPE_CHECKING:
    from benchmark.evaluation.inference import Predictor

CLEAN = "none"
COLUMNS = (
    *("run", *AXES, "case", "patient", "corruption", "severity", "level"),
    *("class", "kind", "outcome", "dice"),
)


def evaluate_corrupted(
    trained: Trained,
    predictor: Predictor,
    task: Robustness,
    record: dict[str, Any],
    *,
    folder: Path,
    results: Path,
    progress: Callable[[int, int], None],
) -> None:
    """Predict some test cases as they are and corrupted, and write their Dice; fill the record.

    Args:
        trained: The run.
        predictor: Its network.
        task: Kinds, severities and the number of cases.
        record: Is given the cases, what the kinds mean here, and the Dice without corruption.
        folder: The task's folder; ``cases.csv`` goes there.
        results: Results folder; not used, as no corrupted image is kept.
        progress: Called with (done, total) after each prediction.

    Raises:
        BenchmarkError: The files are not those of the run, or show no class at all.
    """
    spec, info = trained.spec, datasets.info(trained.spec.dataset)
    cases = chosen(_test_cases(trained, task), task.cases)
    unannotated = set(trained.record.get("unannotated_classes") or ())
    classes = {name: label for name, label in info.classes.items() if name not in unannotated}
    record["classes"] = classes
    record["corruptions"] = {
        name: {
            "title": (kind := kind_for(name, info.modality)).title,
            "unit": kind.unit,
            "levels": list(kind.levels),
        }
        for name in task.corruptions
    }
    record["tested"] = [case.id for case in cases]
    axes = {axis: getattr(spec, axis) for axis in AXES}
    rows: list[dict[str, Any]] = []
    predictor.warm_up()
    grades = [(CLEAN, 0), *((name, n) for name in task.corruptions for n in task.severities)]
    for number, case in enumerate(cases):
        image, truth = nifti.read_pair(case, info)
        nothing = np.zeros(image.array.shape, np.uint8)  # the mask is no part of a prediction
        for step, (name, severity) in enumerate(grades):
            worse: Array = corrupt(
                image.array, image.spacing_mm,
                name=name, severity=severity, case=case.id, modality=info.modality,
            )  # fmt: skip
            prepared = prepare(worse, nothing, image.spacing_mm, spec.protocol.spacing_mm)
            predicted = predictor.mask(prepared)
            if trained.largest:
                predicted = keep_largest(predicted, trained.largest)
            levels = record["corruptions"].get(name, {"levels": ()})["levels"]
            rows += [
                {
                    **axes,
                    "run": spec.key,
                    "case": case.id,
                    "patient": case.patient,
                    "corruption": name,
                    "severity": severity,
                    "level": levels[severity - 1] if severity else 0.0,
                    **scored,
                }
                for scored in _dice(truth, predicted, classes)
            ]
            progress(number * len(grades) + step + 1, len(cases) * len(grades))
    write_table(folder / "cases.csv", rows, COLUMNS)
    record["summary"] = {
        "dice": foreground_mean([row for row in rows if not row["severity"]], "dice")
    }
    if not math.isfinite(record["summary"]["dice"]):
        raise BenchmarkError("expected test cases that show a class, found none among those taken.")


def chosen(cases: Sequence[Case], most: int) -> list[Case]:
    """Return at most so many cases, of as many patients as there can be; by hash, for all alike."""
    by_patient: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: _hash(case.id)):
        by_patient.setdefault(case.patient, []).append(case)
    patients = sorted(by_patient, key=_hash)
    rounds = zip_longest(*(by_patient[patient] for patient in patients))
    return [case for turn in rounds for case in turn if case is not None][:most]


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _test_cases(trained: Trained, task: Robustness) -> list[Case]:
    patients = set(trained.record["split"]["test"])
    cases = datasets.read_cases(trained.spec.dataset, task.root)
    if fingerprint(trained.spec.dataset, task.root, cases) != trained.spec.fingerprint:
        raise BenchmarkError(
            f"{task.root}: expected the files that {trained.record['key']} was trained on, found "
            "others. Give their folder."
        )
    return [case for case in cases if case.patient in patients]


def _dice(truth: Volume, predicted: Labels, classes: dict[str, int]) -> Iterator[dict[str, Any]]:
    for name, label in classes.items():
        both = compare(truth.array == label, predicted == label, truth.spacing_mm)
        dice = METRICS["dice"].of(both)  # distances, which take long, are not worked out
        yield {"class": name, "kind": "class", "outcome": both.outcome, "dice": dice}
