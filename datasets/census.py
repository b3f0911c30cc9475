"""Who is there: the patients on disk against the official numbers, and the files of a release."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from datasets import camus, decathlon, layout
from datasets.case import Case, DatasetInfo

# Folders of a release that hold images; others beside them belong to somebody else.
_FOLDERS = ("training", "testing", "database_nifti", "imagesTr", "labelsTr", "imagesTs")
_PATIENT = re.compile(r"patient[0-9]{3,4}")
_IMAGES = (".nii", ".nii.gz", ".mhd", ".mha")


def image_files(root: Path) -> list[Path]:
    """Every image file of the release at `root`, sorted; hidden and AppleDouble files are none."""
    tops = [
        folder
        for folder in layout.folders(root)
        if folder.name in _FOLDERS or _PATIENT.fullmatch(folder.name)
    ]
    return sorted(path for top in tops for path in _images_below(top))


def _images_below(top: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(top):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in names:
            if name.endswith(_IMAGES) and not name.startswith("."):
                yield Path(folder, name)


def missing_patients(
    info: DatasetInfo, root: Path, release: str, cases: Sequence[Case]
) -> tuple[list[str], list[str]]:
    """Compare the patients at `root`, which are no phantoms, with the official release.

    Args:
        info: The dataset.
        root: Its folder.
        release: As `Found.release`.
        cases: The cases that could be read.

    Returns:
        Faults and notes, one line each. Patients that are absent are a note: work on a part of a
        release is honest as long as it is said. Patients that the release does not have are a
        fault.
    """
    if info.name == "acdc":
        return _acdc(root)
    if info.name == "camus":
        return _camus(root, info, cases)
    return _decathlon(root, release, {case.patient for case in cases})


def _acdc(root: Path) -> tuple[list[str], list[str]]:
    faults, notes = [], []
    for subset, numbers in (("training", range(1, 101)), ("testing", range(101, 151))):
        present = _patients(root / subset)
        official = {f"patient{number:03d}" for number in numbers}
        strange, note = _against(official, present, f"{root / subset}")
        faults += strange
        notes += note
    unlabelled = _without_masks(root / "testing")
    if unlabelled and unlabelled == _patients(root / "testing"):
        # As they were handed out during the challenge.
        notes.append(f"{root / 'testing'}: its {len(unlabelled)} patients have no masks")
    else:
        faults += [
            f"{root / 'testing' / patient}: expected masks, as other patients of testing/ have, "
            "found none. Fetch or unpack the release again."
            for patient in sorted(unlabelled)
        ]
    return faults, notes


def _without_masks(subset: Path) -> set[str]:
    return {
        patient
        for patient in _patients(subset)
        if not any("_gt.nii" in name for name in layout.file_names(subset / patient))
    }


def _camus(root: Path, info: DatasetInfo, cases: Sequence[Case]) -> tuple[list[str], list[str]]:
    present: set[str] = set()
    for folder in (root, root / "database_nifti", root / "training", root / "testing"):
        present |= _patients(folder)
    official = {f"patient{number:04d}" for number in range(1, info.counts["patients"] + 1)}
    faults, notes = _against(official, present, f"{root}")
    views: dict[str, set[str]] = {}
    for case in cases:
        views.setdefault(case.patient, set()).add(case.metadata["view"])
    single = [patient for patient, seen in views.items() if len(seen) < len(camus.VIEWS)]
    if single:
        notes.append(
            f"{root}: {len(single)} of {len(views)} patients have one of the two views only: "
            f"{layout.first(single)}"
        )
    unlisted = {case.patient for case in cases if "official" not in case.metadata}
    if unlisted:
        notes.append(
            f"{root}: no list of the official split (database_split/subgroup_*.txt) names "
            f"{layout.first(unlisted)}"
        )
    return faults, notes


def _decathlon(root: Path, release: str, present: Collection[str]) -> tuple[list[str], list[str]]:
    notes: list[str] = []
    faults: list[str] = []
    if release:
        notes.append(
            f"{root}: {len(present)} volumes in the layout of Task02, but not the Decathlon's own "
            f"({release}): its official numbers do not apply"
        )
    else:
        faults, notes = _against(decathlon.OFFICIAL, present, f"{root / 'labelsTr'}")
    listing = root / "dataset.json"
    try:
        content = json.loads(layout.read_text(listing)) if listing.exists() else {}
        listed = len(content.get("training", ()))
        claimed = content.get("numTraining", listed)
        tests = [Path(entry).name for entry in content.get("test", ()) if isinstance(entry, str)]
    except (ValueError, TypeError, AttributeError, RecursionError):
        return faults, notes  # reading the cases has named this fault
    if claimed != listed:
        faults.append(
            f"{listing}: expected as many training cases as its numTraining says, {claimed}, "
            f"received {listed}. Fetch or unpack the release again."
        )
    absent = set(tests) - layout.file_names(root / "imagesTs")
    if absent:
        notes.append(
            f"{root / 'imagesTs'}: {len(absent)} of {len(tests)} listed images without masks are "
            f"absent: {layout.first(absent)}"
        )
    return faults, notes


def _against(
    official: Collection[str], present: Collection[str], place: str
) -> tuple[list[str], list[str]]:
    """Faults and notes of the patients `present` at a place."""
    strange, absent = set(present) - set(official), set(official) - set(present)
    faults = [
        f"{place}: expected the {len(official)} patients {min(official)} to {max(official)}, found "
        f"{patient} too. Move it away."
        for patient in sorted(strange)
    ]
    here = len(official) - len(absent)
    notes = [f"{place}: {here} of {len(official)} official patients"]
    if absent:
        notes[0] += f"; absent: {layout.first(absent)}"
    return faults, notes


def _patients(folder: Path) -> set[str]:
    return {child.name for child in layout.folders(folder) if _PATIENT.fullmatch(child.name)}
