"""CAMUS: 2- and 4-chamber echocardiography of 500 patients at end diastole and end systole.

S. Leclerc et al., "Deep Learning for Segmentation Using an Open Large-Scale Dataset in 2D
Echocardiography", IEEE TMI 38(9), 2019.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from datasets import layout
from datasets.camus_lists import read_lists
from datasets.case import Case, DatasetError, DatasetInfo
from datasets.source import GirderFolders

_LAYOUT = (
    "the layout of the NIfTI release, database_nifti/patient0001/patient0001_2CH_ED.nii.gz with "
    "patient0001_2CH_ED_gt.nii.gz, or of the older one, "
    "training/patient0001/patient0001_2CH_ED.mhd with patient0001_2CH_ED_gt.mhd."
)

INFO = DatasetInfo(
    name="camus",
    title="CAMUS (Cardiac Acquisitions for Multi-structure Ultrasound Segmentation)",
    modality="ultrasound",
    classes={"left_ventricle": 1, "myocardium": 2, "left_atrium": 3},
    phases=("ED", "ES"),
    licence="Research use after registration with CREATIS; citation is mandatory",
    citation=(
        "S. Leclerc, E. Smistad, J. Pedrosa, A. Ostvik, et al. Deep Learning for Segmentation "
        "Using an Open Large-Scale Dataset in 2D Echocardiography. IEEE Transactions on Medical "
        "Imaging 38(9):2198-2210, 2019. doi:10.1109/TMI.2019.2900516"
    ),
    homepage="https://www.creatis.insa-lyon.fr/Challenge/camus/",
    instructions=(
        "Run `python -m benchmark data fetch camus`, or download database_nifti and "
        "database_split of the collection "
        "https://humanheart-project.creatis.insa-lyon.fr/database/#collection/"
        "6373703d73e9f0047faa1bc8 by hand and unpack them side by side under the data root, with "
        "or without a folder CAMUS_public/ around them. The older release (training/ and testing/ "
        "with .mhd files) is read too."
    ),
    counts={"patients": 500, "cases": 2000, "training": 400, "validation": 50, "testing": 50},
    spacing_mm=(1.0, 0.308, 0.308),
    dims=2,
    # The published tables score what the outer border encloses, not the ring of muscle alone.
    regions={"epicardium": (1, 2)},
)
SOURCE = GirderFolders(
    base="https://humanheart-project.creatis.insa-lyon.fr/database/api/v1",
    top="CAMUS_public",
    folders={
        "database_nifti": "63fde55f73e9f004868fb7ac",
        "database_split": "66e27d12961576b1bad4e4e1",
    },
)
SEQUENCE_INFO = dataclasses.replace(INFO, dims=3)

VIEWS = ("2CH", "4CH")
_PATIENT = re.compile(r"patient[0-9]{4}")
# What the name of a case says.
CASE_NAME = re.compile(r"(?P<patient>patient[0-9]{4})_(?P<view>2CH|4CH)_(?P<phase>ED|ES)")
_NIFTI_FOLDER = "database_nifti"
_MHD_FOLDERS = ("training", "testing")
# Names in Info_*.cfg; the older release calls the ejection fraction LVef.
_ENTRIES = (
    ("ImageQuality", "quality"),
    ("Sex", "sex"),
    ("Age", "age"),
    ("EF", "ef_percent"),
    ("LVef", "ef_percent"),
)


def find_root(data_root: Path) -> Path | None:
    """The root of either release at or up to two levels below `data_root`.

    It is the folder that holds `database_nifti/`, or that folder itself where `data_root` points
    right at it, or the folder that holds `training/` with `.mhd` files.
    """
    return layout.search(data_root, _is_root)


def read_cases(root: Path, faults: list[DatasetError] | None = None) -> list[Case]:
    """The labelled single frames: up to two views at two instants of each patient.

    Half sequences beside them are not cases; `read_half_sequences` gives those. A patient may
    lack one of the views. `testing/` of the older release came without masks and is left out
    where it has none.

    Args:
        root: As found by `find_root`.
        faults: If given, faults are appended to it instead of raised, and the sound cases returned.

    Returns:
        Cases sorted by id (`"patient0001_2CH_ED"`) with metadata `view`, `phase`;
        `subset` in the older release; `quality`, `ef_percent`, `sex`, `age`, `order` where
        `Info_*.cfg` states them; `official` and `tenfold` (see `camus_lists`) where the lists
        are there.

    Raises:
        DatasetError: An image or mask is missing, a text file is broken, or there is no case.
    """
    lists: dict[str, dict[str, str]] = {}
    with layout.noting(faults):
        lists = read_lists(root)
    cases: dict[str, Case] = {}
    for subset, folder in _patient_folders(root):
        with layout.noting(faults):
            for case in _frames(folder, subset, lists.get(folder.name, {}), faults):
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


def read_half_sequences(root: Path, faults: list[DatasetError] | None = None) -> list[Case]:
    """The half cycles between end diastole and end systole, each one volume `(t, y, x)`.

    Read them with `read_pair(case, SEQUENCE_INFO)`. In some patients ES comes before ED in the
    recording, so a half sequence may run backwards: metadata `order` is `"ED-ES"` or `"ES-ED"`.

    Args:
        root: As found by `find_root`.
        faults: As in `read_cases`.

    Returns:
        Cases sorted by id (`"patient0001_2CH_half_sequence"`) with the metadata of
        `read_cases`, without `phase`.

    Raises:
        DatasetError: An image or mask is missing, a text file is broken, or there is none.
    """
    lists: dict[str, dict[str, str]] = {}
    with layout.noting(faults):
        lists = read_lists(root)
    cases = []
    for subset, folder in _patient_folders(root):
        for view in VIEWS:
            stem = f"{folder.name}_{view}_half_sequence"
            with layout.noting(faults):
                found = layout.pair(folder / stem, folder / f"{stem}_gt")
                if found is not None:
                    metadata = _metadata(folder, view, subset) | lists.get(folder.name, {})
                    cases.append(Case(stem, folder.name, *found, metadata))
    if not cases:
        with layout.noting(faults):
            raise layout.nothing_found(
                root, "half sequences of the NIfTI release: patient0001_2CH_half_sequence.nii.gz."
            )
    return sorted(cases, key=lambda case: case.id)


def _frames(
    folder: Path,
    subset: str | None,
    listed: dict[str, str],
    faults: list[DatasetError] | None,
) -> Iterator[Case]:
    patient, names = folder.name, layout.file_names(folder)
    if subset == "testing" and not any("_gt." in name for name in names):
        return
    for view in VIEWS:
        # Exact names, never patterns: `*_2CH_*` would take the half sequences too.
        stems = {phase: f"{patient}_{view}_{phase}" for phase in INFO.phases}
        pairs: dict[str, tuple[Path, Path] | None] = {}
        for phase, stem in stems.items():
            with layout.noting(faults):
                pairs[phase] = _pair(folder, names, stem)
        if list(pairs.values()) == [None, None]:
            continue
        metadata = {"view": view}
        with layout.noting(faults):
            metadata = _metadata(folder, view, subset)
        metadata |= listed
        for phase, found in pairs.items():
            with layout.noting(faults):
                if found is None:
                    raise layout.missing(
                        folder / f"{stems[phase]}.nii.gz", f"the other instant of {view} is there"
                    )
                yield Case(stems[phase], patient, *found, metadata | {"phase": phase})


def _pair(folder: Path, names: set[str], stem: str) -> tuple[Path, Path] | None:
    image, mask = f"{stem}.mhd", f"{stem}_gt.mhd"
    if image not in names and mask not in names:
        return layout.pair(folder / stem, folder / f"{stem}_gt")
    for name, other in ((image, mask), (mask, image)):
        if name not in names:
            raise layout.missing(folder / name, f"{other} is there")
    return folder / image, folder / mask


def _metadata(folder: Path, view: str, subset: str | None) -> dict[str, str]:
    metadata = {"view": view} | ({"subset": subset} if subset else {})
    cfg = folder / f"Info_{view}.cfg"
    if not cfg.exists():
        return metadata
    entries = layout.read_cfg(cfg)
    metadata |= {name: entries[key] for key, name in _ENTRIES if entries.get(key)}
    if "ED" in entries and "ES" in entries:
        frames = {phase: layout.frame_number(cfg, entries, phase) for phase in INFO.phases}
        metadata["order"] = "ED-ES" if frames["ED"] <= frames["ES"] else "ES-ED"
    return metadata


def _patient_folders(root: Path) -> Iterator[tuple[str | None, Path]]:
    """Subset and folder of each patient. The NIfTI release has one folder for all of them."""
    nifti = _patients(root / _NIFTI_FOLDER) or _patients(root)
    if nifti:
        yield from ((None, folder) for folder in nifti)
        return
    for subset in _MHD_FOLDERS:
        yield from ((subset, folder) for folder in _patients(root / subset))


def _patients(parent: Path) -> list[Path]:
    return [folder for folder in layout.folders(parent) if _PATIENT.fullmatch(folder.name)]


def _is_root(folder: Path) -> bool:
    if folder.name in _MHD_FOLDERS and not (folder / _NIFTI_FOLDER).is_dir():
        return False  # its parent is the root: it holds both subsets
    return next(_patient_folders(folder), None) is not None
