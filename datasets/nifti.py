"""Checked reading of images and masks, and writing of predicted masks.

Every file is read once, as bytes, and judged before its pixels are allocated; what is wrong with
it comes out as one `DatasetError` that names it.
"""

from __future__ import annotations

import gzip
import math
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import layout, mhd, nifti_file
from datasets.case import Case, DatasetError, DatasetInfo, Volume
from datasets.grid import AGAIN, Grid, in_mm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Two grids are the same when no corner is further apart than this fraction of a pixel.
_SAME_CORNER = 0.1
_SAME_SPACING = 1e-3
_ROUNDING = 1e-4
# Values that an error message lists.
_SHOWN = 5


def read_image(path: Path, *, dims: int | None = None) -> Volume:
    """Read an image in its stored intensities.

    Args:
        path: `.nii`, `.nii.gz`, or `.mhd`.
        dims: Axes that the array must have. By default 2 or 3, without trailing axes of length 1.

    Returns:
        Array float32 `(z, y, x)` or `(y, x)`, scaled as the header says.

    Raises:
        DatasetError: The file is missing, broken, of another shape, or has pixels that are NaN
            or infinite.
    """
    return _image(path, _read_grid(path, dims))


def read_mask(path: Path, labels: Collection[int], *, dims: int | None = None) -> Volume:
    """Read a label map.

    A mask need not hold every label: a slice may miss the heart, an annotator may have left out
    a structure. It must hold no other.

    Args:
        path: `.nii`, `.nii.gz`, or `.mhd`.
        labels: Labels that may occur besides 0, the background.
        dims: As in `read_image`.

    Returns:
        Array uint8 `(z, y, x)` or `(y, x)`.

    Raises:
        DatasetError: The file is missing or broken, or holds values that are not labels.
    """
    return _mask(path, _read_grid(path, dims), labels)


def read_pair(case: Case, info: DatasetInfo) -> tuple[Volume, Volume]:
    """Read the image and the mask of a case, and check that they lie on the same grid.

    Args:
        case: The case.
        info: Its dataset: gives the labels and the number of axes.

    Raises:
        DatasetError: Either cannot be read, or their shapes, spacings or positions differ.
    """
    image_grid, mask_grid = (_read_grid(path, info.dims) for path in (case.image, case.mask))
    image = _image(case.image, image_grid)
    mask = _mask(case.mask, mask_grid, info.classes.values())
    _check_same_place(case, image_grid, mask_grid)
    return image, mask


def pair_faults(case: Case, info: DatasetInfo) -> list[DatasetError]:
    """All that is wrong with the files of a case, where `read_pair` stops at the first fault."""
    faults: list[DatasetError] = []
    grids: list[Grid] = []
    with layout.noting(faults):
        grids.append(_read_grid(case.image, info.dims))
        _image(case.image, grids[0])
    with layout.noting(faults):
        grids.append(_read_grid(case.mask, info.dims))
        _mask(case.mask, grids[-1], info.classes.values())
    if len(grids) == 2:
        with layout.noting(faults):
            _check_same_place(case, *grids)
    return faults


def read_masks(
    truth: Path, prediction: Path, labels: Collection[int], *, dims: int | None = None
) -> tuple[Volume, Volume]:
    """Read a true and a predicted label map, and check that they lie on the same grid.

    Args:
        truth: As in `read_mask`.
        prediction: Likewise; made by any tool.
        labels: As in `read_mask`.
        dims: As in `read_image`; by default the prediction must have the axes of the truth.

    Raises:
        DatasetError: Either cannot be read, or their shapes, spacings or positions differ.
    """
    one = _read_grid(truth, dims)
    other = _read_grid(prediction, one.values.ndim)
    expected, found = _mask(truth, one, labels), _mask(prediction, other, labels)
    fault = ""
    if found.array.shape != expected.array.shape:
        fault = f"the shape {found.array.shape}, {truth} has {expected.array.shape}"
    elif not _same_spacing(one, other):
        fault = f"the spacing {in_mm(found.spacing_mm)}, {truth} has {in_mm(expected.spacing_mm)}"
    elif one.oriented and other.oriented:
        apart = _distance_mm(one, other)
        if apart > _SAME_CORNER * min(expected.spacing_mm):
            fault = f"an affine that puts it up to {apart:.3g} mm away from {truth}"
    if fault:
        raise DatasetError(
            f"{prediction} has {fault} (slowest axis first). Resample it to the grid of the truth, "
            "nearest neighbour, or predict on the original images."
        )
    return expected, found


def source_files(path: Path) -> tuple[Path, ...]:
    """The files that hold the image at `path`: itself, and the pixels beside an `.mhd` header.

    Raises:
        DatasetError: An `.mhd` header cannot be read.
    """
    pixels = mhd.data_file(path) if _is_metaimage(path) else path
    return (path,) if pixels == path else (path, pixels)


def write_mask(path: Path, mask: NDArray[np.integer], like: Path | Volume) -> None:
    """Write a label map on the grid of another file.

    The file appears whole or not at all, and the same mask gives the same bytes.

    Args:
        path: `.nii` or `.nii.gz`; its folder must exist.
        mask: `(z, y, x)` or `(y, x)`, labels 0 to 255.
        like: The image whose grid the mask is on, or its path.

    Raises:
        DatasetError: The shapes differ, or `like` cannot be read.
        ValueError: The mask holds values that are not labels, or `path` has another suffix.
    """
    import nibabel
    import numpy as np

    if not path.name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"A mask is written as .nii or .nii.gz. Received: path={path}")
    if mask.dtype.kind not in "iub" or (mask.size and (mask.min() < 0 or mask.max() > 255)):
        raise ValueError(f"Labels are integers from 0 to 255. Received: dtype={mask.dtype}")
    volume = like if isinstance(like, Volume) else read_image(like, dims=mask.ndim)
    if mask.shape != volume.array.shape:
        raise DatasetError(
            f"{path}: the mask has the shape {mask.shape} but its grid has {volume.array.shape}."
        )
    image = nibabel.Nifti1Image(mask.T.astype(np.uint8), volume.affine)
    image.header.set_zooms(volume.spacing_mm[::-1])
    image.header.set_xyzt_units("mm")
    content = image.to_bytes()
    if path.name.endswith(".gz"):
        content = gzip.compress(content, compresslevel=6, mtime=0)
    _write_whole(path, content)


def _image(path: Path, grid: Grid) -> Volume:
    import numpy as np

    array = np.empty(grid.values.shape, np.float32)
    # One plane at a time: the float64 product of a whole volume would double the memory.
    with np.errstate(over="ignore", invalid="ignore"):
        for target, plane in zip(array, grid.values, strict=True):
            if (grid.slope, grid.intercept) == (1.0, 0.0):
                target[...] = plane
            else:
                target[...] = plane * np.float64(grid.slope) + np.float64(grid.intercept)
    broken = array.size - int(np.count_nonzero(np.isfinite(array)))
    if broken:
        raise DatasetError(f"{path}: {broken} of {array.size} pixels are NaN or infinite. {AGAIN}")
    return Volume(array, grid.spacing_mm, grid.affine)


def _mask(path: Path, grid: Grid, labels: Collection[int]) -> Volume:
    import numpy as np

    allowed = sorted({0, *labels})
    array = np.empty(grid.values.shape, np.uint8)
    strange: set[float] = set()
    for target, stored in zip(array, grid.values, strict=True):
        plane = _whole_numbers(stored, grid)
        strange.update(np.setdiff1d(_distinct(plane), allowed)[: _SHOWN + 1].tolist())
        if len(strange) > _SHOWN:
            break
        if not strange:
            target[...] = plane
    if strange:
        shown = ", ".join(f"{value:g}" for value in sorted(strange)[:_SHOWN])
        wanted = f"{allowed}" if len(allowed) <= 2 * _SHOWN else f"0 to {allowed[-1]}"
        raise DatasetError(
            f"{path} holds values that are not labels: {shown}"
            f"{' and more' if len(strange) > _SHOWN else ''}. Expected only {wanted}. Masks that "
            "were saved as JPEG, or resized with interpolation, hold grey levels: use the masks as "
            "their makers saved them."
        )
    return Volume(array, grid.spacing_mm, grid.affine)


def _whole_numbers(stored: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """Stored numbers as labels. One that went through a float scale has its rounding error."""
    import numpy as np

    if stored.dtype.kind != "f" and (grid.slope, grid.intercept) == (1.0, 0.0):
        return stored
    with np.errstate(all="ignore"):
        exact = stored * np.float64(grid.slope) + np.float64(grid.intercept)
        rounded = np.rint(exact)
        return np.where(np.abs(rounded - exact) < _ROUNDING, rounded, exact)


def _distinct(values: NDArray[Any]) -> NDArray[Any]:
    """Distinct values; counting beats sorting for the bytes that masks usually are."""
    import numpy as np

    if values.dtype == np.uint8:
        return np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    return np.unique(values)


def _read_grid(path: Path, dims: int | None) -> Grid:
    """Read a file of either format and bring it to `dims` axes."""
    grid = mhd.read_grid(path) if _is_metaimage(path) else nifti_file.read_grid(path)
    values, spacing = grid.values, grid.spacing_mm
    # Echo frames come as (x, y) or (x, y, 1): which of the two depends on who wrote the file.
    while values.ndim > (dims or 2) and values.shape[0] == 1:
        values, spacing = values[0], spacing[1:]
    if values.ndim not in ((2, 3) if dims is None else (dims,)):
        raise DatasetError(
            f"{path}: expected {dims or '2 or 3'} axes, received the shape {grid.values.shape} "
            "(slowest axis first). Sequences over time are not cases; use the single frames."
        )
    if not all(math.isfinite(step) and step > 0 for step in spacing):
        raise DatasetError(
            f"{path}: the pixel spacing must be positive, received {spacing} mm. {AGAIN}"
        )
    return Grid(values, grid.slope, grid.intercept, spacing, grid.affine, grid.oriented)


def _is_metaimage(path: Path) -> bool:
    return path.suffix in (".mhd", ".mha")


def _check_same_place(case: Case, image: Grid, mask: Grid) -> None:
    """Compare spacing and position with a tolerance: headers differ in codes and rounding."""
    if image.values.shape != mask.values.shape:
        raise DatasetError(
            f"{case.mask} has the shape {mask.values.shape} but its image {case.image.name} has "
            f"{image.values.shape}. Mask and image must be of the same exam and size. {AGAIN}"
        )
    if not _same_spacing(image, mask):
        raise DatasetError(
            f"{case.mask} has the spacing {in_mm(mask.spacing_mm)} but its image "
            f"{case.image.name} has {in_mm(image.spacing_mm)} (slowest axis first). "
            f"One header was altered. {AGAIN}"
        )
    if not (image.oriented and mask.oriented):  # one says nothing of its position: no conflict
        return
    apart = _distance_mm(image, mask)
    if apart > _SAME_CORNER * min(image.spacing_mm):
        raise DatasetError(
            f"{case.mask} lies up to {apart:.3g} mm away from its image {case.image.name}: "
            f"their affines differ. One header was altered. {AGAIN}"
        )


def _same_spacing(one: Grid, other: Grid) -> bool:
    pairs = zip(one.spacing_mm, other.spacing_mm, strict=True)
    return all(math.isclose(a, b, rel_tol=_SAME_SPACING) for a, b in pairs)


def _distance_mm(one: Grid, other: Grid) -> float:
    """How far the corners of two grids of one shape are apart."""
    import numpy as np

    extent = np.zeros(3)
    extent[: one.values.ndim] = np.array(one.values.shape[::-1][:3]) - 1
    corners = np.array(
        [[x, y, z, 1] for x in (0, extent[0]) for y in (0, extent[1]) for z in (0, extent[2])]
    )
    return float(np.abs(corners @ (one.affine - other.affine).T).max())


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
