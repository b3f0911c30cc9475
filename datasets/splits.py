"""Which cases are trained, validated and tested on: named splits, always by patient.

A split is a function of the patients, their metadata, and the arguments; the order of the cases
and where their files lie never matter. Seeded order comes from hashes of the patients' names, so
it is the same on every machine and in every version of every library.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from datasets.camus_lists import side_in_fold
from datasets.case import Case, DatasetError
from datasets.layout import first

_TASK02 = re.compile(r"la_[0-9]+")
_ACDC = re.compile(r"patient[0-9]{3}")


@dataclass(frozen=True)
class Split:
    """Case ids of each side, sorted. No patient is on two sides, and no side is empty."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def make_split(
    name: str,
    cases: Sequence[Case],
    *,
    fold: int = 0,
    folds: int = 5,
    validation_fraction: float = 0.2,
    seed: int = 0,
) -> Split:
    """Split `cases` by the named scheme.

    Args:
        name: A key of `SPLITS`.
        cases: The labelled cases of one dataset.
        fold: Which fold is the test side, from 0. Schemes with one partition only have fold 0.
        folds: Number of folds of `"kfold"`. The other schemes have the number they were
            published with.
        validation_fraction: Part of the patients outside the test side that validates, where the
            scheme does not say which; at least one patient.
        seed: Of the seeded order, where the scheme does not fix it.

    Raises:
        DatasetError: The name or an argument is unknown to the scheme, the files lack what the
            scheme needs, or a side would be empty.
    """
    scheme = SPLITS.get(name)
    if scheme is None:
        near = difflib.get_close_matches(name, SPLITS, n=1)
        raise DatasetError(
            f"Expected a split among {', '.join(SPLITS)}. Received: {name!r}."
            + (f" Did you mean {near[0]!r}?" if near else "")
        )
    if not cases:
        raise DatasetError(f"The split {name!r} received no cases.")
    if not 0 < validation_fraction < 1:
        raise DatasetError(
            f"Expected a validation_fraction between 0 and 1. Received: {validation_fraction}."
        )
    return scheme(cases, fold=fold, folds=folds, validation_fraction=validation_fraction, seed=seed)


def kfold(
    cases: Sequence[Case], *, fold: int, folds: int, validation_fraction: float, seed: int
) -> Split:
    """Seeded folds of patients, stratified by `group` where the metadata has it.

    The folds' sizes differ by at most one patient, and so do their counts of each group.
    """
    strata = _strata(cases)
    if folds < 2 or folds > len(strata):
        raise DatasetError(
            f"The split 'kfold' needs 2 folds or more and a patient for each. Received: "
            f"folds={folds} for {len(strata)} patients."
        )
    _check_fold("kfold", fold, folds)
    test = set(_shuffled(strata, f"kfold/{seed}")[fold::folds])
    return _carve("kfold", cases, test, fold, validation_fraction, seed)


def holdout(
    cases: Sequence[Case], *, fold: int, folds: int, validation_fraction: float, seed: int
) -> Split:
    """One seeded partition: 80 of 100 patients to train and validate, 20 to test; stratified."""
    _check_fold("holdout", fold, 1)
    order = _shuffled(_strata(cases), f"holdout/{seed}")
    test = set(_every(order, 0.2))
    return _carve("holdout", cases, test, fold, validation_fraction, seed)


def nnunet(
    cases: Sequence[Case], *, fold: int, folds: int, validation_fraction: float, seed: int
) -> Split:
    """nnU-Net's five folds of Task02 and of ACDC; the fold nnU-Net validates on is the test side.

    Task02: `KFold(5, shuffle=True, random_state=12345)` of scikit-learn over the sorted ids.
    ACDC: `RandomState(1234).shuffle` of the sorted patients, then `patients[fold::5]`; patients of
    `testing/` are on no side, as there.

    The folds are those of the official training patients even where some of their files are
    absent, so that results stand beside published ones. Files with other patients than the
    official ones get nnU-Net's recipe over the patients present. Validation is carved from the
    training side, seeded.
    """
    _check_fold("nnunet", fold, 5)
    cases = [case for case in cases if case.metadata.get("subset") != "testing"]
    patients = sorted({case.patient for case in cases})
    if patients and all(_TASK02.fullmatch(patient) for patient in patients):
        roster = _roster(patients, [f"la_{number:03d}" for number in _TASK02_LABELLED])
        test = set(_nnunet_task02(roster, fold))
    elif patients and all(_ACDC.fullmatch(patient) for patient in patients):
        roster = _roster(patients, [f"patient{number:03d}" for number in range(1, 101)])
        test = set(_nnunet_acdc(roster, fold))
    else:
        raise DatasetError(
            "The split 'nnunet' is of the labelled patients of Task02 (la_003) and of ACDC's "
            f"training/ (patient001). Received: {first(patients) or 'none of these'}. "
            "Use 'kfold'."
        )
    return _carve("nnunet", cases, test, fold, validation_fraction, seed)


def acdc_official(
    cases: Sequence[Case], *, fold: int, folds: int, validation_fraction: float, seed: int
) -> Split:
    """ACDC's own sides: `testing/` is tested on; validation is carved from `training/`."""
    _check_fold("acdc_official", fold, 1)
    strange = {case.patient for case in cases if not _ACDC.fullmatch(case.patient)}
    if strange:
        raise DatasetError(
            f"The split 'acdc_official' is of ACDC (patient001). Received: {first(strange)}."
        )
    test = {case.patient for case in cases if case.metadata.get("subset") == "testing"}
    return _carve("acdc_official", cases, test, fold, validation_fraction, seed)


def camus_official(
    cases: Sequence[Case], *, fold: int, folds: int, validation_fraction: float, seed: int
) -> Split:
    """CAMUS' own 400, 50 and 50 patients, by the lists in `database_split/`."""
    _check_fold("camus_official", fold, 1)
    sides = {case.patient: case.metadata.get("official") for case in cases}
    return _listed("camus_official", cases, sides, "database_split/subgroup_training.txt")


def camus_tenfold(
    cases: Sequence[Case], *, fold: int, folds: int, validation_fraction: float, seed: int
) -> Split:
    """CAMUS' ten balanced folds, by its lists; `fold` 0 is sub-group 1, 4 is the official one."""
    _check_fold("camus_tenfold", fold, 10)
    sides = {case.patient: side_in_fold(case.metadata.get("tenfold", ""), fold) for case in cases}
    return _listed("camus_tenfold", cases, sides, f"listSubGroups/subGroup{fold + 1}_training.txt")


SPLITS: dict[str, Callable[..., Split]] = {
    "kfold": kfold,
    "holdout": holdout,
    "nnunet": nnunet,
    "acdc_official": acdc_official,
    "camus_official": camus_official,
    "camus_tenfold": camus_tenfold,
}

# Labelled patients of the Decathlon's Task02.
_TASK02_LABELLED = (3, 4, 5, 7, 9, 10, 11, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 29, 30)


def _nnunet_task02(patients: list[str], fold: int) -> list[str]:
    """scikit-learn's shuffled `KFold(5)`: shuffle the indices, cut them into five runs."""
    import numpy as np

    if len(patients) < 5:
        raise DatasetError(f"The split 'nnunet' needs 5 patients. Received: {len(patients)}.")
    indices = np.arange(len(patients))
    np.random.RandomState(12345).shuffle(indices)  # their generator
    return [patients[index] for index in np.array_split(indices, 5)[fold]]


def _nnunet_acdc(patients: list[str], fold: int) -> list[str]:
    import numpy as np

    order = np.array(patients)
    np.random.RandomState(1234).shuffle(order)  # their generator
    return [str(patient) for patient in order[fold::5]]


def _roster(patients: list[str], official: list[str]) -> list[str]:
    return official if set(patients) <= set(official) else patients


def _listed(name: str, cases: Sequence[Case], sides: dict[str, str | None], example: str) -> Split:
    """The split that published lists give."""
    unlisted = [patient for patient, side in sides.items() if side is None]
    if unlisted:
        raise DatasetError(
            f"The split {name!r} needs the lists of the release ({example} and the like), which "
            f"do not name {first(unlisted)}. Put them beside the images, or use 'kfold'."
        )
    groups = {
        side: {patient for patient, own in sides.items() if own == side}
        for side in ("training", "validation", "testing")
    }
    return _split(name, cases, groups["training"], groups["validation"], groups["testing"])


def _carve(
    name: str, cases: Sequence[Case], test: set[str], fold: int, fraction: float, seed: int
) -> Split:
    """The split with the given test patients and a seeded part of the others for validation."""
    strata = _strata(cases)
    rest = {patient: group for patient, group in strata.items() if patient not in test}
    order = _shuffled(rest, f"validation/{name}/{fold}/{seed}")
    validation = set(_every(order, fraction)) if len(order) > 1 else set()
    return _split(name, cases, rest.keys() - validation, validation, test & strata.keys())


def _split(
    name: str,
    cases: Sequence[Case],
    train: set[str],
    validation: set[str],
    test: set[str],
) -> Split:
    sides = {"train": train, "validation": validation, "test": test}
    empty = [side for side, patients in sides.items() if not patients]
    if empty:
        present = ", ".join(f"{side} {len(patients)}" for side, patients in sides.items())
        raise DatasetError(
            f"The split {name!r} leaves {' and '.join(empty)} empty on the files present "
            f"(patients: {present}). Add the missing patients, or use another split, such as "
            "'kfold'."
        )
    ids = {
        side: tuple(sorted(case.id for case in cases if case.patient in patients))
        for side, patients in sides.items()
    }
    return Split(**ids)


def _strata(cases: Sequence[Case]) -> dict[str, str]:
    """Group of each patient, `""` where the metadata has none."""
    strata: dict[str, str] = {}
    for case in cases:
        group = case.metadata.get("group", "")
        strata[case.patient] = max(group, strata.get(case.patient, ""))
    return strata


def _shuffled(strata: dict[str, str], purpose: str) -> list[str]:
    """Patients group by group, each group in a pseudo-random order that `purpose` seeds.

    Dealing this list out in turns, as cards are, gives every hand its share of each group.
    """

    def key(patient: str) -> tuple[str, bytes]:
        return strata[patient], hashlib.sha256(f"{purpose}/{patient}".encode()).digest()

    return sorted(strata, key=key)


def _every(order: list[str], fraction: float) -> list[str]:
    """An evenly spaced part of `order`: at least one, and never all of two or more."""
    count = min(max(1, round(fraction * len(order))), max(1, len(order) - 1))
    return [order[(2 * i + 1) * len(order) // (2 * count)] for i in range(count)]


def _check_fold(name: str, fold: int, folds: int) -> None:
    if not 0 <= fold < folds:
        expected = f"a fold from 0 to {folds - 1}" if folds > 1 else "fold 0, its only one"
        raise DatasetError(f"The split {name!r} has {expected}. Received: fold={fold}.")
