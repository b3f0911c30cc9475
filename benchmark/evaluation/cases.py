"""Every test case at native geometry: prediction, scores, mask file, picture for the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.cache import CachedCase
from benchmark.errors import DataError
from benchmark.evaluation.endpoints import CLINICAL_COLUMNS, ClinicalCollector
from benchmark.evaluation.errors import ERROR_COLUMNS, locate_errors
from benchmark.evaluation.excerpt import write_excerpt
from benchmark.evaluation.inference import Predictor
from benchmark.evaluation.metrics import METRICS, score
from benchmark.evaluation.postprocessing import keep_largest
from benchmark.experiment.spec import RunSpec
from benchmark.records import write_table
from datasets import nifti
from datasets.case import DatasetError, DatasetInfo

METADATA = ("phase", "group", "view", "quality")
CASE_COLUMNS = (
    "run", "architecture", "dataset", "source", "fold", "seed", "case", "patient", *METADATA,
    "class", "kind", "outcome", *METRICS, *ERROR_COLUMNS, "inference_s",
)  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """The scores of one run.

    Attributes:
        rows: One row per case and class or region, as in ``cases.csv``.
        inference_s: Time per case from prepared image to native label map.
    """

    rows: list[dict[str, Any]]
    inference_s: list[float]

    def summary(self) -> dict[str, float]:
        """Return the mean over cases of the mean over scored classes, for Dice and IoU."""
        return {name: foreground_mean(self.rows, name) for name in ("dice", "iou")}


def foreground_mean(rows: Iterable[Mapping[str, Any]], metric: str) -> float:
    """Return the mean over cases of the mean over scored classes; regions do not count."""
    per_case: dict[str, list[float]] = {}
    for row in rows:
        if row["outcome"] != "both_empty" and row["kind"] == "class":
            per_case.setdefault(row["case"], []).append(row[metric])
    means = [float(np.mean(values)) for values in per_case.values()]
    return float(np.mean(means)) if means else float("nan")


def evaluate(
    predictor: Predictor,
    cases: Sequence[CachedCase],
    *,
    spec: RunSpec,
    info: DatasetInfo,
    unannotated: Collection[str],
    folder: Path,
    largest: Collection[int] = (),
    axes: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Predict and score test cases on their own grids; write ``cases.csv``, masks and pictures.

    Args:
        predictor: Applies the trained model.
        cases: Prepared test cases.
        spec: The run.
        info: The dataset.
        unannotated: Classes that no mask of the dataset shows; they are not scored.
        folder: The run's folder.
        largest: Labels of which only the largest piece is kept, as part of the inference.
        axes: What every row says of the run; by default what the run was trained on.
        progress: Called with (done, total) after each case.

    Raises:
        DataError: A case's files can no longer be read.
    """
    classes = {name: label for name, label in info.classes.items() if name not in unannotated}
    regions = scored_regions(info, unannotated)
    own = {"run": spec.key, "architecture": spec.architecture, "dataset": spec.dataset,
           "source": spec.source, "fold": spec.fold, "seed": spec.seed}  # fmt: skip
    axes = {**own, **(axes or {})}
    clinical = ClinicalCollector(classes, stated=axes["source"] != "phantom")
    rows: list[dict[str, Any]] = []
    seconds: list[float] = []
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    predictor.warm_up()  # compile outside the clock
    for cached in cases:
        prepared = cached.prepared.in_memory()  # reading the cache is not inference
        begin = time.perf_counter()
        predicted = predictor.mask(prepared)
        if largest:
            predicted = keep_largest(predicted, largest)
        seconds.append(time.perf_counter() - begin)
        try:
            image, truth = nifti.read_pair(cached.case, info)
        except DatasetError as error:
            raise DataError(str(error)) from None
        nifti.write_mask(folder / "predictions" / f"{cached.case.id}.nii.gz", predicted, like=truth)
        scores = score(
            truth.array, predicted, truth.spacing_mm, classes,
            regions=regions,
            tolerance_mm=spec.protocol.nsd_tolerance_mm,
            definition=spec.protocol.surface_definition,
        )  # fmt: skip
        errors = locate_errors(truth.array, predicted, truth.spacing_mm, classes)
        clinical.add(cached.case, truth.array, predicted, truth.spacing_mm)
        rows += [
            {
                **axes,
                "case": cached.case.id,
                "patient": cached.case.patient,
                **{name: cached.case.metadata.get(name, "") for name in METADATA},
                **scored,
                **errors.get(str(scored["class"]), {}),
                "inference_s": seconds[-1],
            }
            for scored in scores
        ]
        write_excerpt(
            folder / "slices" / f"{cached.case.id}.npz",
            image.array, truth.array, predicted, truth.spacing_mm,
            dice=foreground_mean(rows[-len(scores) :], "dice"),
        )  # fmt: skip
        progress(len(seconds), len(cases))
    write_table(folder / "cases.csv", rows, CASE_COLUMNS)
    measured = [{**axes, **row} for row in clinical.rows()]
    write_table(folder / "clinical.csv", measured, CLINICAL_COLUMNS)
    return Evaluation(rows, seconds)


def scored_regions(info: DatasetInfo, unannotated: Collection[str]) -> dict[str, tuple[int, ...]]:
    """Return the regions of the dataset all of whose labels are annotated."""
    missing = {info.classes[name] for name in unannotated}
    return {name: labels for name, labels in info.regions.items() if missing.isdisjoint(labels)}


def unannotated_classes(info: DatasetInfo, cases: Sequence[CachedCase]) -> list[str]:
    """Return the classes of the dataset that none of its masks shows (a partial release)."""
    # `any` stops at the first mask that shows the class, which mostly is the first of all.
    return [
        name
        for name, label in info.classes.items()
        if not any((cached.prepared.mask == label).any() for cached in cases)
    ]
