"""What one image file holds, whatever its format, and the checks that all formats share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.case import DatasetError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AGAIN = "Fetch or unpack the release again."
# 512 x 512 x 512 floats. The largest atrium volume has 640 x 640 x 88; a header that claims more
# than this is broken, and believing it would exhaust the memory.
MOST_VOXELS = 1 << 27
MOST_BYTES = 4 * MOST_VOXELS
# No deflate stream grows by more than this factor, so a claim beyond it needs no unpacking.
_DEFLATE_LIMIT = 1032
# The pixels, and the 64 MiB before them that a header may claim.
_LARGEST_FILE = MOST_BYTES + (1 << 26)
_LFS = b"version https://git-lfs"
_APPLE_DOUBLE = b"\x00\x05\x16\x07"
_WEB_PAGE = (b"<!doctype", b"<html")


@dataclass(frozen=True, eq=False)
class Grid:
    """Numbers of a file as they are stored, with the file's geometry.

    Attributes:
        values: Stored numbers, slowest axis first: `(…, z, y, x)`.
        slope: Factor from stored numbers to intensities.
        intercept: What is added after it.
        spacing_mm: Along each axis of `values`, in its order.
        affine: 4 x 4, from `(x, y, z)` indices to millimetres.
        oriented: Whether the file states where the patient lies; otherwise `affine` is a default.
    """

    values: NDArray[Any]
    slope: float
    intercept: float
    spacing_mm: tuple[float, ...]
    affine: NDArray[np.float64]
    oriented: bool


def in_mm(spacing: tuple[float, ...]) -> str:
    """A spacing for people; headers in single precision have digits that say nothing."""
    return " x ".join(f"{step:.6g}" for step in spacing) + " mm"


def read_bytes(path: Path) -> bytes:
    """Whole content of an image file, read once; no handle stays open.

    Raises:
        DatasetError: It is missing, a folder, empty, unreadable, or plainly something else.
    """
    try:
        if path.is_dir():
            raise DatasetError(
                f"{path} is a folder but should be a file. Unpack the release again, with a "
                "tool that keeps the files as they are."
            )
        size = path.stat().st_size
        if not path.is_file() or size > _LARGEST_FILE:
            raise DatasetError(
                f"{path} should be an image file of at most {_LARGEST_FILE:,} bytes; it has "
                f"{size:,}, or is no file. {AGAIN}"
            )
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}. {AGAIN}") from error
    if not content:
        raise DatasetError(f"{path} is empty (0 bytes): a broken download. {AGAIN}")
    if content.startswith(_LFS):
        raise DatasetError(
            f"{path} is a Git LFS pointer, not the image itself. Run `git lfs pull` where it was "
            "cloned, or fetch the release from its owners."
        )
    if content.startswith(_APPLE_DOUBLE):
        raise DatasetError(
            f"{path} is an AppleDouble file of macOS, not an image. Delete the files whose names "
            f"begin with `._`; if this one does not, {AGAIN[0].lower()}{AGAIN[1:]}"
        )
    if content[:64].lstrip().lower().startswith(_WEB_PAGE):
        raise DatasetError(f"{path} is a web page that was saved in place of the image. {AGAIN}")
    return content


def check_claim(path: Path, shape: tuple[int, ...], itemsize: int, capacity: int) -> int:
    """Number of bytes that the voxels take, checked before any of them is allocated.

    Args:
        path: The file, for the message.
        shape: What its header claims.
        itemsize: Bytes per voxel.
        capacity: Bytes that the file could hold at most.

    Raises:
        DatasetError: The shape is impossible, or the file cannot hold it.
    """
    if not shape or min(shape) < 1:
        raise DatasetError(f"{path}: the header claims the shape {shape}. {AGAIN}")
    voxels = math.prod(shape)
    if voxels > MOST_VOXELS or voxels * itemsize > min(capacity, MOST_BYTES):
        raise DatasetError(
            f"{path}: the header claims the shape {shape}, {voxels * itemsize:,} bytes, but the "
            f"file can hold at most {capacity:,}, and at most {MOST_VOXELS:,} voxels in "
            f"{MOST_BYTES:,} bytes are read. The file is cut short or its header is broken. {AGAIN}"
        )
    return voxels * itemsize


def deflate_capacity(compressed: int) -> int:
    """Bytes that `compressed` bytes of a deflate stream can unpack to at most."""
    return compressed * _DEFLATE_LIMIT


def check_type(path: Path, dtype: np.dtype) -> None:
    """Refuse colours, complex numbers and other types that are no plain numbers.

    Raises:
        DatasetError: It is not an integer or float of at most 8 bytes.
    """
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise DatasetError(
            f"{path}: expected one integer or float per pixel, received {dtype}. "
            "Use the files of the release, not colour pictures made from them."
        )
