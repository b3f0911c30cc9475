"""Files of a phantom release: deterministic NIfTI, the marker, and atomic appearance on disk."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.case import DatasetError
from datasets.layout import PHANTOM_MARKER

NOTICE = """This is a phantom: a synthetic heart drawn by a program, not a scan of a person.

Nothing here comes from, or may be published as, the dataset whose layout it imitates. The exact
volumes from which it was drawn are in PHANTOM.json at the top of this release.
"""


def write_nifti(path: Path, array: NDArray[Any], spacing_mm: tuple[float, ...]) -> None:
    """Write a compressed NIfTI file whose bytes depend on the arguments alone.

    Args:
        path: target ending in `.nii.gz`.
        array: (z, y, x), (y, x), or (t, z, y, x); row 0 is the top. It is stored as (x, y, z).
        spacing_mm: pixel sizes in the order of the array's axes; seconds along t.
    """
    import nibabel as nib

    steps = spacing_mm[::-1]
    # Rows run to the patient's left and columns to the back (DICOM's frame); NIfTI's frame is the
    # opposite in both, hence the signs.
    signs = (-1.0, -1.0, 1.0)
    affine = np.diag([s * d for s, d in zip(signs, (*steps, 1.0), strict=False)] + [1.0])
    image = nib.Nifti1Image(array.T, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(None, code=0)
    image.set_sform(affine, code=2)
    if array.ndim == 4:
        image.header.set_zooms(steps)  # an affine says nothing of time
    image.header["descrip"] = b"phantom"
    # gzip's own time stamp would make two identical phantoms differ.
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))


def write_fields(path: Path, fields: Mapping[str, object]) -> None:
    """Write a `Key: value` file as the releases' `Info*.cfg` are written."""
    path.write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))


def _images(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.nii.gz"))


def _is_complete(folder: Path, wanted: Mapping[str, object]) -> bool:
    """Whether `folder` holds the phantom with these parameters and all of its images."""
    try:
        marker = json.loads((folder / PHANTOM_MARKER).read_text())
    except (OSError, ValueError):
        return False
    if not isinstance(marker, dict) or any(marker.get(k) != v for k, v in wanted.items()):
        return False
    return bool(marker.get("images") == _images(folder))


def publish(
    target: Path,
    parameters: Mapping[str, object],
    build: Callable[[Path], Mapping[str, object]],
) -> None:
    """Make a phantom release appear at `target` whole or not at all.

    An equal and complete phantom is left untouched, another phantom is replaced, and a folder that
    is no phantom is never removed.

    Args:
        target: release folder; its parent is made if absent.
        parameters: what identifies this phantom; goes into the marker.
        build: fills the folder it is given and returns the truth by patient.

    Raises:
        DatasetError: `target` exists and is not a phantom, or its parent cannot be written.
    """
    if _is_complete(target, parameters):
        return
    if target.exists() and not (target / PHANTOM_MARKER).is_file():
        raise DatasetError(
            f"{target} exists and is not a phantom (it has no {PHANTOM_MARKER}); real scans are "
            "never overwritten: choose another folder for phantoms, or move this one away"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise DatasetError(
            f"{target.parent} cannot be written ({error.strerror}): choose another folder for "
            "phantoms"
        ) from None
    try:
        fresh = work / "new"
        fresh.mkdir()
        truth = build(fresh)
        marker = {**parameters, "images": _images(fresh), "truth": truth}
        (fresh / PHANTOM_MARKER).write_text(json.dumps(marker, indent=1) + "\n")
        _swap(fresh, target, work / "old", parameters)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _swap(fresh: Path, target: Path, aside: Path, parameters: Mapping[str, object]) -> None:
    if target.exists():
        os.rename(target, aside)  # noqa: PTH104 - Path.rename says nothing more
    try:
        os.rename(fresh, target)  # noqa: PTH104
    except OSError:
        # Another process that writes the same phantom may have been first: its files are ours.
        if not _is_complete(target, parameters):
            if aside.exists() and not target.exists():
                os.rename(aside, target)  # noqa: PTH104
            raise
