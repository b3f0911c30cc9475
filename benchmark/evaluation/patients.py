"""Masks in files, sorted by patient, and what they measure: the work of `measure`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import datasets
from benchmark.environment import available_processors
from benchmark.errors import DataError
from benchmark.evaluation.folders import below_phantom
from benchmark.evaluation.matching import Target, case_name, find_targets, find_tree
from benchmark.evaluation.measure import HeartMask, Measurement, measure_mask, measure_patient
from benchmark.records import read_record
from datasets import nifti
from datasets.case import DatasetError, DatasetInfo

# How far above a file the root of its release lies: root/training/patient001/file.
_DEPTH = 3

MEASUREMENT_COLUMNS = ("patient", "case", "name", "method", "value", "unit", "reason", "source")


@dataclass(frozen=True)
class Measurements:
    """What came of measuring masks.

    Attributes:
        rows: One row per patient (or, where the instant is not known, case) and quantity, with
            `MEASUREMENT_COLUMNS`. `case` names the mask of a quantity that it alone tells.
        patients: How many patients there are.
        masks: The files, in the order in which they were found.
        unplaced: Cases whose names do not tell the instant, so that they are no part of an
            ejection fraction.
        source: `real` or `phantom`; empty where nothing tells.
        release: What a tree is if not the official release.
    """

    rows: list[dict[str, Any]]
    patients: int
    masks: list[Path]
    unplaced: list[str]
    source: str
    release: str


@dataclass(frozen=True)
class Selection:
    """The masks that are to be measured.

    Attributes:
        targets: Each with its patient; with `phase` and `view` in its metadata where known.
        source: `real` or `phantom`; empty where nothing tells.
        release: What a tree is if not the official release.
    """

    targets: list[Target]
    source: str
    release: str


def row_of(measurement: Measurement, *, patient: str, case: str, source: str) -> dict[str, Any]:
    """Return a row with `MEASUREMENT_COLUMNS`."""
    return {
        "patient": patient, "case": case, "name": measurement.name, "method": measurement.method,
        "value": measurement.value, "unit": measurement.unit, "reason": measurement.reason,
        "source": source,
    }  # fmt: skip


def find_masks(places: Sequence[Path], info: DatasetInfo) -> Selection:
    """Find the masks at places: files, folders of any depth, or trees of the dataset.

    Patient, instant and view are told by the tree, also where a place is a part of it, or by the
    names of files (`patient001_ED`, `patient0001_2CH_ES`). A mask whose name tells no patient is a
    patient of its own.

    Raises:
        DataError: There is no mask, or two are of the same case, or of the same instant of a
            patient.
        DatasetError: A tree is not as it should be.
    """
    targets: list[Target] = []
    sources, releases = set(), set()
    for place in places:
        tree = find_tree(place, info)
        inner = None if tree else _around(place, info)
        if inner:
            tree, found = inner
        else:
            found = find_targets(place, info, tree)
        targets += [replace(each, patient=each.patient or each.case) for each in found]
        sources.add(tree.source if tree else _source(place))
        releases.add(tree.release if tree else "")
    return Selection(_distinct(targets), _joint(sources), ", ".join(sorted(releases - {""})))


def two_instants(diastole: Sequence[Path], systole: Sequence[Path], info: DatasetInfo) -> Selection:
    """Take the masks of one patient whose instants the user tells.

    Args:
        diastole: Masks at end diastole: one, or of echo one of each view, told by its name.
        systole: Masks at end systole likewise.
        info: The dataset.

    Raises:
        DataError: The dataset has no instants, a file is not there, or two are of one view.
    """
    if not info.phases:
        raise DataError(
            f"--ed, --es: {info.title} has no instants of the heart cycle. Name its masks as they "
            "are, without options."
        )
    targets = []
    for phase, paths in (("ED", diastole), ("ES", systole)):
        for path in paths:
            if not path.is_file():
                raise DataError(f"{path}: expected the mask of {phase}, found no file.")
            name = case_name(path)
            patient, told = datasets.parse_case(info.name, name)
            if info.dims == 2 and "view" not in told:
                raise DataError(
                    f"{path}: expected a name that tells the view, such as "
                    f"patient0001_2CH_{phase}.nii.gz."
                )
            told["phase"] = phase
            targets.append(Target(name, path, frozenset(), None, patient, told))
    named = next((target.patient for target in targets if target.patient), targets[0].case)
    several = sorted({target.patient for target in targets if target.patient})
    if len(several) > 1:
        raise DataError(
            f"--ed, --es: expected the masks of one patient, their names tell "
            f"{' and '.join(several)}. Name masks of several patients without options."
        )
    sources = {_source(target.truth) for target in targets}
    one = [replace(target, patient=named) for target in targets]
    return Selection(_distinct(one), _joint(sources), "")


def measure_files(
    selection: Selection,
    info: DatasetInfo,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Measurements:
    """Measure the patients of a selection, several at once.

    Args:
        selection: From `find_masks` or `two_instants`.
        info: The dataset: labels and axes that masks must have, instants and views.
        progress: Called with (done, total) after each patient.

    Raises:
        DataError: A mask cannot be read, has other axes, or holds labels that the dataset has not.
    """
    patients: dict[str, list[Target]] = {}
    for target in selection.targets:
        patients.setdefault(target.patient, []).append(target)
    job = partial(_measure, info=info, source=selection.source)
    rows: list[dict[str, Any]] = []
    try:
        # Unpacking and most of NumPy release the interpreter lock.
        with ThreadPoolExecutor(available_processors()) as pool:
            for done, found in enumerate(pool.map(job, sorted(patients.items())), start=1):
                rows += found
                progress(done, len(patients))
    except DatasetError as error:
        raise DataError(str(error)) from None
    unplaced = [each.case for each in selection.targets if info.phases and not _phase(each)]
    masks = [target.truth for target in selection.targets]
    return Measurements(rows, len(patients), masks, unplaced, selection.source, selection.release)


def _measure(
    patient: tuple[str, list[Target]], *, info: DatasetInfo, source: str
) -> Iterable[dict[str, Any]]:
    """The rows of one patient: what its masks tell together, then masks of unknown instants."""
    name, targets = patient
    beats = bool(info.phases)
    placed = [target for target in targets if _phase(target) or not beats]
    rows = []
    if placed:
        masks = [_read(target, info) for target in placed]
        case = placed[0].case if len(placed) == 1 and not beats else ""
        for found in measure_patient(masks, info.classes, dims=info.dims, beats=beats):
            rows.append(row_of(found, patient=name, case=case, source=source))
    for target in targets:
        if target not in placed:
            mask = _read(target, info)
            for found in measure_mask(
                mask.label_map, mask.spacing_mm, info.classes, view=mask.view
            ):
                rows.append(row_of(found, patient=name, case=target.case, source=source))
    return rows


def _read(target: Target, info: DatasetInfo) -> HeartMask:
    mask = nifti.read_mask(target.truth, info.classes.values(), dims=info.dims)
    view = target.metadata.get("view", "")
    return HeartMask(mask.array, mask.spacing_mm, _phase(target), view)


def _phase(target: Target) -> str:
    return target.metadata.get("phase", "")


def _joint(sources: set[str]) -> str:
    """What masks of several kinds are told as: what would mislead most if it were left out."""
    return next(kind for kind in ("phantom", "", "real") if kind in sources)


def _source(place: Path) -> str:
    """What masks outside a tree are of: those that a run predicted, of what it was tested on."""
    if below_phantom(place):
        return "phantom"
    at = place.resolve()
    folders = (folder for folder in (at, *at.parents[:2]) if folder.is_dir())
    records = (read_record(folder) for folder in folders)
    return next((str(record["spec"]["source"]) for record in records if record), "")


def _around(place: Path, info: DatasetInfo) -> tuple[datasets.Found, list[Target]] | None:
    """The tree that a file or folder lies in, and its cases there: a part of a release."""
    at = place.resolve()
    for folder in at.parents[:_DEPTH]:
        tree = datasets.find(info.name, folder)
        if tree is None or not at.is_relative_to(tree.root.resolve()):
            continue
        # Faults of other patients are no concern of those that are asked for.
        cases = datasets.read_cases(info.name, tree.root, [])
        found = [
            Target(case.id, case.mask, frozenset(), None, case.patient, case.metadata)
            for case in cases
            if case.mask.resolve().is_relative_to(at)
        ]
        if found:
            return tree, found
    return None


def _distinct(targets: Sequence[Target]) -> list[Target]:
    """The targets, each file once; two of the same instant are no answer to any question."""
    files: dict[Path, Target] = {target.truth.resolve(): target for target in targets}
    seen: dict[tuple[str, ...], Target] = {}
    for target in files.values():
        phase, view = _phase(target), target.metadata.get("view", "")
        # Without an instant a mask stands for itself, and is told apart by its case.
        key = (target.patient, view, phase) if phase else (target.patient, target.case)
        rival = seen.setdefault(key, target)
        if rival is not target:
            what = " ".join(filter(None, (target.patient, view, phase or target.case)))
            raise DataError(
                f"expected one mask of {what}, found {rival.truth} and {target.truth}. "
                "Name one of them."
            )
    return list(files.values())
