"""What every dataset is made of: its description, its cases, and the arrays read from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class DatasetError(ValueError):
    """A fault of the files on disk, or of what was asked of them.

    The message names the file, says what was expected and what was found, and what to do.
    """


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a dataset before any of its files is opened.

    Attributes:
        name: Name in the catalogue, such as `"acdc"`.
        title: Name for people.
        modality: `"MRI"` or `"ultrasound"`.
        classes: Label of each class by its name. Background (0) is never among them.
        phases: Instants of the heart cycle that are annotated, `()` where there is no cycle.
        licence: Terms of use, as the owners state them.
        citation: The publication that the owners ask to be cited.
        homepage: Where the owners publish the files.
        instructions: How to get the files and what layout they must have.
        counts: Official numbers of patients and cases.
        spacing_mm: Usual spacing of the files, `(z, y, x)`; 1 along an axis that images lack.
        dims: Spatial dimensions of one case: 3 for volumes, 2 for planar images.
        regions: Unions of classes that are scored beside them, as labels by name: what others
            publish as one structure. A region is no class: nothing is trained on it.
    """

    name: str
    title: str
    modality: str
    classes: Mapping[str, int] = field(hash=False)
    phases: tuple[str, ...]
    licence: str
    citation: str
    homepage: str
    instructions: str
    counts: Mapping[str, int] = field(hash=False)
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    dims: int = 3
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Terms:
    """What has to be said with every number made from some files.

    Attributes:
        title: Name of the files for people.
        licence: Terms of use, as the owners state them; empty where they state none.
        citation: The publication that the owners ask to be cited.
        homepage: Where the owners publish the files.
    """

    title: str
    licence: str
    citation: str
    homepage: str


@dataclass(frozen=True)
class Case:
    """One labelled image: the unit that is read, predicted and scored.

    Attributes:
        id: Unique and sortable within the dataset, safe as a file name: `"patient001_ED"`.
        patient: The patient the image is of. No split ever divides a patient.
        image: Path of the image.
        mask: Path of its label map.
        metadata: What the files say besides pixels, all as text: `phase` (`"ED"` or `"ES"`),
            `group` (ACDC pathology), `view` (`"2CH"` or `"4CH"`), `quality`, `subset`, and more.
    """

    id: str
    patient: str
    image: Path
    mask: Path
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, eq=False)
class Volume:
    """An array with its geometry.

    Attributes:
        array: `(z, y, x)` for volumes, `(t, y, x)` for sequences, `(y, x)` for planar images;
            row 0 is the top of the picture. float32 for images, uint8 for label maps.
        spacing_mm: Distance between pixel centres along each axis of `array`, in its order.
        affine: The file's own 4 x 4 matrix from `(x, y, z)` indices to millimetres. It is kept
            to write predictions on the same grid; arrays are never reoriented by it.
    """

    array: NDArray[Any]
    spacing_mm: tuple[float, ...]
    affine: NDArray[np.float64]
