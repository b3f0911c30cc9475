"""ACDC: short-axis cine MRI of 150 patients at end diastole and end systole.

O. Bernard et al., "Deep Learning Techniques for Automatic MRI Cardiac Multi-Structures
Segmentation and Diagnosis: Is the Problem Solved?", IEEE TMI 37(11), 2018.
"""

from __future__ import annotations

import re
from pathlib import Path

from datasets import layout
from datasets.case import Case, DatasetError, DatasetInfo
from datasets.source import GirderFolders

_LAYOUT = (
    "the layout of the release: training/ or testing/ (or both) with "
    "patient001/Info.cfg, patient001/patient001_frame01.nii.gz and "
    "patient001/patient001_frame01_gt.nii.gz; HDF5 packs of slices have lost the pixel spacing "
    "and are not read."
)

INFO = DatasetInfo(
    name="acdc",
    title="ACDC (Automated Cardiac Diagnosis Challenge)",
    modality="MRI",
    classes={"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3},
    phases=("ED", "ES"),
    licence="CC BY-NC-SA 4.0",
    citation=(
        "O. Bernard, A. Lalande, C. Zotti, F. Cervenansky, et al. Deep Learning Techniques for "
        "Automatic MRI Cardiac Multi-Structures Segmentation and Diagnosis: Is the Problem "
        "Solved? IEEE Transactions on Medical Imaging 37(11):2514-2525, 2018. "
        "doi:10.1109/TMI.2018.2837502"
    ),
    homepage="https://humanheart-project.creatis.insa-lyon.fr/database/",
    instructions=(
        "Run `python -m benchmark data fetch acdc`, or download the ACDC collection from "
        "https://humanheart-project.creatis.insa-lyon.fr/database/#collection/"
        "637218c173e9f0047faa00fb by hand and unpack it under the data root (`unzip` may need "
        "UNZIP_DISABLE_ZIPBOMB_DETECTION=TRUE): ACDC/, database/ or ACDC/database/ with training/ "
        "and testing/ in it is found."
    ),
    counts={
        "training_patients": 100,
        "testing_patients": 50,
        "training_cases": 200,
        "testing_cases": 100,
    },
    spacing_mm=(10.0, 1.5625, 1.5625),
)

SOURCE = GirderFolders(
    base="https://humanheart-project.creatis.insa-lyon.fr/database/api/v1",
    top="ACDC",
    folders={".": "637218e573e9f0047faa00fc"},  # "database", with training/ and testing/
)

SUBSETS = ("training", "testing")
# Three digits: CAMUS, whose older release has a training/ too, counts its patients with four.
_PATIENT = re.compile(r"patient[0-9]{3}")
# What the name of a case or of its mask says; which instant a frame is, only `Info.cfg` knows.
CASE_NAME = re.compile(r"(?P<patient>patient[0-9]{3})_((?P<phase>ED|ES)|frame[0-9]{2})")


def find_root(data_root: Path) -> Path | None:
    """The folder with `training/` or `testing/` at or up to two levels below `data_root`.

    The zip archives of the two official endpoints differ in their top folder: `database/` or
    `ACDC/database/`.
    """
    return layout.search(data_root, _is_root)


def read_cases(root: Path, faults: list[DatasetError] | None = None) -> list[Case]:
    """The labelled cases, two per patient: end diastole and end systole.

    Which frames these are is said by `Info.cfg`; ED is not always frame 1. Patients of
    `testing/` without any mask (as in the release during the challenge) are left out.

    Args:
        root: As found by `find_root`.
        faults: If given, faults are appended to it instead of raised, and the sound cases returned.

    Returns:
        Cases sorted by id (`"patient001_ED"`), with metadata `phase`, `group` (`NOR`, `MINF`,
        `DCM`, `HCM` or `RV`, where stated), `subset`, `frame`, and `height_cm` and `weight_kg`
        where stated.

    Raises:
        DatasetError: A file of a patient is missing or broken, or there is no case at all.
    """
    cases: dict[str, Case] = {}
    for subset in SUBSETS:
        for folder in _patients(root / subset):
            with layout.noting(faults):
                for case in _patient_cases(folder, subset, faults):
                    if case.id in cases:
                        raise DatasetError(
                            f"{folder} and {cases[case.id].image.parent} hold the same patient. "
                            "Remove one of them: a patient may not be trained and tested on."
                        )
                    cases[case.id] = case
    if not cases:
        with layout.noting(faults):
            raise layout.nothing_found(root, _LAYOUT)
    return [cases[key] for key in sorted(cases)]


def _patient_cases(folder: Path, subset: str, faults: list[DatasetError] | None) -> list[Case]:
    names = layout.file_names(folder)
    patient = folder.name
    if subset == "testing" and not any("_gt.nii" in name for name in names):
        return []
    cfg = folder / "Info.cfg"
    entries = layout.read_cfg(cfg)
    frames = {phase: layout.frame_number(cfg, entries, phase) for phase in INFO.phases}
    if frames["ED"] == frames["ES"]:
        raise DatasetError(
            f"{cfg}: expected different frames for ED and ES, received {frames['ED']} for both. "
            "Fetch or unpack the release again."
        )
    cases = []
    for phase, frame in frames.items():
        stem = f"{patient}_frame{frame:02d}"
        with layout.noting(faults):
            found = layout.pair(folder / stem, folder / f"{stem}_gt")
            if found is None:
                raise layout.missing(
                    folder / f"{stem}.nii.gz", f"{cfg} says that {phase} is {frame}"
                )
            metadata = {"phase": phase, "subset": subset, "frame": str(frame)}
            for key, name in (("Group", "group"), ("Height", "height_cm"), ("Weight", "weight_kg")):
                if entries.get(key):
                    metadata[name] = entries[key]
            cases.append(Case(f"{patient}_{phase}", patient, *found, metadata))
    return cases


def _patients(subset: Path) -> list[Path]:
    return [folder for folder in layout.folders(subset) if _PATIENT.fullmatch(folder.name)]


def _is_root(folder: Path) -> bool:
    return any(_patients(folder / subset) for subset in SUBSETS)
