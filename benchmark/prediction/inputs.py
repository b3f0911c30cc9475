"""Which images are meant: files, folders of files, or the tree of a dataset."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import datasets
from benchmark.errors import DataError
from benchmark.experiment.sources import fingerprint
from datasets.case import DatasetInfo
from datasets.layout import is_phantom

_SUFFIX = re.compile(r"\.(nii\.gz|nii|mhd|mha)$")
_MASK = re.compile(r"_(gt|seg|trans|pred|mask|label)$")
_VIEW = re.compile(r"(?<![A-Za-z0-9])(2CH|4CH)(?![A-Za-z0-9])")


@dataclass(frozen=True)
class Item:
    """One image to be predicted.

    Attributes:
        path: Its file.
        name: What its outputs are called, with ``/`` where they lie in a folder of their own.
        patient: The patient; images of one patient share it.
        metadata: What is known besides: ``phase``, ``view`` and more.
        release: Fingerprint of the dataset's tree whose case it is; empty of any other image.
        phantom: Whether it is synthetic.
    """

    path: Path
    name: str
    patient: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    release: str = ""
    phantom: bool = False


def find_images(places: Sequence[Path], info: DatasetInfo, out: Path) -> list[Item]:
    """Return the images at the given places, in their order; opens none.

    The tree of the dataset gives its labelled cases, named after their ids. Any other folder gives
    the images in it and below, without masks that lie beside their image (``x_gt`` beside ``x``)
    and without what lies in the folder of the output.

    Args:
        places: Files and folders.
        info: The dataset on which the network was trained.
        out: Where the masks will be written.

    Raises:
        DataError: A place does not exist or holds no image, two images have the same name, or a
            mask would take the place of an image.
        DatasetError: The dataset's tree is not as it should be.
    """
    items: dict[str, Item] = {}
    for place in places:
        found = list(_at(place, info, out.resolve()))
        if not found:
            raise DataError(
                f"{place}: expected images (.nii, .nii.gz, .mhd) in it or below, or the tree of "
                f"{info.title}, found none."
            )
        for item in found:
            rival = items.setdefault(item.name, item)
            if rival is not item:
                raise DataError(
                    f"expected images of different names, as their masks are named after them; "
                    f"{rival.path} and {item.path} are both {item.name}. Predict them one after "
                    "the other into different folders."
                )
    inputs = {item.path.resolve() for item in items.values()}
    for item in items.values():
        if mask_path(out, item.name).resolve() in inputs:
            raise DataError(
                f"-o {out}: expected another folder than that of the images: the mask of "
                f"{item.path} would take the place of an image."
            )
    return list(items.values())


def mask_path(out: Path, name: str) -> Path:
    """Where the mask of an image lies."""
    return out / f"{name}.nii.gz"


def _at(place: Path, info: DatasetInfo, out: Path) -> Iterator[Item]:
    if place.is_file():
        yield _loose(place, place.parent, info)
        return
    if not place.is_dir():
        raise DataError(f"{place}: expected an image, or a folder with images, found nothing.")
    tree = datasets.find(info.name, place)
    if tree is not None:
        cases = datasets.read_cases(info.name, tree.root)
        release = fingerprint(info.name, tree.root, cases)
        for case in cases:
            yield Item(case.image, case.id, case.patient, case.metadata, release,
                       phantom=tree.source == "phantom")  # fmt: skip
        return
    files = [path for path in sorted(place.rglob("*")) if _SUFFIX.search(path.name)
             and not any(part.startswith(".") for part in path.relative_to(place).parts)
             and path.is_file() and not path.resolve().is_relative_to(out)]  # fmt: skip
    images = {path.parent / _stem(path) for path in files}
    for path in files:
        stem = _stem(path)
        if not (_MASK.search(stem) and path.parent / _MASK.sub("", stem) in images):
            yield _loose(path, place, info)


def _loose(path: Path, base: Path, info: DatasetInfo) -> Item:
    stem = _stem(path)
    patient, metadata = datasets.parse_case(info.name, stem)
    view = _VIEW.search(stem.replace("_", " "))
    if view and info.dims == 2:
        metadata = {"view": view[1], **metadata}
        # A sequence's name is no case's, but may begin like one: patient0001_2CH_half_sequence.
        begin = f"{stem[: view.end()]}_{info.phases[0]}"
        patient = patient or datasets.parse_case(info.name, begin)[0]
    folder = path.parent.relative_to(base)
    # A name says who it is within its folder only: others may have called theirs the same.
    owner = (folder / (patient or stem)).as_posix()
    place = path.resolve()
    phantom = any(is_phantom(each) for each in place.parents)
    return Item(path, (folder / stem).as_posix(), owner, metadata, phantom=phantom)


def _stem(path: Path) -> str:
    return _SUFFIX.sub("", path.name)
