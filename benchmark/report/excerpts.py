"""The parts of test cases that runs left for pictures, read back."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from benchmark.report.groups import Group, Run

Image = npt.NDArray[np.uint8]
Files = dict[tuple[str, str], dict[str, tuple[Run, Path]]]


@dataclass(frozen=True)
class Excerpt:
    """A window of a case.

    Attributes:
        image: Grey values, ``(z, y, x)``.
        truth: Label map of the same shape.
        prediction: Label map of the same shape.
        spacing_mm: Of ``z, y, x``; z is NaN for a single slice.
        slices: The index of each slice in its file, which has ``depth``.
        depth: Slices of the file.
        shown: Place of the slice that figures show.
        corner_mm: How far down and right in the file's field the window begins.
        dice: Mean foreground Dice of the whole case.
        outside: How much of the prediction lies beside the window, in ``unit``.
        unit: ``mL``, of planar images ``cm²``.
    """

    image: Image
    truth: Image
    prediction: Image
    spacing_mm: tuple[float, float, float]
    slices: tuple[int, ...]
    depth: int
    shown: int
    corner_mm: tuple[float, float]
    dice: float
    outside: float
    unit: str

    def same_grid(self, other: Excerpt) -> bool:
        """Whether both show the same pixels of the same case."""
        return (
            self.truth.shape == other.truth.shape
            and self.slices == other.slices
            and self.corner_mm == other.corner_mm
            and np.array_equal(self.spacing_mm, other.spacing_mm, equal_nan=True)
            and np.array_equal(self.truth, other.truth)
        )


def read_excerpt(source: Path | bytes) -> Excerpt:
    """Read ``slices/<case>.npz``.

    Files of earlier versions hold one slice of the whole field, ``(y, x)``.

    Args:
        source: the file, or what it holds.
    """
    opened: Path | BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
    with np.load(opened) as file:
        arrays = [file[name] for name in ("image", "truth", "prediction")]
        spacing = [float(value) for value in file["spacing_mm"]]
        dice = float(file["dice"])
        if arrays[0].ndim == 2:
            image, truth, prediction = (array[None] for array in arrays)
            return Excerpt(
                image, truth, prediction, (math.nan, spacing[0], spacing[1]), slices=(0,), depth=1,
                shown=0, corner_mm=(0.0, 0.0), dice=dice, outside=0.0, unit="mL",
            )  # fmt: skip
        image, truth, prediction = arrays
        down_mm, right_mm = (float(value) for value in file["corner_mm"])
        planar = "outside_cm2" in file
        return Excerpt(
            image,
            truth,
            prediction,
            spacing_mm=(spacing[0], spacing[1], spacing[2]),
            slices=tuple(int(index) for index in file["slices"]),
            depth=int(file["depth"]),
            shown=int(file["shown"]),
            corner_mm=(down_mm, right_mm),
            dice=dice,
            outside=float(file["outside_cm2" if planar else "outside_ml"]),
            unit="cm²" if planar else "mL",
        )


def only(labels: Iterable[int]) -> Image:
    """A table, ``(256,)``, that maps these labels to themselves and all others to background."""
    known = np.zeros(256, np.uint8)
    for label in labels:
        known[label] = label
    return known


def keep_labels(excerpt: Excerpt, labels: Iterable[int]) -> Excerpt:
    """The excerpt without classes that are not scored: what has no truth cannot be an error."""
    known = only(labels)
    return replace(excerpt, truth=known[excerpt.truth], prediction=known[excerpt.prediction])


def files_of(group: Group) -> Files:
    """Files of each architecture by case, from the run with the lowest fold and seed."""
    found: Files = {}
    for run in group.runs:
        if not run.ok:
            continue
        files = found.setdefault(run.name, {})
        for path in sorted((run.path / "slices").glob("*.npz")):
            files.setdefault(path.stem, (run, path))
    return {name: files for name, files in found.items() if files}
