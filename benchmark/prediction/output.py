"""Masks and probabilities on the grid of their image, and folders that appear whole."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmark.data.preprocessing import Array, Labels
from benchmark.prediction.scan import Scan


@contextmanager
def staged(out: Path, *, last: Path) -> Iterator[Path]:
    """Give a hidden folder in `out`, whose files take their places when all of them are written.

    After an error while they are written `out` is as it was, and is not there if it was not.

    Args:
        out: Where the files belong.
        last: The one, relative to `out`, that goes last: if it is there, all are.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".predict-", dir=out))
    try:
        yield work
        files = (each for each in work.rglob("*") if each.is_file())
        for path in sorted(files, key=lambda each: (each == work / last, each)):
            place = out / path.relative_to(work)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        for folder in made:
            if not any(folder.iterdir()):
                folder.rmdir()


def write_mask(path: Path, scan: Scan, frames: Sequence[Labels]) -> None:
    """Write the label maps of an image's frames on its own grid, as unsigned bytes.

    Shape, affine, and the header's codes, units and steps are those of the image; the same masks
    give the same bytes.

    Args:
        path: ``.nii.gz``; its folder must exist.
        scan: The image.
        frames: One label map for each frame, as :meth:`Scan.frame` has it.
    """
    whole = scan.place(frames)
    with _compressed(path) as file:
        file.write(_header(scan, np.uint8, whole.shape[::-1], "labels"))
        file.write(np.ascontiguousarray(whole).data)


class Probabilities:
    """A NIfTI file of class probabilities, filled piece by piece: it is larger than its image.

    The classes, background first, are the last axis of the file, behind all axes of the image.

    Args:
        work: Folder for the numbers until they are compressed.
        scan: The image.
        classes: Number of classes with the background.
    """

    def __init__(self, work: Path, scan: Scan, classes: int) -> None:
        self._scan = scan
        self._path = work / "probabilities.raw"
        self._shape = (classes, *scan.four.shape)
        with self._path.open("wb") as file:
            file.truncate(4 * int(np.prod(self._shape)))

    def put(self, frame: int, plane: int, block: Array) -> None:
        """Write planes of a frame.

        Args:
            frame: The frame.
            plane: The first of the planes.
            block: ``(planes, y, x, classes)`` on the native grid as the network sees it.
        """
        scan = self._scan
        for index in range(self._shape[0]):
            # Mapped and let go class by class: pages that stay mapped count as memory in use.
            whole = np.memmap(self._path, np.float32, "r+", shape=self._shape)
            turned = scan.turn.apply(whole[index])
            volume = turned[0, frame : frame + 1] if scan.along_z else turned[frame]
            volume[plane : plane + len(block)] = block[..., index]
            del whole, turned, volume

    def close(self, path: Path) -> None:
        """Compress the numbers into a file and remove them."""
        shape = self._scan.grid.values.shape
        spatial = shape if len(shape) >= 3 else (1, *shape)
        axes = (*spatial[::-1], self._shape[0])
        with _compressed(path) as file, self._path.open("rb") as numbers:
            file.write(_header(self._scan, np.float32, axes, "class probabilities"))
            shutil.copyfileobj(numbers, file, 1 << 20)
        self._path.unlink()


@contextmanager
def _compressed(path: Path) -> Iterator[gzip.GzipFile]:
    """Open a file for compressed writing; without a date, so that equal content is equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=4, fileobj=file, mtime=0) as packed,
    ):
        yield packed


def _header(scan: Scan, dtype: npt.DTypeLike, shape: Sequence[int], what: str) -> bytes:
    """The image's header, changed in what is stored and not in where it lies."""
    import nibabel

    if scan.header is None:
        header = nibabel.Nifti1Image(
            np.zeros(scan.four.shape[:0:-1], np.uint8), scan.grid.affine
        ).header
        header.set_zooms(np.linalg.norm(scan.grid.affine[:3, :3], axis=0))
        header.set_xyzt_units("mm")
    else:
        header = scan.header.copy()
    known = len(header.get_data_shape())
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header["pixdim"][known + 1 : len(shape) + 1] = 1.0
    header["scl_slope"], header["scl_inter"] = 1.0, 0.0
    header["cal_min"] = header["cal_max"] = 0.0
    header["intent_code"], header["intent_name"] = 0, b""
    header["descrip"] = what.encode()
    header["vox_offset"] = header.sizeof_hdr + 4
    return bytes(header.binaryblock) + bytes(4)  # no extensions
