"""A small reader of MetaImage (`.mhd` with `.raw` or `.zraw`), the format of the older CAMUS.

The format: https://itk.org/Wiki/ITK/MetaIO/Documentation. Read are single-channel images of any
byte order and number type, raw or zlib-compressed, with the pixels in one file beside the header
or, after `ElementDataFile = LOCAL`, behind it.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from reprlib import repr as shown
from typing import TYPE_CHECKING

from datasets.case import DatasetError
from datasets.grid import AGAIN, Grid, check_claim, deflate_capacity, read_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_LONGEST_HEADER = 1 << 16


def read_grid(path: Path) -> Grid:
    """Read a MetaImage.

    Args:
        path: The `.mhd` (or `.mha`) file.

    Raises:
        DatasetError: The header or its data file is missing or broken, or uses a feature that is
            not read.
    """
    import numpy as np

    content = read_bytes(path)
    entries, end = _header(path, content)
    dims = int(_numbers(path, entries, "NDims", 1)[0])
    if not 2 <= dims <= 4:
        raise DatasetError(f"{path}: expected NDims = 2, 3 or 4, received {dims}. {AGAIN}")
    shape = tuple(int(n) for n in _numbers(path, entries, "DimSize", dims))
    key = "ElementSpacing" if "ElementSpacing" in entries else "ElementSize"
    spacing = _numbers(path, entries, key, dims)
    if entries.get("ElementNumberOfChannels", "1") != "1":
        raise DatasetError(f"{path}: expected one channel per pixel, received a colour image.")
    type_name = entries.get("ElementType", "")
    if type_name not in _TYPES:
        raise DatasetError(
            f"{path}: expected an ElementType among {', '.join(_TYPES)}, "
            f"received {shown(type_name)}."
        )
    big = _flag(entries, "BinaryDataByteOrderMSB") or _flag(entries, "ElementByteOrderMSB")
    dtype = np.dtype(("<", ">")[big] + _TYPES[type_name])
    data = _pixels(path, entries, content[end:], shape, dtype.itemsize)
    affine, oriented = _affine(path, entries, dims, spacing)
    values = np.frombuffer(data, dtype).reshape(shape[::-1])
    return Grid(values, 1.0, 0.0, spacing[::-1], affine, oriented)


def data_file(path: Path) -> Path:
    """The file that holds the pixels of the header at `path` (itself after `LOCAL`).

    Raises:
        DatasetError: The header cannot be read, or names something else than a file beside it.
    """
    entries, _ = _header(path, read_bytes(path))
    return _data_path(path, entries["ElementDataFile"])


def _header(path: Path, content: bytes) -> tuple[dict[str, str], int]:
    """Entries, and where the header ends. `ElementDataFile` is always its last line."""
    entries: dict[str, str] = {}
    position = 0
    while position < min(len(content), _LONGEST_HEADER):
        end = content.find(b"\n", position)
        end = len(content) if end < 0 else end
        line = content[position:end].decode("utf-8", "replace")
        position = end + 1
        key, equals, value = line.partition("=")
        if not line.strip():
            continue
        if not equals:
            break
        entries[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            return entries, min(position, len(content))
    raise DatasetError(
        f"{path} is not a MetaImage header: expected lines `Key = value`, the last of them "
        f"`ElementDataFile = <file>`. {AGAIN}"
    )


def _pixels(
    path: Path, entries: dict[str, str], local: bytes, shape: tuple[int, ...], itemsize: int
) -> bytes:
    """Unpacked bytes of the pixels, exactly as many as the shape needs."""
    source = _data_path(path, entries["ElementDataFile"])
    stored = local if source == path else read_bytes(source)
    packed = _flag(entries, "CompressedData")
    capacity = deflate_capacity(len(stored)) if packed else len(stored)
    length = check_claim(path, shape, itemsize, capacity)
    if not packed:
        # HeaderSize = -1 means: whatever precedes the pixels at the end of the file.
        skip = len(stored) - length if entries.get("HeaderSize") == "-1" else 0
        stored = stored[skip:]
        if len(stored) != length:
            raise DatasetError(
                f"{source} has {len(stored)} bytes but {path.name} claims {length}. {AGAIN}"
            )
        return stored
    unpacker = zlib.decompressobj(wbits=47)  # zlib or gzip, told apart by the stream's own start
    try:
        # One byte more than needed shows a stream that is too long without unpacking all of it.
        data = unpacker.decompress(stored, length + 1)
    except zlib.error as error:
        raise DatasetError(f"{source} is damaged ({error}). {AGAIN}") from error
    if len(data) != length or not unpacker.eof:
        raise DatasetError(
            f"{source} does not unpack to the {length} bytes that {path.name} claims. {AGAIN}"
        )
    return data


def _data_path(path: Path, name: str) -> Path:
    if name in ("LOCAL", "Local", "local"):
        return path
    if name.upper().startswith("LIST") or "%" in name:
        raise DatasetError(
            f"{path}: pixels spread over several files ({shown(name)}) are not read."
        )
    if (
        not name.isprintable()
        or not name
        or name != Path(name).name
        or "\\" in name
        or name in (".", "..")
    ):
        raise DatasetError(
            f"{path}: ElementDataFile must name a file in the same folder, received {shown(name)}. "
            "Write the bare file name there."
        )
    return path.with_name(name)


def _affine(
    path: Path, entries: dict[str, str], dims: int, spacing: tuple[float, ...]
) -> tuple[NDArray[np.float64], bool]:
    import numpy as np

    affine = np.eye(4)
    space = min(dims, 3)
    affine[range(space), range(space)] = spacing[:space]
    matrix = next((k for k in ("TransformMatrix", "Rotation", "Orientation") if k in entries), "")
    if matrix:
        axes = np.reshape(_numbers(path, entries, matrix, dims * dims), (dims, dims))
        # One row per axis of the image; columns of the affine are axes, hence the transpose.
        affine[:space, :space] = axes.T[:space, :space] * spacing[:space]
    origin = next((k for k in ("Offset", "Position", "Origin") if k in entries), "")
    if origin:
        affine[:space, 3] = _numbers(path, entries, origin, dims)[:space]
    # MetaImage counts to the patient's left and back, NIfTI to the right and front.
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine, bool(matrix or origin)


def _numbers(path: Path, entries: dict[str, str], key: str, count: int) -> tuple[float, ...]:
    words = entries.get(key, "").split()
    try:
        numbers = tuple(float(word) for word in words)
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise DatasetError(
            f"{path}: expected `{key} =` and {count} numbers, received {shown(words)}. {AGAIN}"
        )
    return numbers


def _flag(entries: dict[str, str], key: str) -> bool:
    return entries.get(key, "").lower() in ("true", "1")
