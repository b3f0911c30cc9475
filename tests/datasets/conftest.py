"""Small releases in the official layouts, written for one test at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import nibabel
import numpy as np
import pytest

Writer = Callable[..., Path]


def write_nifti(path: Path, array, spacing=None, affine=None, *, dtype=None) -> Path:
    """Write `array`, `(z, y, x)` or `(y, x)`, as nibabel and the owners of the releases would."""
    array = np.asarray(array, dtype)
    spacing = spacing or {2: (0.5, 0.5), 3: (10.0, 1.5, 1.5)}.get(array.ndim, (1.0,) * array.ndim)
    if affine is None:
        steps = (*spacing[::-1], 1.0)[:3]
        affine = np.diag([-steps[0], -steps[1], steps[2], 1.0])
    image = nibabel.Nifti1Image(array.T, affine)
    image.header.set_zooms(spacing[::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path


def write_pair(image: Path, mask: Path, shape=(2, 6, 5), labels=(0, 1, 2, 3)) -> None:
    count = int(np.prod(shape))
    write_nifti(image, np.arange(count).reshape(shape), dtype=np.int16)
    write_nifti(mask, np.resize(labels, count).reshape(shape), dtype=np.uint8)


def write_acdc_patient(
    folder: Path, *, ed: int = 1, es: int = 12, group: str = "DCM", masks: bool = True
) -> Path:
    """One patient as in the release, with the 4-D file and the citation beside the frames."""
    name = folder.name
    for frame in (ed, es):
        stem = f"{name}_frame{frame:02d}"
        write_pair(folder / f"{stem}.nii.gz", folder / f"{stem}_gt.nii.gz")
        if not masks:
            (folder / f"{stem}_gt.nii.gz").unlink()
    write_nifti(folder / f"{name}_4d.nii.gz", np.zeros((3, 2, 6, 5)), dtype=np.int16)
    (folder / "MANDATORY_CITATION.md").write_text("Bernard et al.")
    (folder / "Info.cfg").write_text(
        f"ED: {ed}\nES: {es}\nGroup: {group}\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n"
    )
    return folder


def write_camus_patient(
    folder: Path, *, views: Iterable[str] = ("2CH", "4CH"), ed: int = 1, es: int = 18
) -> Path:
    """One patient of the NIfTI release, with the half sequences beside the frames."""
    name = folder.name
    for view in views:
        for phase in ("ED", "ES"):
            stem = f"{name}_{view}_{phase}"
            write_pair(folder / f"{stem}.nii.gz", folder / f"{stem}_gt.nii.gz", (7, 5))
        stem = f"{name}_{view}_half_sequence"
        write_pair(folder / f"{stem}.nii.gz", folder / f"{stem}_gt.nii.gz", (4, 7, 5))
        (folder / f"Info_{view}.cfg").write_text(
            f"ED: {ed}\nES: {es}\nNbFrame: 18\nSex: F\nAge: 56\nImageQuality: Good\nEF: 54\n"
            "FrameRate: 51.8\n"
        )
    (folder / "MANDATORY_CITATION.md").write_text("Leclerc et al.")
    return folder


def write_task02(root: Path, numbers: Iterable[int] = (3, 4)) -> Path:
    """Task02 with the AppleDouble files that the official archive has beside every file."""
    for number in numbers:
        name = f"la_{number:03d}.nii.gz"
        write_pair(root / "imagesTr" / name, root / "labelsTr" / name, labels=(0, 1))
        for folder in ("imagesTr", "labelsTr"):
            (root / folder / f"._{name}").write_bytes(b"\x00\x05\x16\x07" + bytes(200))
    return root


def write_mhd(path: Path, array, *, spacing=(0.154, 0.308, 1.54), packed=False, **entries) -> Path:
    """Write `array`, `(y, x)`, as the older CAMUS release does: three axes, the last of length 1.

    `spacing` is in the header's own order `(x, y, z)`.
    """
    import zlib

    names = {"uint8": "MET_UCHAR", "int16": "MET_SHORT", "float32": "MET_FLOAT"}
    array = np.ascontiguousarray(array)
    content = array.tobytes()
    content = zlib.compress(content) if packed else content
    data = path.with_suffix(".zraw" if packed else ".raw")
    header = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": str(packed),
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "0 0 0",
        "ElementSpacing": " ".join(map(str, spacing)),
        "DimSize": f"{array.shape[1]} {array.shape[0]} 1",
        "ElementType": names[array.dtype.name],
        "ElementDataFile": data.name,
    } | entries
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key} = {value}\n" for key, value in header.items()))
    data.write_bytes(content)
    return path


@pytest.fixture
def nifti_file() -> Writer:
    return write_nifti


@pytest.fixture
def acdc_patient() -> Writer:
    return write_acdc_patient


@pytest.fixture
def camus_patient() -> Writer:
    return write_camus_patient


@pytest.fixture
def task02() -> Writer:
    return write_task02


@pytest.fixture
def mhd_file() -> Writer:
    return write_mhd
