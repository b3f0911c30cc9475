"""One structure in two masks, prepared once for all metrics."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError
from benchmark.evaluation import overlap, surface
from benchmark.evaluation.overlap import Mask

Outcome = Literal["scored", "both_empty", "missed", "spurious"]

DEFAULT_TOLERANCE_MM = 2.0


class GeometryError(BenchmarkError):
    """Truth and prediction do not lie on one grid, or their spacing is not one."""


@dataclass(frozen=True)
class Comparison:
    """Truth and prediction of one structure; what metrics share is worked out at first use.

    Attributes:
        truth: Boolean mask `(y, x)` or `(z, y, x)`; may be cropped to what is not background.
        prediction: Boolean mask of the same shape.
        spacing_mm: Size of a voxel along each axis.
        diagonal_mm: Diagonal of the whole image: the distance that a lost structure is given.
        tolerance_mm: Distance up to which two surfaces agree (for NSD).
        definition: Which definition of surface distances holds.
    """

    truth: Mask = field(repr=False)
    prediction: Mask = field(repr=False)
    spacing_mm: tuple[float, ...]
    diagonal_mm: float
    tolerance_mm: float = DEFAULT_TOLERANCE_MM
    definition: surface.Definition = "metrics_reloaded"

    @property
    def is_planar(self) -> bool:
        """Whether the masks are planar images, which have no volume."""
        return self.truth.ndim == 2

    @cached_property
    def overlap(self) -> overlap.Overlap:
        """The voxel counts."""
        return overlap.count(self.truth, self.prediction)

    @cached_property
    def distances(self) -> surface.SurfaceDistances:
        """The surface distances; only for two masks that are not empty."""
        return surface.surface_distances(
            self.truth, self.prediction, self.spacing_mm, self.definition
        )

    @property
    def outcome(self) -> Outcome:
        """Whether there is something to compare, and if not, who left it empty."""
        if not self.overlap.truth:
            return "spurious" if self.overlap.prediction else "both_empty"
        return "scored" if self.overlap.prediction else "missed"

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres; NaN in the plane."""
        return math.nan if self.is_planar else math.prod(self.spacing_mm) / 1000


def compare(
    truth: npt.NDArray[np.generic],
    prediction: npt.NDArray[np.generic],
    spacing_mm: tuple[float, ...],
    *,
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    definition: surface.Definition = "metrics_reloaded",
) -> Comparison:
    """Prepare two masks of one structure; every voxel that is not 0 belongs to it.

    Raises:
        GeometryError: If shapes, dimensions or spacing do not fit together.
    """
    check_geometry(truth, prediction, spacing_mm)
    return Comparison(
        truth=truth != 0,
        prediction=prediction != 0,
        spacing_mm=spacing_mm,
        diagonal_mm=diagonal_mm(truth.shape, spacing_mm),
        tolerance_mm=tolerance_mm,
        definition=definition,
    )


def diagonal_mm(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> float:
    """Length of the diagonal of an image from outer corner to outer corner, in mm."""
    return math.hypot(*(size * step for size, step in zip(shape, spacing_mm, strict=True)))


def check_geometry(
    truth: npt.NDArray[np.generic],
    prediction: npt.NDArray[np.generic],
    spacing_mm: tuple[float, ...],
) -> None:
    """Raise a GeometryError unless both arrays and the spacing describe one grid in 2 or 3 axes."""
    if truth.shape != prediction.shape or truth.ndim not in (2, 3):
        raise GeometryError(
            "Expected a truth and a prediction of one shape, (y, x) or (z, y, x). "
            f"Received: {truth.shape} and {prediction.shape}. "
            "Resample the prediction to the grid of the truth."
        )
    if len(spacing_mm) != truth.ndim or not all(
        math.isfinite(step) and step > 0 for step in spacing_mm
    ):
        raise GeometryError(
            f"Expected a positive spacing in mm for each of {truth.ndim} axes. "
            f"Received: {spacing_mm}. Take it from the header of the scan."
        )
