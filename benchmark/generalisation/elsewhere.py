"""A finished run on files it was not trained on, through a stated map of classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
from benchmark.data.cache import Cache
from benchmark.data.preprocessing import Labels, Prepared
from benchmark.errors import BenchmarkError
from benchmark.evaluation.cases import evaluate, unannotated_classes
from benchmark.evaluation.postprocessing import keep_largest
from benchmark.experiment.sources import fingerprint
from benchmark.experiment.start import already_seen
from benchmark.generalisation.maps import grid_mm, label_table, translate
from benchmark.generalisation.tasks import CrossTest
from benchmark.trained import Trained

if TYPE_CHECKING:
    from benchmark.evaluation.inference import Predictor


class Translator:
    """A predictor that speaks the labels of the files, post-processing of its run included.

    Args:
        predictor: Of the run.
        largest: Labels of the model of which only the largest piece is kept.
        table: Label of the files by label of the model.
    """

    def __init__(self, predictor: Predictor, largest: tuple[int, ...], table: Labels) -> None:
        self._predictor = predictor
        self._largest = largest
        self._table = table

    def warm_up(self) -> None:
        """Let the backend compile."""
        self._predictor.warm_up()

    def mask(self, prepared: Prepared) -> Labels:
        """Return the label map on the native grid of the case."""
        predicted = self._predictor.mask(prepared)
        if self._largest:
            predicted = keep_largest(predicted, self._largest)
        return translate(predicted, self._table)


def evaluate_elsewhere(
    trained: Trained,
    predictor: Predictor,
    task: CrossTest,
    record: dict[str, Any],
    *,
    folder: Path,
    results: Path,
    progress: Callable[[int, int], None],
) -> None:
    """Score all cases of the files on their own grids; fill the record.

    Args:
        trained: The run.
        predictor: Its network.
        task: Where it is tested, and which classes are compared.
        record: Is given classes, grid, cases and summary, or the status ``skipped`` where patients
            of these files were trained on.
        folder: The task's folder; ``cases.csv``, ``clinical.csv``, masks and pictures go there.
        results: Results folder, which holds the cache.
        progress: Called with (done, total) after each case.

    Raises:
        BenchmarkError: The files have changed since the plan was made, or show no class at all.
    """
    spec, info = trained.spec, datasets.info(task.dataset)
    cases = datasets.read_cases(task.dataset, task.root)
    if fingerprint(task.dataset, task.root, cases) != task.fingerprint:
        raise BenchmarkError(
            f"{task.root}: expected the files that the plan saw, found others. Start again."
        )
    patients = sorted({case.patient for case in cases})
    files = task.dataset, task.source, task.release
    run, known = already_seen(trained.record, files, patients)
    if known:
        record["status"] = "skipped"
        record["error"] = (
            f"{len(known)} of its patients were trained on (run {run}), such as {known[0]}"
        )
        return
    target_mm = grid_mm(spec, task)
    cached = Cache(results / "cache", info, target_mm).load(cases, progress)
    compared = set(task.classes.values())
    missing = unannotated_classes(info, cached)
    record["classes"] = {
        name: label for name, label in info.classes.items() if name in compared
    }  # fmt: skip
    record["unannotated_classes"] = [name for name in missing if name in compared]
    record["grid_mm"] = list(target_mm)
    record["cases"], record["patients"] = len(cases), len(patients)
    evaluation = evaluate(
        Translator(  # type: ignore[arg-type]  # of a predictor, `evaluate` uses these two methods
            predictor, trained.largest, label_table(task.classes, trained.classes, info.classes)
        ),
        cached,
        spec=spec,
        info=info,
        unannotated=sorted({*missing, *(set(info.classes) - compared)}),
        folder=folder,
        axes={"run": record["key"], "dataset": task.dataset, "source": task.source},
        progress=progress,
    )
    record["summary"] = evaluation.summary()
    if not math.isfinite(record["summary"]["dice"]):
        raise BenchmarkError(
            f"{task.root}: expected masks that show {', '.join(sorted(compared))}, found none. "
            "State other classes, or leave this test out."
        )
