"""Finding releases and files on disk: folders, companions, `Info.cfg`, markers. Opens no image."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as shown

from datasets.case import DatasetError

PHANTOM_MARKER = "PHANTOM.json"
SUFFIXES = (".nii.gz", ".nii")
# Folders inside a release: a marker written by the phantom lies one level above them.
_INNER_FOLDERS = frozenset({"database", "database_nifti"})
_MOST_FOLDERS = 2000
_PATIENT_FOLDER = re.compile(r"patient[0-9]+")
_FRAME = re.compile(r"[0-9]{1,4}")
_LARGEST_TEXT = 1 << 20


def folders(parent: Path) -> list[Path]:
    """Sub-folders of `parent` sorted by name, without hidden ones; empty where it is none."""
    try:
        with os.scandir(parent) as entries:
            names = [entry.name for entry in entries if _is_visible_folder(entry)]
    except OSError:
        return []
    return [parent / name for name in sorted(names)]


def file_names(parent: Path) -> set[str]:
    """Names in `parent`, without hidden ones.

    The archives of the Decathlon were packed on a Mac: beside every `la_003.nii.gz` lies an
    AppleDouble file `._la_003.nii.gz` that is not an image at all.
    """
    try:
        return {path.name for path in parent.iterdir() if not path.name.startswith(".")}
    except OSError:
        return set()


def search(data_root: Path, is_root: Callable[[Path], bool]) -> Path | None:
    """First folder that is the root of a release: `data_root` itself or up to two levels below.

    Real files are preferred to phantoms, shallow folders to deep ones.

    Args:
        data_root: Where to look.
        is_root: Whether a folder is the root of the release looked for.
    """
    phantom = None
    for folder in _candidates(data_root):
        if is_root(folder):
            if not is_phantom(folder):
                return folder
            phantom = phantom or folder
    return phantom


def is_phantom(root: Path) -> bool:
    """Whether the files under `root` are synthetic: a marker lies at the top of the release."""
    return phantom_marker(root) is not None


def phantom_marker(root: Path) -> Path | None:
    """The file that says from which numbers the phantom at `root` was made, or `None`."""
    places = (root, root.parent) if root.name in _INNER_FOLDERS else (root,)
    found = (place / PHANTOM_MARKER for place in places)
    return next((path for path in found if path.is_file()), None)


def image_path(folder: Path, stem: str) -> Path | None:
    """The image `stem` in `folder`, compressed or not, or `None` where there is none.

    Some re-uploads unpack every file into a folder that bears the file's name; the file inside
    is taken then.

    Raises:
        DatasetError: There is a folder of that name without the one file it should hold.
    """
    for suffix in SUFFIXES:
        path = folder / f"{stem}{suffix}"
        if path.is_dir():
            return _inside(path, stem)
        if path.exists() or path.is_symlink():
            return path
    return None


def pair(image_stem: Path, mask_stem: Path) -> tuple[Path, Path] | None:
    """An image and its mask, or `None` where neither is there.

    Args:
        image_stem: Path of the image without its suffix.
        mask_stem: Path of the mask without its suffix.

    Raises:
        DatasetError: One of the two is there without the other.
    """
    image = image_path(image_stem.parent, image_stem.name)
    mask = image_path(mask_stem.parent, mask_stem.name)
    if image is None and mask is None:
        return None
    if image is None:
        raise missing(_named(image_stem), f"its mask {mask} is there")
    if mask is None:
        raise missing(_named(mask_stem), f"its image {image} is there")
    return image, mask


@contextmanager
def noting(faults: list[DatasetError] | None) -> Iterator[None]:
    """Let a reader go on after a fault: it is appended where a list is given, else raised."""
    try:
        yield
    except DatasetError as error:
        if faults is None:
            raise
        faults.append(error)


def missing(path: Path, why: str) -> DatasetError:
    """The error for a file that should be there. `why` says what leads one to expect it."""
    return DatasetError(
        f"{path} is missing, although {why}. Fetch or unpack the release again; "
        "if this patient is to be left out, move its folder away."
    )


def nothing_found(root: Path, expected: str) -> DatasetError:
    """The error for a root without a single labelled case. `expected` describes the layout."""
    return DatasetError(f"{root} holds no labelled case. Expected {expected}")


def read_text(path: Path) -> str:
    """Text of a small file.

    Raises:
        DatasetError: It is missing, unreadable, not text, or far too large.
    """
    try:
        # A pipe or a device would be waited for, or read for ever.
        if path.exists() and (not path.is_file() or path.stat().st_size > _LARGEST_TEXT):
            raise DatasetError(
                f"{path} should be a text file of at most {_LARGEST_TEXT:,} bytes; it is larger, "
                "or no file at all. Fetch or unpack the release again."
            )
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path} should be text but is not (byte {error.start}). "
            "Fetch or unpack the release again."
        ) from error
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror}. Fetch or unpack the release again."
        ) from error


def read_cfg(path: Path) -> dict[str, str]:
    """Entries of an `Info*.cfg`: one `Key: value` per line.

    Raises:
        DatasetError: The file cannot be read, or a line has another form.
    """
    entries = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        key, colon, value = line.partition(":")
        if not colon or not key.strip():
            raise DatasetError(
                f"{path}, line {number}: expected `Key: value`, received {line[:60]!r}. "
                "Fetch or unpack the release again."
            )
        entries[key.strip()] = value.strip()
    return entries


def frame_number(path: Path, entries: dict[str, str], key: str) -> int:
    """The frame (counted from 1) that `key` names in the `Info*.cfg` at `path`.

    Raises:
        DatasetError: The key is missing or is no frame number.
    """
    value = entries.get(key)
    if value is None or not _FRAME.fullmatch(value) or int(value) == 0:
        raise DatasetError(
            f"{path}: expected `{key}: <frame number, from 1>`, received {shown(value)}. "
            "Fetch or unpack the release again."
        )
    return int(value)


def first(names: Iterable[str], most: int = 5) -> str:
    """The first few of `names` for an error message, and how many more there are."""
    ordered = sorted(names)
    rest = len(ordered) - most
    return ", ".join(ordered[:most]) + (f" and {rest} more" if rest > 0 else "")


def _candidates(data_root: Path) -> Iterator[Path]:
    """`data_root`, its sub-folders, and theirs; bounded, for someone may point at a home folder."""
    level, left = [data_root], _MOST_FOLDERS
    for _ in range(3):
        yield from level
        left -= len(level)
        children = (child for parent in level for child in folders(parent))
        level = [child for child in children if not _PATIENT_FOLDER.fullmatch(child.name)]
        level = level[: max(left, 0)]


def _named(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}{SUFFIXES[0]}")


def _inside(path: Path, stem: str) -> Path:
    """The file that lies in the folder `path` which bears its name."""
    found = [path / f"{stem}{suffix}" for suffix in SUFFIXES]
    found = [candidate for candidate in found if candidate.is_file()]
    if len(found) != 1:
        raise DatasetError(
            f"{path} is a folder but should be a file. Expected an image, or a folder with just "
            f"the file {stem}.nii in it. Unpack the release again, with a tool that keeps the "
            "files as they are."
        )
    return found[0]


def _is_visible_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:
        return False
