"""An image of any kind as the frames that a network sees, and their masks back on its grid."""

from __future__ import annotations

import gzip
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.preprocessing import Array
from benchmark.errors import DataError
from benchmark.prediction.orientation import Turn, codes_of, turn_to
from datasets import mhd, nifti_file
from datasets.case import DatasetInfo
from datasets.grid import Grid

_MM = {"meter": 1000.0, "micron": 0.001}
_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}


@dataclass(frozen=True, eq=False)
class Scan:
    """An image file, read and checked.

    Attributes:
        path: The file.
        header: Its NIfTI header; None of a MetaImage.
        grid: Its numbers and geometry.
        turn: From the file's axes to those of the training images.
        codes: Where the file's x, y and z run; empty where its header does not say.
        planar: Whether frames are ``(y, x)``.
        along_z: Whether the frames lie along z, as those of echo sequences do, instead of t.
        spacing_mm: Of a frame as the network sees it, ``(z, y, x)`` or ``(y, x)``.
        time_step_s: Between two frames; NaN where it is not known.
    """

    path: Path
    header: Any
    grid: Grid
    turn: Turn
    codes: str
    planar: bool
    along_z: bool
    spacing_mm: tuple[float, ...]
    time_step_s: float

    @property
    def frames(self) -> int:
        """Number of images in the file: 1, or the length of a sequence."""
        return int(self._turned().shape[1 if self.along_z else 0])

    def frame(self, index: int) -> Array:
        """Return the intensities of one frame as the network sees them.

        Raises:
            DataError: It has pixels that are NaN or infinite, or is the same everywhere.
        """
        stored = self._turned()
        part = stored[0, index][np.newaxis] if self.along_z else stored[index]
        array = np.empty(part.shape, np.float32)
        grid = self.grid
        with np.errstate(over="ignore", invalid="ignore"):
            for target, plane in zip(array, part, strict=True):  # a plane of float64 at a time
                if (grid.slope, grid.intercept) == (1.0, 0.0):
                    target[...] = plane
                else:
                    target[...] = plane * np.float64(grid.slope) + np.float64(grid.intercept)
        where = f"{self.path}{f', frame {index + 1}' if self.frames > 1 else ''}"
        broken = array.size - sum(int(np.count_nonzero(np.isfinite(plane))) for plane in array)
        if broken:
            raise DataError(
                f"{where}: {broken} of {array.size} pixels are NaN or infinite. Replace them by "
                "the value of the background, or leave the image out."
            )
        if array.min() == array.max():
            raise DataError(
                f"{where}: all {array.size} pixels have the value {array.flat[0]:g}: there is no "
                "picture in it. Leave it out."
            )
        return array[0] if self.planar else array

    def check(self) -> None:
        """Look at every frame.

        Raises:
            DataError: As :meth:`frame`.
        """
        for index in range(self.frames):
            self.frame(index)

    def place(self, arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Put arrays of the frames together as the file's array lies, slowest axis first.

        Args:
            arrays: One array in the shape of :meth:`frame` for each frame.
        """
        frames = [array.reshape(-1, *array.shape[-2:]) for array in arrays]
        whole = np.concatenate(frames)[np.newaxis] if self.along_z else np.stack(frames)
        return self.turn.undo(whole).reshape(self.grid.values.shape)

    @property
    def four(self) -> npt.NDArray[Any]:
        """The file's stored numbers with all axes that it may have, ``(t, z, y, x)``."""
        return _four(self.grid.values)

    def _turned(self) -> npt.NDArray[Any]:
        return self.turn.apply(self.four)


def read_scan(path: Path, info: DatasetInfo, trained: Counter[str]) -> Scan:
    """Read an image; what is in its pixels is only seen by :meth:`Scan.frame`.

    Args:
        path: ``.nii``, ``.nii.gz``, ``.mhd`` or ``.mha``.
        info: The dataset on which the network was trained.
        trained: The axis codes of its files, from ``orientation.trained_codes``.

    Raises:
        DatasetError: The file cannot be read.
        DataError: It is no image, stack or sequence of them.
    """
    metaimage = path.suffix in (".mhd", ".mha")
    grid = mhd.read_grid(path) if metaimage else nifti_file.read_grid(path)
    header = None if metaimage else _header(path)
    shape = grid.values.shape
    if grid.values.ndim < 2 or math.prod(shape[:-4]) > 1:
        raise DataError(
            f"{path}: expected an image, a stack of slices or a sequence of these (x, y, z, t), "
            f"received {len(shape)} axes of the lengths {' x '.join(map(str, shape[::-1]))}."
        )
    unit, second = header.get_xyzt_units() if header is not None else ("mm", "unknown")
    steps = (*grid.spacing_mm[::-1], 1.0, 1.0)
    spacing = _spacing(path, steps[2::-1], _four(grid.values).shape[1:], _MM.get(unit, 1.0))
    stacked = info.dims == 2 or info.spacing_mm[0] >= 2 * max(info.spacing_mm[1:])
    codes, turn = "", Turn()
    if grid.oriented and np.linalg.matrix_rank(grid.affine[:3, :3]) == 3:
        codes = codes_of(grid.affine)
        turn = turn_to(
            grid.affine,
            codes if codes in trained else trained.most_common(1)[0][0],
            shape=_four(grid.values).shape[1:],
            spacing_mm=spacing,
            stacked=stacked,
        )
    count, depth, _, _ = turn.apply(_four(grid.values)).shape
    planar = info.dims == 2 or grid.values.ndim == 2
    if planar and count > 1 and depth > 1:
        raise DataError(
            f"{path}: expected a picture or a sequence of pictures, as in {info.title}, received "
            f"{count} volumes of {depth} slices."
        )
    turned = turn.pick(spacing)
    along_z = planar and depth > 1
    timed = second in _SECONDS and steps[3] > 0 and count > 1
    return Scan(
        path, header, grid, turn, codes, planar, along_z,
        spacing_mm=turned[1:] if planar else turned,
        time_step_s=round(steps[3] * _SECONDS[second], 6) if timed else math.nan,
    )  # fmt: skip


def _four(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A file's array as ``(t, z, y, x)``."""
    return values.reshape((1, 1, *values.shape)[-4:])


def _spacing(
    path: Path, steps: Sequence[float], shape: Sequence[int], unit_mm: float
) -> tuple[float, ...]:
    """Steps in millimetres; along an axis with a single pixel there is none to be wrong."""
    spacing = tuple(
        1.0 if size == 1 and not (math.isfinite(step) and step > 0) else step * unit_mm
        for step, size in zip(steps, shape, strict=True)
    )
    if not all(math.isfinite(step) and step > 0 for step in spacing):
        raise DataError(
            f"{path}: the pixel spacing must be positive, received "
            f"{' x '.join(f'{step:g}' for step in spacing[::-1])} mm. Write the true one into the "
            "header."
        )
    return spacing


def _header(path: Path) -> Any:
    """The header of a NIfTI file that `nifti_file` has found sound, in little-endian order."""
    import nibabel

    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as file:
        block = file.read(540)
    second = block[4:8] == b"n+2\0"
    kind = nibabel.Nifti2Header if second else nibabel.Nifti1Header
    return kind(block[: 540 if second else 348], check=False).as_byteswapped("<")
