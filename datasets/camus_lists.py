"""The patient lists that come with CAMUS: the official split and the ten folds.

Each list is a text file with one patient per line. The sides are written into the metadata of
the cases, so that a split depends on patients alone and never on paths.
"""

from __future__ import annotations

import re
from pathlib import Path

from datasets import layout
from datasets.case import DatasetError

SIDES = ("training", "validation", "testing")
FOLDS = 10
_OFFICIAL_FOLDER = "database_split"
_TENFOLD_FOLDERS = ("listSubGroups", "subgroups_CAMUS", _OFFICIAL_FOLDER)
_PATIENT = re.compile(r"patient[0-9]{4}")
_CODES = {"training": "T", "validation": "V", "testing": "E"}


def read_lists(root: Path) -> dict[str, dict[str, str]]:
    """Metadata of each listed patient; patients that no list names are absent.

    Args:
        root: The root of the release. The lists lie in it or beside it.

    Returns:
        By patient: `official` (`"training"`, `"validation"` or `"testing"`) from
        `database_split/subgroup_*.txt`, and `tenfold`, ten letters from
        `listSubGroups/subGroup{1..10}_*.txt`: the patient's side in each fold, `T` training,
        `V` validation, `E` testing, `.` not listed.

    Raises:
        DatasetError: A list is broken, or a patient is on two sides.
    """
    places = [folder / name for folder in (root, root.parent) for name in _TENFOLD_FOLDERS]
    metadata: dict[str, dict[str, str]] = {}
    for place in (root / _OFFICIAL_FOLDER, root.parent / _OFFICIAL_FOLDER):
        sides = _sides(place, "subgroup")
        if sides:
            for patient, side in sides.items():
                metadata.setdefault(patient, {})["official"] = side
            break
    for place in places:
        folds = [_sides(place, f"subGroup{fold}") for fold in range(1, FOLDS + 1)]
        if any(folds):
            for patient in {patient for fold in folds for patient in fold}:
                codes = (_CODES[fold[patient]] if patient in fold else "." for fold in folds)
                metadata.setdefault(patient, {})["tenfold"] = "".join(codes)
            break
    return metadata


def side_in_fold(tenfold: str, fold: int) -> str | None:
    """The side that the metadata `tenfold` gives for `fold` (from 0), or `None`."""
    names = {code: side for side, code in _CODES.items()}
    return names.get(tenfold[fold : fold + 1])


def _sides(folder: Path, prefix: str) -> dict[str, str]:
    """Side of each patient by the three lists `<prefix>_<side>.txt`; empty where there is none."""
    paths = {side: folder / f"{prefix}_{side}.txt" for side in SIDES}
    present = layout.file_names(folder)
    if not any(path.name in present for path in paths.values()):
        return {}
    sides: dict[str, str] = {}
    for side, path in paths.items():
        for patient in layout.read_text(path).split():
            if not _PATIENT.fullmatch(patient):
                raise DatasetError(
                    f"{path}: expected one patient per line, such as patient0001, received "
                    f"{patient[:40]!r}. Fetch the lists again."
                )
            if sides.setdefault(patient, side) != side:
                raise DatasetError(
                    f"{path}: {patient} is in the {sides[patient]} list too. A patient may be on "
                    "one side only. Fetch the lists again."
                )
    return sides
