"""Medical Segmentation Decathlon, task 2: the left atrium in MRI of 20 labelled patients.

M. Antonelli et al., "The Medical Segmentation Decathlon", Nature Communications 13, 2022.
"""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from reprlib import repr as shown

from datasets import layout
from datasets.case import Case, DatasetError, DatasetInfo, Terms
from datasets.source import Archive

_LAYOUT = (
    "the layout of the release: imagesTr/la_003.nii.gz with labelsTr/la_003.nii.gz "
    "(dataset.json may be absent)."
)

INFO = DatasetInfo(
    name="decathlon",
    title="Medical Segmentation Decathlon, Task02 Heart",
    modality="MRI",
    classes={"left_atrium": 1},
    phases=(),
    licence="CC BY-SA 4.0",
    citation=(
        "M. Antonelli, A. Reinke, S. Bakas, et al. The Medical Segmentation Decathlon. Nature "
        "Communications 13:4128, 2022. doi:10.1038/s41467-022-30695-9"
    ),
    homepage="http://medicaldecathlon.com/",
    instructions=(
        "Run `python -m benchmark data fetch decathlon`, or download "
        "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task02_Heart.tar (md5 "
        "06ee59366e1e5124267b774dbd654057) by hand and unpack it under the data root. Any folder "
        "with imagesTr/la_*.nii.gz and labelsTr/la_*.nii.gz is found, whatever its name."
    ),
    counts={"training_patients": 20, "training_cases": 20, "testing_patients": 10},
    spacing_mm=(1.37, 1.25, 1.25),
)

# Other files in this layout, by the name that they are found under.
RELEASES = {
    "LA2018": Terms(
        title="LA2018: left atria of the 2018 Atrial Segmentation Challenge",
        licence="",
        citation=(
            "Z. Xiong, Q. Xia, Z. Hu, et al. A global benchmark of algorithms for segmenting the "
            "left atrium from late gadolinium-enhanced cardiac magnetic resonance imaging. Medical "
            "Image Analysis 67:101832, 2021. doi:10.1016/j.media.2020.101832"
        ),
        homepage="https://www.cardiacatlas.org/atriaseg2018-challenge/",
    )
}

# MONAI's copy of the official archive; the same bytes have the md5 that MONAI itself compares.
SOURCE = Archive(
    base="https://msd-for-monai.s3-us-west-2.amazonaws.com",
    name="Task02_Heart.tar",
    size=455_721_472,
    checksum="sha256:4277dc6dfe100142aa8060e895f6ff0f81c5b733703ea250bd294df8f820bcba",
    top="Task02_Heart",
)

# The labelled cases of the official release.
OFFICIAL = frozenset(
    f"la_{number:03d}"
    for number in (3, 4, 5, 7, 9, 10, 11, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 29, 30)
)

# Other tasks of the Decathlon have the same folders but other names: the names tell them apart.
_FILE = re.compile(r"(la_[0-9]+)\.nii(\.gz)?")

# One volume per patient: whatever a case is called, it is one.
CASE_NAME = re.compile(r"(?P<patient>.+)")


def find_root(data_root: Path) -> Path | None:
    """The folder with `imagesTr/` and `labelsTr/` at or up to two levels below `data_root`.

    It is known by its content, so mirrors under other names are found too.
    """
    return layout.search(data_root, _is_root)


def release(root: Path) -> str:
    """Name of other scans in this layout, or nothing for the Decathlon's own.

    The volumes of the 2018 Atrial Segmentation Challenge are handed around as "Task02_Heart"; they
    are another dataset (0.625 mm, late enhancement), and scores on them are not Decathlon scores.
    They say so in `dataset.json`. Without a hint there, cases that the Decathlon does not label
    give them away.
    """
    listing = root / "dataset.json"
    if listing.exists():
        try:
            content = json.loads(layout.read_text(listing))
            said = f"{content.get('description')} {content.get('reference')}".lower()
        except (ValueError, AttributeError, RecursionError):
            said = ""  # reading the cases will name the fault
        if re.search(r"la ?2018|atrial segmentation challenge", said):
            return "LA2018"
    present = _stems(root / "labelsTr")
    return "" if present <= OFFICIAL else "not the official cases"


def read_cases(root: Path, faults: list[DatasetError] | None = None) -> list[Case]:
    """The labelled cases, one per patient. `imagesTs/` has no masks and is not read.

    Args:
        root: As found by `find_root`.
        faults: If given, faults are appended to it instead of raised, and the sound cases returned.

    Returns:
        Cases sorted by id (`"la_003"`), with metadata `subset`.

    Raises:
        DatasetError: `dataset.json` is broken or lists files that are missing, an image lacks
            its mask or a mask its image, or there is no case at all.
    """
    listing = root / "dataset.json"
    stems = _stems(root / "imagesTr") | _stems(root / "labelsTr")
    if listing.exists():
        with layout.noting(faults):
            stems = _listed(listing)
    cases = []
    for stem in sorted(stems):
        with layout.noting(faults):
            found = layout.pair(root / "imagesTr" / stem, root / "labelsTr" / stem)
            if found is None:
                raise layout.missing(root / "imagesTr" / f"{stem}.nii.gz", f"{listing} lists it")
            cases.append(Case(stem, stem, *found, {"subset": "training"}))
    if not cases:
        with layout.noting(faults):
            raise layout.nothing_found(root, _LAYOUT)
    return cases


def _listed(listing: Path) -> set[str]:
    """Stems of the training cases that `dataset.json` lists."""
    text = layout.read_text(listing)
    try:
        content = json.loads(text)
        entries = [(entry["image"], entry["label"]) for entry in content["training"]]
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            f"{listing} is not JSON ({error}). Fetch it again, or delete it: without it the files "
            "in imagesTr/ and labelsTr/ are taken as they are."
        ) from error
    except (KeyError, TypeError) as error:
        raise DatasetError(
            f"{listing} lacks a list `training` of {{image, label}}. Fetch it again, or delete "
            "it: without it the files in imagesTr/ and labelsTr/ are taken as they are."
        ) from error
    stems = set()
    for image, label in entries:
        stem = _stem(listing, image, "imagesTr")
        if stem != _stem(listing, label, "labelsTr"):
            raise DatasetError(
                f"{listing} pairs {image} with {label}: expected the same name in imagesTr/ and "
                "labelsTr/. Fetch it again, or delete it."
            )
        stems.add(stem)
    return stems


def _stem(listing: Path, entry: object, folder: str) -> str:
    """`la_003` of `./imagesTr/la_003.nii.gz`; nothing outside the two folders is ever read."""
    path = PurePosixPath(entry) if isinstance(entry, str) else PurePosixPath()
    match = _FILE.fullmatch(path.name)
    if path.parent != PurePosixPath(folder) or match is None:
        raise DatasetError(
            f"{listing}: expected a path such as ./{folder}/la_003.nii.gz, received "
            f"{shown(entry)}. Fetch it again, or delete it."
        )
    return match[1]


def _stems(folder: Path) -> set[str]:
    matches = (_FILE.fullmatch(name) for name in layout.file_names(folder))
    return {match[1] for match in matches if match}


def _is_root(folder: Path) -> bool:
    # Either side suffices: a half-unpacked release is found, and its fault named on reading.
    if not (folder / "imagesTr").is_dir() or not (folder / "labelsTr").is_dir():
        return False
    return bool(_stems(folder / "labelsTr") or _stems(folder / "imagesTr"))
