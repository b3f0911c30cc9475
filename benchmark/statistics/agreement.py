"""How well measured quantities agree with reference values, over patients."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

# The normal quantile between which 95 % of differences are expected (Bland & Altman, Lancet 1986).
_LIMITS_SD = 1.96

EfClass = Literal["normal", "mildly reduced", "moderately reduced", "severely reduced"]
EF_CLASSES: tuple[EfClass, ...] = (
    "normal",
    "mildly reduced",
    "moderately reduced",
    "severely reduced",
)
# Lower limits in percent of the first three classes; what is below the last is severely reduced.
_EF_LIMITS_PCT = (50.0, 40.0, 30.0)


@dataclass(frozen=True)
class Agreement:
    """Agreement over patients, in the unit of the quantity.

    Attributes:
        n_valid: Patients with both values.
        n_failed: Patients with a reference but no prediction (not measurable).
        n_excluded: Patients without a reference.
        pearson_r: Correlation; NaN for fewer than two patients or a constant.
        bias: Mean of prediction minus reference.
        sd: Standard deviation of the differences, with n - 1.
        limit_low: Lower 95 % limit of agreement, `bias - 1.96 sd`.
        limit_high: Upper limit.
        mae: Mean absolute error.
    """

    n_valid: int
    n_failed: int
    n_excluded: int
    pearson_r: float
    bias: float
    sd: float
    limit_low: float
    limit_high: float
    mae: float


def agreement(reference: npt.ArrayLike, predicted: npt.ArrayLike) -> Agreement:
    """Compare one value per patient with its reference (Bland & Altman, Lancet 1986).

    Args:
        reference: Reference values, `(patients,)`; NaN where there is none.
        predicted: Predicted values in the same order; NaN where not measurable.

    Raises:
        ValueError: If the two are not equally long lists.
    """
    wanted = np.asarray(reference, dtype=np.float64)
    given = np.asarray(predicted, dtype=np.float64)
    if wanted.ndim != 1 or wanted.shape != given.shape:
        raise ValueError(
            "Expected one reference and one prediction per patient. "
            f"Received: shapes {wanted.shape} and {given.shape}."
        )
    known = np.isfinite(wanted)
    valid = known & np.isfinite(given)
    differences = (given - wanted)[valid]
    n_valid = int(valid.sum())
    bias = float(differences.mean()) if n_valid else float("nan")
    sd = float(differences.std(ddof=1)) if n_valid > 1 else float("nan")
    return Agreement(
        n_valid=n_valid,
        n_failed=int((known & ~valid).sum()),
        n_excluded=int((~known).sum()),
        pearson_r=_pearson(wanted[valid], given[valid]),
        bias=bias,
        sd=sd,
        limit_low=bias - _LIMITS_SD * sd,
        limit_high=bias + _LIMITS_SD * sd,
        mae=float(np.abs(differences).mean()) if n_valid else float("nan"),
    )


def ef_class(ef_pct: float) -> EfClass | None:
    """Class of an ejection fraction: at least 50, 40, 30 %, or less; None if not measurable."""
    if math.isnan(ef_pct):
        return None
    for name, limit_pct in zip(EF_CLASSES, _EF_LIMITS_PCT, strict=False):
        if ef_pct >= limit_pct:
            return name
    return EF_CLASSES[-1]


def ef_confusion(reference_pct: npt.ArrayLike, predicted_pct: npt.ArrayLike) -> list[list[int]]:
    """Count patients by true class (rows) and predicted class (columns), in `EF_CLASSES` order.

    A fifth column counts those whose prediction is not measurable. Patients without a measurable
    reference have no row.
    """
    table = [[0] * (len(EF_CLASSES) + 1) for _ in EF_CLASSES]
    pairs = zip(
        np.asarray(reference_pct, dtype=np.float64),
        np.asarray(predicted_pct, dtype=np.float64),
        strict=True,
    )
    for reference, predicted in pairs:
        row, column = ef_class(float(reference)), ef_class(float(predicted))
        if row is not None:
            place = len(EF_CLASSES) if column is None else EF_CLASSES.index(column)
            table[EF_CLASSES.index(row)][place] += 1
    return table


def _pearson(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    if first.size < 2 or not np.ptp(first) or not np.ptp(second):
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
