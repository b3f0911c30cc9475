"""What a cardiologist reads from segmentations: volumes, ejection fraction, mass.

A chamber without a single voxel has no volume to report: it is *not measurable*, NaN, and so is all
that follows from it. Agreement tables count such patients (`benchmark.statistics.agreement`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Labels = npt.NDArray[np.integer]
EfClass = Literal["normal", "mildly reduced", "moderately reduced", "severely reduced"]

# End-diastole and end-systole.
PHASES = ("ED", "ES")
EF_CLASSES: tuple[EfClass, ...] = (
    "normal",
    "mildly reduced",
    "moderately reduced",
    "severely reduced",
)
# Lower limits in percent of the first three classes; what is below the last is severely reduced.
_EF_LIMITS_PCT = (50.0, 40.0, 30.0)

# Specific gravity of heart muscle, as in Khened et al., Medical Image Analysis 2019.
MYOCARDIUM_G_PER_ML = 1.05


@dataclass(frozen=True)
class Ventricle:
    """The volumes of one ventricle at both ends of the beat; NaN where not measurable."""

    edv_ml: float
    esv_ml: float

    @property
    def stroke_volume_ml(self) -> float:
        """End-diastolic minus end-systolic volume."""
        return self.edv_ml - self.esv_ml

    @property
    def ef_pct(self) -> float:
        """Ejection fraction in percent; NaN without two volumes or with an EDV of 0."""
        if not self.edv_ml > 0:
            return math.nan
        return 100 * (self.edv_ml - self.esv_ml) / self.edv_ml


def volume_ml(label_map: Labels, label: int, spacing_mm: tuple[float, ...]) -> float:
    """Volume of one structure of a label map `(z, y, x)`: voxels times voxel volume.

    Returns:
        Millilitres; NaN (not measurable) if no voxel has the label.

    Raises:
        ValueError: If the label map is not a volume, or the spacing does not fit it.
    """
    if label_map.ndim != 3 or len(spacing_mm) != 3:
        raise ValueError(
            "Expected a label map (z, y, x) and three spacings in mm. "
            f"Received: shape {label_map.shape}, spacing {spacing_mm}. "
            "The volume behind planar images comes from benchmark.evaluation.simpson."
        )
    voxels = int(np.count_nonzero(label_map == label))
    return voxels * math.prod(spacing_mm) / 1000 if voxels else math.nan


def myocardial_mass_g(myocardium_ml: float) -> float:
    """Mass of heart muscle, from its volume at end-diastole."""
    return myocardium_ml * MYOCARDIUM_G_PER_ML


def mri_endpoints(
    diastole: Labels, systole: Labels, spacing_mm: tuple[float, ...], classes: Mapping[str, int]
) -> dict[str, float]:
    """Measure one patient of cine MRI from the label maps `(z, y, x)` of both instants.

    Args:
        diastole: Label map at end-diastole.
        systole: Label map at end-systole, on a grid of the same spacing.
        spacing_mm: Size of a voxel; along z the distance of slices, gap included.
        classes: Label by name; `left_ventricle`, `right_ventricle` and `myocardium` are read.

    Returns:
        See `endpoints_of`.
    """
    return endpoints_of(
        {
            (name, phase): volume_ml(label_map, label, spacing_mm)
            for name, label in classes.items()
            for phase, label_map in (("ED", diastole), ("ES", systole))
        }
    )


def endpoints_of(volumes_ml: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Derive the endpoints of one patient from volumes by class and phase ("ED" or "ES").

    Returns:
        For each ventricle `<lv|rv>_edv_ml`, `_esv_ml`, `_sv_ml`, `_ef_pct`; of the muscle at
        end-diastole `myocardium_ed_ml` and `lv_mass_g`; of the atrium `la_ml`, in whatever phase it
        was annotated. What was not asked for is left out; what is not measurable is NaN.
    """
    measurable = {key: volume if volume > 0 else math.nan for key, volume in volumes_ml.items()}
    named = {name for name, _ in measurable}
    endpoints: dict[str, float] = {}
    for prefix, name in (("lv", "left_ventricle"), ("rv", "right_ventricle")):
        if name in named:
            measured = Ventricle(*(measurable.get((name, phase), math.nan) for phase in PHASES))
            endpoints[f"{prefix}_edv_ml"] = measured.edv_ml
            endpoints[f"{prefix}_esv_ml"] = measured.esv_ml
            endpoints[f"{prefix}_sv_ml"] = measured.stroke_volume_ml
            endpoints[f"{prefix}_ef_pct"] = measured.ef_pct
    if "myocardium" in named:
        muscle_ml = measurable.get(("myocardium", "ED"), math.nan)
        endpoints["myocardium_ed_ml"] = muscle_ml
        endpoints["lv_mass_g"] = myocardial_mass_g(muscle_ml)
    if ("left_atrium", "") in measurable:
        endpoints["la_ml"] = measurable["left_atrium", ""]
    return endpoints


def endpoint_table(cases: "pd.DataFrame") -> "pd.DataFrame":
    """Derive the endpoints of every patient of MRI runs from their tables of cases.

    Args:
        cases: Rows per case and class as in `cases.csv`; `run`, `patient`, `phase`, `class`,
            `volume_truth_ml` and `volume_prediction_ml` are read. Planar cases have no volume and
            give no row: see `benchmark.evaluation.echo`.

    Returns:
        Rows with `run`, `patient`, `endpoint`, `truth` and `prediction`; the unit is the end of the
        endpoint's name. Not measurable is NaN.
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    volumes = cases.dropna(subset=["volume_truth_ml", "volume_prediction_ml"])
    # A dataset without phases reads back as a column of NaN, which holds no text.
    volumes = volumes.astype({"phase": object}).fillna({"phase": ""})
    for (run, patient), group in volumes.groupby(["run", "patient"], observed=True):
        keys = list(zip(group["class"], group["phase"], strict=True))
        truth, prediction = (
            endpoints_of(dict(zip(keys, group[f"volume_{whose}_ml"], strict=True)))
            for whose in ("truth", "prediction")
        )
        rows += [
            {
                "run": run,
                "patient": patient,
                "endpoint": name,
                "truth": truth[name],
                "prediction": prediction[name],
            }
            for name in truth
        ]
    return pd.DataFrame(rows, columns=["run", "patient", "endpoint", "truth", "prediction"])


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
