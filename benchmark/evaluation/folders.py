"""Masks that any tool predicted, scored against the truth by the rules of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.preprocessing import Labels
from benchmark.environment import available_processors
from benchmark.errors import DataError
from benchmark.evaluation.cases import METADATA, scored_regions
from benchmark.evaluation.comparison import DEFAULT_TOLERANCE_MM
from benchmark.evaluation.endpoints import ClinicalCollector
from benchmark.evaluation.errors import ERROR_COLUMNS, locate_errors
from benchmark.evaluation.matching import Target, find_pairs, find_tree
from benchmark.evaluation.metrics import METRICS, score
from benchmark.evaluation.surface import Definition
from datasets import nifti
from datasets.case import Case, DatasetError, DatasetInfo
from datasets.layout import is_phantom

# The order in which the table is asked for; what else is known stands behind it.
_FIRST = (
    "case", "class", "dice", "iou", "precision", "recall", "hd_mm", "hd95_mm", "assd_mm",
    "masd_mm", "nsd", "volume_error_ml",
)  # fmt: skip
COLUMNS = (
    *_FIRST, "kind", "outcome", "patient", *METADATA,
    *(name for name in METRICS if name not in _FIRST), *ERROR_COLUMNS, "source",
)  # fmt: skip

_ALL_LABELS = range(1, 256)


@dataclass(frozen=True)
class FolderScores:
    """What came of comparing two folders.

    Attributes:
        rows: One row per case and class or region, with the keys `COLUMNS`.
        clinical: One row per patient, endpoint and method, with `ENDPOINT_COLUMNS`; none without a
            dataset, which tells what the classes are.
        unplaced: Cases of a dataset without endpoints, because neither a tree nor their names tell
            patient and phase.
        classes: Label by name of what was scored.
        unannotated: Classes of the dataset that no true mask shows; they are not scored.
        ignored: Labels in the masks that are none of the named classes; they are not scored.
        missing: Cases without a prediction.
        unused: Predictions without a truth.
        source: `real` or `phantom`; empty where nothing tells.
        release: What a tree is if not the official release.
    """

    rows: list[dict[str, Any]]
    clinical: list[dict[str, Any]]
    unplaced: list[str]
    classes: dict[str, int]
    unannotated: list[str]
    ignored: list[int]
    missing: list[str]
    unused: list[Path]
    source: str
    release: str


def score_folders(
    truth: Path,
    predictions: Path,
    *,
    info: DatasetInfo | None = None,
    classes: Mapping[str, int] | None = None,
    definition: Definition = "metrics_reloaded",
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    skip_missing: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> FolderScores:
    """Score every true mask against the prediction of the same name.

    A truth without a prediction is scored as if nothing had been predicted: its structures are
    missed. Predictions without a truth are named, and have no score.

    Args:
        truth: A folder of masks, at any depth, or one mask; with `info` also the dataset's tree.
        predictions: A folder of masks, at any depth, or one mask.
        info: The dataset: gives classes, regions, and what is known of its cases.
        classes: Label by name where there is no dataset, others being ignored; by default every
            label of truth or prediction.
        definition: Which definition of surface distances holds.
        tolerance_mm: Tolerance of NSD.
        skip_missing: Leave cases without a prediction out (they are still named).
        progress: Called with (done, total) after each case.

    Raises:
        DataError: There is nothing to compare, names are ambiguous, a file cannot be read, holds
            other labels, or does not lie on the grid of its truth.
    """
    try:
        tree = find_tree(truth, info)
        source = tree.source if tree else "phantom" * below_phantom(truth)
        targets, unused = find_pairs(truth, predictions, info, tree)
        missing = [target.case for target in targets if target.prediction is None]
        with ThreadPoolExecutor(available_processors()) as pool:
            # Unpacking, distance transforms and most of NumPy release the interpreter lock.
            named, unannotated = _classes(targets, info, classes, pool)
            regions = scored_regions(info, unannotated) if info else {}
            placed = {target.case for target in targets if info and _is_placed(target, info)}
            clinical = ClinicalCollector(named, stated=source != "phantom")
            job = partial(
                _score, clinical=clinical, placed=placed, classes=named, regions=regions,
                dims=info.dims if info else None, source=source,
                labels=tuple(info.classes.values()) if info else _ALL_LABELS,
                definition=definition, tolerance_mm=tolerance_mm,
            )  # fmt: skip
            chosen = [each for each in targets if each.prediction or not skip_missing]
            rows: list[dict[str, Any]] = []
            shown: set[int] = set()
            for done, (scored, labels) in enumerate(pool.map(job, chosen), start=1):
                rows += scored
                shown |= labels
                if progress:
                    progress(done, len(chosen))
    except DatasetError as error:
        raise DataError(str(error)) from None
    return FolderScores(
        rows, clinical.rows(), [each.case for each in chosen if info and each.case not in placed],
        named, unannotated, [] if info else sorted(shown - set(named.values())), missing, unused,
        source, tree.release if tree else "",
    )  # fmt: skip


def below_phantom(truth: Path) -> bool:
    """Whether the masks lie within a phantom's tree, whatever they are scored as."""
    place = truth.resolve()
    return any(is_phantom(folder) for folder in (place, *place.parents))


def _is_placed(target: Target, info: DatasetInfo) -> bool:
    """Whether it is known which patient, and which instant, a case is of."""
    return bool(target.patient) and ("phase" in target.metadata or not info.phases)


def _classes(
    targets: Sequence[Target],
    info: DatasetInfo | None,
    classes: Mapping[str, int] | None,
    pool: ThreadPoolExecutor,
) -> tuple[dict[str, int], list[str]]:
    """The classes to score, and those of the dataset that no true mask shows."""
    if classes:
        return dict(classes), []
    dims = info.dims if info else None
    wanted = set(info.classes.values()) if info else set(_ALL_LABELS)
    paths = [target.truth for target in targets]
    if not info:
        # A label that only the prediction has is an error of its own.
        paths += [target.prediction for target in targets if target.prediction]
    shown: set[int] = set()
    step = 2 * available_processors()
    for start in range(0, len(paths), step):
        # Most often the first masks show everything, and the rest need not be read for this.
        group = paths[start : start + step]
        shown |= set().union(*pool.map(partial(_labels, wanted=wanted, dims=dims), group))
        if shown >= wanted:
            break
    if info:
        named = {name: label for name, label in info.classes.items() if label in shown}
        return named, [name for name in info.classes if name not in named]
    if not shown:
        raise DataError(f"{targets[0].truth.parent}: expected masks with labels, found only 0.")
    return {f"label_{label}": label for label in sorted(shown)}, []


def _labels(path: Path, *, wanted: Collection[int], dims: int | None) -> set[int]:
    return _shown(nifti.read_mask(path, wanted, dims=dims).array)


def _shown(array: Labels) -> set[int]:
    return {int(label) for label in np.flatnonzero(np.bincount(array.ravel()))} - {0}


def _score(
    target: Target,
    *,
    clinical: ClinicalCollector,
    placed: Collection[str],
    classes: Mapping[str, int],
    regions: Mapping[str, tuple[int, ...]],
    labels: Collection[int],
    dims: int | None,
    source: str,
    definition: Definition,
    tolerance_mm: float,
) -> tuple[list[dict[str, Any]], set[int]]:
    """The rows of one case, and the labels that its masks show."""
    if target.prediction is None:
        truth = nifti.read_mask(target.truth, labels, dims=dims)
        predicted = np.zeros_like(truth.array)
    else:
        truth, found = nifti.read_masks(target.truth, target.prediction, labels, dims=dims)
        predicted = found.array
    if target.case in placed:
        case = Case(target.case, target.patient, target.truth, target.truth, target.metadata)
        clinical.add(case, truth.array, predicted, truth.spacing_mm)
    known = {name: target.metadata.get(name, "") for name in METADATA}
    scores = score(
        truth.array, predicted, truth.spacing_mm, classes,
        regions=regions, tolerance_mm=tolerance_mm, definition=definition,
    )  # fmt: skip
    errors = locate_errors(truth.array, predicted, truth.spacing_mm, classes)
    rows = [
        {
            "case": target.case, "patient": target.patient, **known, **row,
            **errors.get(str(row["class"]), {}), "source": source,
        }
        for row in scores
    ]  # fmt: skip
    return rows, _shown(truth.array) | _shown(predicted)
