"""The clinical endpoints of a test set, gathered case by case: one `clinical.csv` per run.

The reference of an endpoint is the same formula applied to the reference masks, so that truth
against itself is exact. On echo images the largest piece is measured (`simpson`), because a speck
would be taken for the ventricle. In MRI all voxels of a structure count: that is how the reference
volumes of ACDC were made, true masks have several pieces where slices are thick, and voxels that a
network invents elsewhere are its error, not ours to remove.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from benchmark.evaluation import echo
from benchmark.evaluation.clinical import PHASES, Ventricle, myocardial_mass_g, volume_ml
from benchmark.records import AXES
from datasets.case import Case

Labels = npt.NDArray[np.integer]

ENDPOINT_COLUMNS = (
    *("patient", "group", "quality", "endpoint", "method", "unit"),
    *("truth", "prediction", "reason"),
)
CLINICAL_COLUMNS = ("run", *AXES, *ENDPOINT_COLUMNS)

VOXELS = "voxel_count"
STATED = "camus_stated"
"""The EF that CAMUS states, against `camus_official`, the method that it was made with."""

# Of two views of an exam, the poorer decides.
_QUALITIES = ("Good", "Medium", "Poor")


@dataclass(frozen=True)
class Measured:
    """A quantity, or why it could not be measured.

    Attributes:
        value: In the unit of its endpoint; NaN if not measurable.
        lacking: What it would have needed; empty if measured.
    """

    value: float
    lacking: tuple[str, ...] = ()


@dataclass
class _Masks:
    """What is kept of one patient's true or predicted masks: numbers, no images."""

    volumes: dict[tuple[str, str], Measured] = field(default_factory=dict)
    exam: dict[tuple[str, str], echo.Seen] = field(default_factory=dict)


@dataclass
class _Patient:
    group: str = ""
    quality: dict[str, str] = field(default_factory=dict)
    stated_ef_pct: float = math.nan
    truth: _Masks = field(default_factory=_Masks)
    prediction: _Masks = field(default_factory=_Masks)


class ClinicalCollector:
    """Gathers cases in any order and gives the endpoints of their patients.

    Args:
        classes: Label by name of the classes that the files annotate. `left_ventricle`,
            `right_ventricle`, `myocardium` and `left_atrium` are read; of one that is not there no
            endpoint is given.
        stated: Whether the EF that files state was measured on these images by the official method,
            as in CAMUS; that of a phantom is what it was drawn from.
    """

    def __init__(self, classes: Mapping[str, int], *, stated: bool = True) -> None:
        self._classes = dict(classes)
        self._stated = stated
        self._patients: dict[str, _Patient] = {}

    def add(
        self, case: Case, truth: Labels, prediction: Labels, spacing_mm: tuple[float, ...]
    ) -> None:
        """Measure one case on its native grid.

        Args:
            case: Its patient and metadata: `phase`, `view`, `group`, `quality`, `ef_percent`.
            truth: Label map `(z, y, x)`, or `(y, x)` of an echo view, which is measured only where
                metadata name its view and phase.
            prediction: Label map of the same shape.
            spacing_mm: Size of a voxel along each axis.
        """
        patient = self._patients.setdefault(case.patient, _Patient())
        patient.group = patient.group or case.metadata.get("group", "")
        phase, view = case.metadata.get("phase", ""), case.metadata.get("view", "")
        patient.quality[view] = case.metadata.get("quality", "")
        if view and self._stated:
            patient.stated_ef_pct = _number(case.metadata.get("ef_percent", ""))
        for masks, label_map in ((patient.truth, truth), (patient.prediction, prediction)):
            if label_map.ndim == 3:
                for name, label in self._classes.items():
                    measured = volume_of(label_map, name, label, spacing_mm, phase)
                    masks.volumes[name, phase] = measured
            elif "left_ventricle" in self._classes and view in echo.VIEWS and phase in PHASES:
                label = self._classes["left_ventricle"]
                masks.exam[view, phase] = echo.see(label_map, (spacing_mm[0], spacing_mm[1]), label)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per patient, endpoint and method, with `ENDPOINT_COLUMNS`.

        What cannot be measured is NaN, and `reason` says why; it is empty otherwise.
        """
        rows = []
        for name, patient in sorted(self._patients.items()):
            for method, endpoint, truth, prediction in _endpoints(patient):
                rows.append(
                    {
                        "patient": name,
                        "group": patient.group,
                        "quality": _quality(patient, method),
                        "endpoint": endpoint,
                        "method": method,
                        "unit": unit_of(endpoint),
                        "truth": truth.value,
                        "prediction": prediction.value,
                        "reason": _reason(truth, prediction),
                    }
                )
        return rows


def unit_of(endpoint: str) -> Literal["%", "g", "mL"]:
    """Return the unit of an endpoint, which the end of its name tells."""
    if endpoint.endswith("_ef"):
        return "%"
    return "g" if endpoint.endswith("_mass") else "mL"


def _endpoints(patient: _Patient) -> Iterable[tuple[str, str, Measured, Measured]]:
    """Method, endpoint, reference and prediction of all that the patient's images allow."""
    truth, prediction = _by_method(patient.truth), _by_method(patient.prediction)
    for method, endpoints in truth.items():
        for endpoint, reference in endpoints.items():
            yield method, endpoint, reference, prediction[method][endpoint]
    if "camus_official" in prediction and not math.isnan(patient.stated_ef_pct):
        predicted = prediction["camus_official"]["lv_ef"]
        yield STATED, "lv_ef", Measured(patient.stated_ef_pct), predicted


def _by_method(masks: _Masks) -> dict[str, dict[str, Measured]]:
    methods = {VOXELS: _mri(masks.volumes)}
    for method, volumes in echo.ventricle_volumes(masks.exam).items():
        edv, esv = (_lacking(masks.exam, method, phase) for phase in PHASES)
        methods[method] = ventricle(
            "lv", Measured(volumes.edv_ml, edv), Measured(volumes.esv_ml, esv)
        )
    return methods


def _mri(volumes: Mapping[tuple[str, str], Measured]) -> dict[str, Measured]:
    endpoints: dict[str, Measured] = {}
    for prefix, name in (("lv", "left_ventricle"), ("rv", "right_ventricle")):
        endpoints |= ventricle(prefix, *(volumes.get((name, phase)) for phase in PHASES))
    muscle = volumes.get(("myocardium", "ED"))
    if muscle is not None:
        endpoints["lv_mass"] = Measured(myocardial_mass_g(muscle.value), muscle.lacking)
    if ("left_atrium", "") in volumes:
        endpoints["la_volume"] = volumes["left_atrium", ""]
    return endpoints


def _lacking(exam: echo.Exam, method: echo.Method, phase: str) -> tuple[str, ...]:
    """Why the volume of an instant cannot be measured, or nothing if it can."""
    official = method == "camus_official"
    return tuple(
        f"no {'left ventricle' if seen.empty else 'measurable long axis'} in {view} {instant}"
        for (view, instant), seen in sorted(exam.items(), key=lambda item: item[0])
        # The official script takes one disk height from all images: each of them spoils both.
        if view in echo.VIEWS_OF[method] and (official or instant == phase)
        if (seen.official if official else seen.ours) is None
    )


def ventricle(prefix: str, edv: Measured | None, esv: Measured | None) -> dict[str, Measured]:
    """Volumes of the phases that there are; with both of them, what follows from them.

    Args:
        prefix: `lv` or `rv`, with which the names of the endpoints begin.
        edv: End-diastolic volume in mL, or None if there is no such image.
        esv: End-systolic volume likewise.
    """
    endpoints: dict[str, Measured] = {}
    if edv is not None:
        endpoints[f"{prefix}_edv"] = edv
    if esv is not None:
        endpoints[f"{prefix}_esv"] = esv
    if edv is not None and esv is not None:
        both = Ventricle(edv.value, esv.value)
        lacking = tuple(dict.fromkeys((*edv.lacking, *esv.lacking)))
        endpoints[f"{prefix}_sv"] = Measured(both.stroke_volume_ml, lacking)
        # Whole millilitres, as the official method gives them, can be 0.
        lacking = lacking or (("an end-diastolic volume of 0 mL",) if not edv.value > 0 else ())
        endpoints[f"{prefix}_ef"] = Measured(both.ef_pct, lacking)
    return endpoints


def volume_of(
    label_map: Labels, name: str, label: int, spacing_mm: tuple[float, ...], phase: str
) -> Measured:
    """Volume of one structure of a label map `(z, y, x)` in mL, or which one is not there."""
    value = volume_ml(label_map, label, spacing_mm)
    lost = f"no {name.replace('_', ' ')}" + (f" in {phase}" if phase else "")
    return Measured(value, (lost,) if math.isnan(value) else ())


def _reason(truth: Measured, prediction: Measured) -> str:
    sides = (("reference", truth.lacking), ("prediction", prediction.lacking))
    parts = [f"{side}: {', '.join(lacking)}" for side, lacking in sides if lacking]
    return f"not measurable: {'; '.join(parts)}" if parts else ""


def _quality(patient: _Patient, method: str) -> str:
    """Image quality of the views that a method uses: the poorest of them, where it is stated."""
    views = {"simpson_2ch": ("2CH",), "simpson_4ch": ("4CH",)}.get(method, tuple(patient.quality))
    stated = [patient.quality[view] for view in views if patient.quality[view]]
    known = [quality for quality in _QUALITIES if quality in stated]
    return known[-1] if known else next(iter(stated), "")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
