"""Opening every file of a release and saying all that is wrong with it.

Reading for training stops at the first fault; here every one is collected, each as one line that
names the file, what was expected and what was found.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import datasets
from datasets import camus, layout, mhd, nifti, nifti_file
from datasets.case import Case, DatasetError, DatasetInfo
from datasets.census import image_files, missing_patients
from datasets.grid import AGAIN, in_mm
from datasets.truth import Comparison, Reading, compare_acdc, compare_phantom

Progress = Callable[[int, int], None]

# A release keeps to its protocol: no scanner differs from the usual by more than this factor.
_PLAUSIBLE = 2.5
_SAME_SPACING = 1e-3
# Volumes are read whole: more threads than these would cost memory and gain nothing.
_MOST_THREADS = 4


@dataclass(frozen=True)
class Verdict:
    """What a release on disk is worth.

    Attributes:
        name: The dataset.
        found: Where it lies and what it is.
        patients: Number of patients with a case.
        cases: Number of cases: pairs of image and mask.
        files: Number of image files that were opened.
        confirmed: What agrees with known values, one line each.
        notes: What is worth knowing and no fault, one line each.
        faults: One line each; empty for a sound release.
    """

    name: str
    found: datasets.Found
    patients: int
    cases: int
    files: int
    confirmed: tuple[str, ...]
    notes: tuple[str, ...]
    faults: tuple[str, ...]


def verify(
    name: str,
    found: datasets.Found,
    *,
    progress: Progress | None = None,
    threads: int | None = None,
) -> Verdict:
    """Open every image file of a release to its last byte and check what it says.

    Checked are: text files and pairs; each image and mask (whole, a plausible spacing, no NaN, no
    label but the dataset's, not empty) and that the two lie on one grid; that both instants of a
    recording have one shape and spacing; the number of patients; and the volumes of ACDC and of
    phantoms against the known ones.

    Args:
        name: A dataset of `datasets.NAMES`.
        found: As `datasets.find` gives it.
        progress: Called with the number of jobs done and of all.
        threads: How many files are opened at once; by default as many as there are cores, up to 4.
    """
    info, root = datasets.info(name), found.root
    errors: list[DatasetError] = []
    cases = datasets.read_cases(name, root, errors)
    files = image_files(root)
    sequences = _half_sequences(name, root, files, errors)
    paired = {path for case in (*cases, *sequences) for path in (case.image, case.mask)}
    jobs: list[Callable[[], Reading | list[DatasetError]]] = [
        *(partial(_read, case, info) for case in cases),
        *(partial(_read, case, camus.SEQUENCE_INFO) for case in sequences),
        *(partial(_open, path) for path in files if path not in paired),
    ]
    outcomes = _run(jobs, threads or min(_MOST_THREADS, os.cpu_count() or 1), progress)
    readings = [one for one in outcomes[: len(cases)] if isinstance(one, Reading)]
    for outcome in outcomes:
        if not isinstance(outcome, Reading):
            errors += outcome
    faults = [str(error) for error in errors]
    faults += _implausible(readings, info)
    faults += _between_phases(readings)
    patients = {case.patient for case in cases}
    notes: list[str] = []
    known = Comparison()
    if found.source == "phantom":
        known = compare_phantom(name, root, readings, len(patients))
    else:
        strange, notes = missing_patients(info, root, found.release, cases)
        faults += strange
        known = compare_acdc(readings) if name == "acdc" else known
    faults += known.faults
    return Verdict(
        name,
        found,
        patients=len(patients),
        cases=len(cases),
        files=len(paired.union(files)),
        confirmed=known.confirmed,
        notes=(*notes, *_absent_classes(readings, root)),
        # A fault that two checks meet is one fault, and one line whatever a file name holds.
        faults=tuple(dict.fromkeys(" ".join(fault.splitlines()) for fault in faults)),
    )


def _half_sequences(
    name: str, root: Path, files: Iterable[Path], errors: list[DatasetError]
) -> list[Case]:
    if name != "camus" or not any("_half_sequence" in path.name for path in files):
        return []
    return camus.read_half_sequences(root, errors)


def _run(
    jobs: Sequence[Callable[[], Reading | list[DatasetError]]],
    threads: int,
    progress: Progress | None,
) -> list[Reading | list[DatasetError]]:
    """Outcomes of the jobs in their order. Unpacking and counting release Python's lock."""
    outcomes = []
    with ThreadPoolExecutor(threads) as pool:
        try:
            for outcome in pool.map(lambda job: job(), jobs):
                outcomes.append(outcome)
                if progress is not None:
                    progress(len(outcomes), len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return outcomes


def _read(case: Case, info: DatasetInfo) -> Reading | list[DatasetError]:
    import numpy as np

    try:
        _, mask = nifti.read_pair(case, info)
    except DatasetError:
        # It stops at the first fault of the pair; this does not.
        return nifti.pair_faults(case, info)
    counts = np.bincount(mask.array.ravel(), minlength=max(info.classes.values()) + 1)
    if not counts[1:].any():
        return [
            DatasetError(
                f"{case.mask}: expected a labelled heart, received background alone. {AGAIN}"
            )
        ]
    unit = math.prod(mask.spacing_mm) / (1000 if len(mask.spacing_mm) == 3 else 1)
    amounts = {kind: float(counts[label]) * unit for kind, label in info.classes.items()}
    return Reading(case, mask.array.shape, mask.spacing_mm, amounts)


def _open(path: Path) -> list[DatasetError]:
    """Faults of a file that is part of no case, such as ACDC's 4D recordings."""
    faults: list[DatasetError] = []
    with layout.noting(faults):
        if path.suffix in (".mhd", ".mha"):
            mhd.read_grid(path)
        else:
            nifti_file.read_grid(path)
    return faults


def _implausible(readings: Iterable[Reading], info: DatasetInfo) -> list[str]:
    faults = []
    for reading in readings:
        usual = info.spacing_mm[-len(reading.spacing_mm) :]
        pairs = zip(reading.spacing_mm, usual, strict=True)
        if not all(step / _PLAUSIBLE <= mm <= step * _PLAUSIBLE for mm, step in pairs):
            faults.append(
                f"{reading.case.image}: expected a spacing near the usual {in_mm(usual)} (within a "
                f"factor of {_PLAUSIBLE:g}), received {in_mm(reading.spacing_mm)} in image and "
                f"mask. The headers were altered. {AGAIN}"
            )
    return faults


def _between_phases(readings: Iterable[Reading]) -> list[str]:
    """Faults of recordings whose instants do not lie on one grid."""

    def recording(reading: Reading) -> tuple[str, str]:
        return reading.case.patient, reading.case.metadata.get("view", "")

    faults = []
    for _, group in groupby(sorted(readings, key=recording), recording):
        first, *others = group
        for other in others:
            same = other.shape == first.shape and all(
                math.isclose(a, b, rel_tol=_SAME_SPACING)
                for a, b in zip(other.spacing_mm, first.spacing_mm, strict=True)
            )
            if not same:
                faults.append(
                    f"{other.case.image}: expected the grid of {first.case.image.name}, the other "
                    f"instant of the recording, {first.shape} at {in_mm(first.spacing_mm)}; "
                    f"received {other.shape} at {in_mm(other.spacing_mm)}. One was altered. {AGAIN}"
                )
    return faults


def _absent_classes(readings: Sequence[Reading], root: Path) -> list[str]:
    notes = []
    for kind in readings[0].amounts if readings else ():
        without = [reading.case.id for reading in readings if not reading.amounts[kind]]
        if len(without) == len(readings):
            notes.append(f"{root}: no mask holds the class {kind}")
        elif without:
            notes.append(
                f"{root}: {len(without)} masks lack the class {kind}: {layout.first(without)}"
            )
    return notes
