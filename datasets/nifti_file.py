"""The numbers of a NIfTI file, every claim of its header checked before it is believed.

The format: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from pathlib import Path

from datasets.case import DatasetError
from datasets.grid import AGAIN, Grid, check_claim, check_type, deflate_capacity, read_bytes

_GZIP = b"\x1f\x8b"
# A header begins with its own length, in the byte order of the machine that wrote it.
_HEADER_SIZES = {
    size.to_bytes(4, order): size for size in (348, 540) for order in ("little", "big")
}
_LARGEST_OFFSET = 1 << 26
# Bytes after the last voxel that a writer may have padded; more means that the shape is wrong.
_PADDING = 64


def read_grid(path: Path) -> Grid:
    """Read a `.nii` or `.nii.gz` file; whether it is compressed is told from its first bytes.

    Args:
        path: The file.

    Raises:
        DatasetError: It is missing, damaged, or its header is broken or claims too much.
    """
    content = read_bytes(path)
    packed = content.startswith(_GZIP)
    capacity = deflate_capacity(len(content)) if packed else len(content)
    try:
        stream = gzip.GzipFile(fileobj=io.BytesIO(content)) if packed else io.BytesIO(content)
        with stream:
            return _parse(path, stream, capacity)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{path} is cut short or damaged ({error}). {AGAIN}") from error


def _parse(path: Path, stream: io.BufferedIOBase, capacity: int) -> Grid:
    import nibabel
    import numpy as np
    from nibabel.spatialimages import HeaderDataError

    start = stream.read(4)
    size = _HEADER_SIZES.get(start, 0)
    block = start + stream.read(size - 4) if size else b""
    magic = block[344:348] if size == 348 else block[4:8]
    if not size or len(block) < size or magic not in (b"n+1\0", b"n+2\0"):
        raise DatasetError(f"{path} is not a NIfTI image in one file (.nii, .nii.gz). {AGAIN}")
    try:
        header_type = nibabel.Nifti1Header if size == 348 else nibabel.Nifti2Header
        header = header_type(block, check=False)
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = header.get_data_dtype()
        spacing = tuple(float(step) for step in header.get_zooms())
        offset = float(header["vox_offset"])
        slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
        oriented = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
        with np.errstate(all="ignore"):
            affine = np.asarray(header.get_best_affine(), np.float64)
    except (HeaderDataError, ValueError, KeyError, IndexError) as error:
        raise DatasetError(f"{path}: the header is broken ({error}). {AGAIN}") from error
    check_type(path, dtype)
    if not np.isfinite(affine).all():
        raise DatasetError(f"{path}: the affine of the header is not finite. {AGAIN}")
    if not size <= offset <= _LARGEST_OFFSET:
        raise DatasetError(f"{path}: the header says that pixels begin at byte {offset}. {AGAIN}")
    length = check_claim(path, shape, dtype.itemsize, capacity)
    stream.read(int(offset) - size)
    data = stream.read(length)
    # Reading to the end makes gzip compare its checksum, which is what finds a flipped bit.
    beyond = len(stream.read(_PADDING + 1))
    if len(data) < length or beyond > _PADDING:
        raise DatasetError(
            f"{path}: the header claims {length} bytes of pixels, the file has "
            f"{'more' if beyond > _PADDING else len(data)}. It is cut short or its header is "
            f"broken. {AGAIN}"
        )
    if not math.isfinite(slope) or slope == 0:  # the standard's way to say "not scaled"
        slope, intercept = 1.0, 0.0
    if not math.isfinite(intercept):
        raise DatasetError(f"{path}: scl_inter is {intercept} in the header. {AGAIN}")
    # The fastest axis comes first in the header, so the reversed shape is C order: no copy.
    values = np.frombuffer(data, dtype).reshape(shape[::-1])
    return Grid(values, slope, intercept, spacing[::-1], affine, oriented)
