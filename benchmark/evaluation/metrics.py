"""The catalogue of metrics, and the table of scores of one case.

Each metric states its unit, range, direction and what an empty mask gives, and can be called as
`METRICS["dice"](truth, prediction, spacing_mm)`. The rule for empty masks is the same everywhere:

* both masks empty: there is nothing to compare; NaN, excluded from means and counted;
* one mask empty: the structure is lost or invented. Overlaps are 0 and distances are the diagonal
  of the image in mm, so that a missed structure worsens a mean instead of leaving it;
* volumes are measured whatever is empty: no voxel is 0 mL.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmark.evaluation import overlap, surface
from benchmark.evaluation.comparison import (
    DEFAULT_TOLERANCE_MM,
    Comparison,
    check_geometry,
    compare,
    diagonal_mm,
)

Labels = npt.NDArray[np.integer]
Direction = Literal["higher", "lower", "zero", "none"]
OneEmpty = Literal["zero", "diagonal", "measured"]
BothEmpty = Literal["nan", "measured"]


@dataclass(frozen=True)
class Metric:
    """One number about a truth and a prediction.

    Attributes:
        name: Its column.
        title: Its name in tables and figures.
        unit: "" for a ratio, "mm" or "mL".
        low: Smallest possible value.
        high: Largest possible value.
        direction: What is better: "higher", "lower", nearest "zero", or "none" for a quantity.
        one_empty: What it gives if exactly one mask is empty: "zero", the image's "diagonal", or
            its value "measured" as usual.
        both_empty: What it gives if both are empty: "nan", or its value "measured" as usual.
        measure: The number for a comparison.
    """

    name: str
    title: str
    unit: str
    low: float
    high: float
    direction: Direction
    one_empty: OneEmpty
    both_empty: BothEmpty
    measure: Callable[[Comparison], float]

    def __call__(
        self,
        truth: npt.NDArray[np.generic],
        prediction: npt.NDArray[np.generic],
        spacing_mm: tuple[float, ...],
        *,
        tolerance_mm: float = DEFAULT_TOLERANCE_MM,
        definition: surface.Definition = "metrics_reloaded",
    ) -> float:
        """Score two masks `(y, x)` or `(z, y, x)`; what is not 0 belongs to the structure.

        Raises:
            GeometryError: If shapes or spacing do not fit together.
            ValueError: If the definition is unknown.
        """
        return self.of(
            compare(
                truth,
                prediction,
                spacing_mm,
                tolerance_mm=tolerance_mm,
                definition=definition,
            )
        )

    def of(self, comparison: Comparison) -> float:
        """Give the number for a prepared comparison, by the rule for empty masks."""
        outcome = comparison.outcome
        if outcome == "both_empty" and self.both_empty == "nan":
            return math.nan
        if outcome in ("missed", "spurious") and self.one_empty != "measured":
            return 0.0 if self.one_empty == "zero" else comparison.diagonal_mm
        return self.measure(comparison)


def _ratio(name: str, title: str, measure: Callable[[Comparison], float]) -> Metric:
    return Metric(name, title, "", 0.0, 1.0, "higher", "zero", "nan", measure)


def _distance(name: str, title: str, measure: Callable[[Comparison], float]) -> Metric:
    return Metric(name, title, "mm", 0.0, math.inf, "lower", "diagonal", "nan", measure)


def _volume(name: str, title: str, measure: Callable[[Comparison], float]) -> Metric:
    return Metric(name, title, "mL", 0.0, math.inf, "none", "measured", "measured", measure)


_ALL = (
    _ratio("dice", "Dice", lambda c: overlap.dice(c.overlap)),
    _ratio("iou", "IoU", lambda c: overlap.iou(c.overlap)),
    _ratio("precision", "Precision", lambda c: overlap.precision(c.overlap)),
    _ratio("recall", "Recall", lambda c: overlap.recall(c.overlap)),
    _volume("volume_truth_ml", "True volume", lambda c: c.overlap.truth * c.voxel_ml),
    _volume(
        "volume_prediction_ml", "Predicted volume", lambda c: c.overlap.prediction * c.voxel_ml
    ),
    Metric(
        name="volume_error_ml",
        title="Volume error",
        unit="mL",
        low=-math.inf,
        high=math.inf,
        direction="zero",
        one_empty="measured",
        both_empty="nan",
        measure=lambda c: (c.overlap.prediction - c.overlap.truth) * c.voxel_ml,
    ),
    _distance("hd_mm", "HD", lambda c: surface.hd(c.distances)),
    _distance("hd95_mm", "HD95", lambda c: surface.hd95(c.distances)),
    _distance("assd_mm", "ASSD", lambda c: surface.assd(c.distances)),
    _distance("masd_mm", "MASD", lambda c: surface.masd(c.distances)),
    _ratio("nsd", "NSD", lambda c: surface.nsd(c.distances, c.tolerance_mm)),
)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}


def score(
    truth: Labels,
    prediction: Labels,
    spacing_mm: tuple[float, ...],
    classes: Mapping[str, int],
    *,
    regions: Mapping[str, tuple[int, ...]] | None = None,
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    definition: surface.Definition = "metrics_reloaded",
) -> list[dict[str, str | float]]:
    """Score one case: a row per class, then a row per region.

    Args:
        truth: Label map `(y, x)` or `(z, y, x)` of integers.
        prediction: Label map of the same shape.
        spacing_mm: Size of a voxel along each axis of the arrays.
        classes: Label of each structure by name; no background.
        regions: Unions of labels by name, such as `{"epicardium": (1, 2)}` on CAMUS.
        tolerance_mm: Tolerance of NSD.
        definition: Which definition of surface distances holds.

    Returns:
        Rows with `class`, `kind` ("class" or "region"), `outcome` and every metric of `METRICS` by
        its name. Means over the classes of a case leave regions out: they hold voxels twice.

    Raises:
        GeometryError: If shapes or spacing do not fit together.
        ValueError: If a region has no labels or the name of a class, or the definition is unknown.
    """
    check_geometry(truth, prediction, spacing_mm)
    structures: dict[str, tuple[int, ...]] = {name: (label,) for name, label in classes.items()}
    for name, labels in (regions or {}).items():
        if name in structures or not labels:
            raise ValueError(
                "Expected regions with labels and with names that no class has. "
                f"Received: {name!r} = {labels}, classes {', '.join(classes)}."
            )
        structures[name] = tuple(labels)
    diagonal = diagonal_mm(truth.shape, spacing_mm)
    # All structures lie in the box of what is not background, often a hundredth of the image.
    box = surface.bounding_box((truth != 0) | (prediction != 0))
    truth, prediction = truth[box], prediction[box]
    rows: list[dict[str, str | float]] = []
    for name, labels in structures.items():
        comparison = Comparison(
            truth=_mask(truth, labels),
            prediction=_mask(prediction, labels),
            spacing_mm=spacing_mm,
            diagonal_mm=diagonal,
            tolerance_mm=tolerance_mm,
            definition=definition,
        )
        row: dict[str, str | float] = {
            "class": name,
            "kind": "class" if name in classes else "region",
            "outcome": comparison.outcome,
        }
        row.update({metric.name: metric.of(comparison) for metric in METRICS.values()})
        rows.append(row)
    return rows


def _mask(label_map: Labels, labels: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    mask = label_map == labels[0]
    for label in labels[1:]:
        mask |= label_map == label
    return np.asarray(mask)
