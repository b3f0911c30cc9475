"""Which predicted mask belongs to which true one, told from names alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import datasets
from benchmark.errors import DataError
from datasets.case import Case, DatasetInfo

_SUFFIX = re.compile(r"(\.nii\.gz|\.nii|\.mhd)$")
# What tools append to the name of the image they segmented: ACDC and CAMUS, MONAI, and others.
_KIND = re.compile(r"_(gt|seg|trans|pred|mask|label)$")
_NAMED = 5  # files that a message lists


@dataclass(frozen=True)
class Target:
    """One true mask and what was predicted for it.

    Attributes:
        case: Name of the case.
        truth: Path of the true mask.
        names: Names under which its prediction may be found.
        prediction: Path of the predicted mask; None where there is none.
        patient: The patient, where known.
        metadata: What the dataset says of the case.
    """

    case: str
    truth: Path
    names: frozenset[str]
    prediction: Path | None = None
    patient: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


def find_tree(truth: Path, info: DatasetInfo | None) -> datasets.Found | None:
    """Return the dataset's tree at `truth`, or None where other masks are."""
    return datasets.find(info.name, truth) if info and truth.is_dir() else None


def find_pairs(
    truth: Path, predictions: Path, info: DatasetInfo | None, tree: datasets.Found | None = None
) -> tuple[list[Target], list[Path]]:
    """Return each true mask with its prediction, sorted by case, and predictions that are nobody's.

    Args:
        truth: A folder of masks, at any depth, or one mask; with `info` also the dataset's tree.
        predictions: A folder of masks, at any depth, or one mask. The same place as `truth`
            compares the truth with itself.
        info: The dataset, if it is one.
        tree: From `find_tree`.

    Raises:
        DataError: A place does not exist, there is no true mask, no prediction is of any of them,
            or two files are of the same case.
        DatasetError: The dataset's tree is not as it should be.
    """
    targets = find_targets(truth, info, tree)
    if predictions.exists() and predictions.samefile(truth):
        return [replace(target, prediction=target.truth) for target in targets], []
    masks = _by_case(predictions)
    if len(targets) == len(masks) == 1 and predictions.is_file():
        # Two files, each named by the user: meant for each other, whatever they are called.
        return [replace(targets[0], prediction=predictions)], []
    matched = []
    for target in targets:
        found = [masks.pop(name) for name in sorted(target.names) if name in masks]
        if len(found) > 1:
            raise _ambiguous(target.case, found)
        matched.append(replace(target, prediction=found[0] if found else None))
    unused = sorted(masks.values())
    if not any(target.prediction for target in matched):
        raise DataError(
            f"{predictions}: expected predictions for {_listed(each.case for each in targets)}, "
            f"found {_listed(path.name for path in unused) or 'no NIfTI mask'}. Name a prediction "
            "after its case (with --dataset, as the dataset does) or after its true mask."
        )
    return matched, unused


def case_name(path: Path) -> str:
    """The case a file is of: its name without suffix and without `_gt`, `_seg` and the like."""
    return _KIND.sub("", _SUFFIX.sub("", path.name))


def find_targets(
    truth: Path, info: DatasetInfo | None, tree: datasets.Found | None
) -> list[Target]:
    """Return the masks at one place, sorted by case, none of them with a prediction.

    Args:
        truth: A folder of masks, at any depth, or one mask; with `info` also the dataset's tree.
        info: The dataset, if it is one.
        tree: From `find_tree`.

    Raises:
        DataError: There is nothing, or two masks are of the same case.
        DatasetError: The dataset's tree is not as it should be.
    """
    if info and tree:
        return [_of_case(case) for case in datasets.read_cases(info.name, tree.root)]
    masks = _by_case(truth)
    if not masks:
        raise DataError(
            f"{truth}: expected true masks (.nii or .nii.gz)"
            f"{f' or the tree of {info.title}' if info else ''}, found none."
        )
    return [_of_mask(case, path, info) for case, path in sorted(masks.items())]


def _by_case(place: Path) -> dict[str, Path]:
    """NIfTI files at or below a place by case; a mask precedes the image it lies beside."""
    if place.is_file():
        return {case_name(place): place}
    if not place.is_dir():
        raise DataError(f"{place}: expected a folder of masks, or a mask, found nothing.")
    found: dict[str, Path] = {}
    for path in sorted(place.rglob("*.nii*")):
        hidden = any(part.startswith(".") for part in path.relative_to(place).parts)
        if hidden or not _SUFFIX.search(path.name) or not path.is_file():
            continue
        name = case_name(path)
        rival = found.setdefault(name, path)
        if rival != path:
            marked = [each for each in (rival, path) if _KIND.search(_SUFFIX.sub("", each.name))]
            if len(marked) != 1:
                raise _ambiguous(name, [rival, path])
            found[name] = marked[0]
    return found


def _ambiguous(case: str, paths: Sequence[Path]) -> DataError:
    return DataError(
        f"expected one mask of case {case}, found {' and '.join(map(str, paths))}. "
        "Name the folder that holds the masks alone."
    )


def _of_mask(case: str, path: Path, info: DatasetInfo | None) -> Target:
    patient, metadata = datasets.parse_case(info.name, case) if info else ("", {})
    return Target(case, path, frozenset({case}), None, patient, metadata)


def _of_case(case: Case) -> Target:
    names = frozenset({case.id, case_name(case.mask)})
    return Target(case.id, case.mask, names, None, case.patient, case.metadata)


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    return ", ".join(known[:_NAMED]) + (f" and {len(known) - _NAMED} more" * (len(known) > _NAMED))
