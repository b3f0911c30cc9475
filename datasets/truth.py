"""What the masks of a patient are known to measure, and whether those on disk do.

`acdc_volumes.csv` holds the volumes of ACDC's 100 training patients. They are facts derived from
the official ground truth (voxels times voxel volume): taken from the tables in `ACDC_Diagnosis/` of
https://github.com/mahendrakhened/Automated-Cardiac-Segmentation-and-Disease-Diagnosis (MIT), turned
from mm³ into mL and rounded to four decimals. The column there called `ED[mass(MYO)]` is a volume:
it is what the voxels of label 2 fill, without a density. `lv_mass_g` is ours, from it at 1.05 g/mL.

The truth of a phantom stands in its marker, exact before the heart was cut into voxels.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.case import Case
from datasets.grid import AGAIN
from datasets.layout import PHANTOM_MARKER

TABLE = Path(__file__).with_name("acdc_volumes.csv")
# Khened et al., Medical Image Analysis 2019.
_MYOCARDIUM_G_PER_ML = 1.05
# The known values have four decimals and came from headers in single precision. One voxel of the
# smallest in the release is 0.005 mL, so that a single one that changes its label is seen.
_ROUNDING_ML = 1e-4
_SINGLE_PRECISION = 1e-6
_ROUNDING_PCT = 1e-3
# Column of the table by class and phase.
_COLUMNS = {
    ("left_ventricle", "ED"): "lv_edv_ml",
    ("left_ventricle", "ES"): "lv_esv_ml",
    ("right_ventricle", "ED"): "rv_edv_ml",
    ("right_ventricle", "ES"): "rv_esv_ml",
    ("myocardium", "ED"): "myocardium_ed_ml",
    ("myocardium", "ES"): "myocardium_es_ml",
}
# How far voxels may be from the surface a phantom was cut from: a part of the volume, or so much.
_PHANTOM_RELATIVE = {"decathlon": 0.01, "acdc": 0.03, "camus": 0.03}
_PHANTOM_ML = 1.0
_PHANTOM_MM2 = 30.0
_ANEW = "Write the phantom anew."
# The edge of the echo sector cuts the wall and the roof of the atrium, as in real exams.
_CUT_BY_SECTOR = {"myocardium": 0.3, "left_atrium": 0.3}


@dataclass(frozen=True)
class Reading:
    """What was measured in the sound files of one case.

    Attributes:
        case: The case.
        shape: Of image and mask, slowest axis first.
        spacing_mm: In the same order.
        amounts: By class, volume in mL, or area in mm² of a planar image.
    """

    case: Case
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    amounts: Mapping[str, float]

    @property
    def phase(self) -> str:
        """`"ED"`, `"ES"`, or nothing where there is no cycle."""
        return self.case.metadata.get("phase", "")


@dataclass(frozen=True)
class Comparison:
    """Outcome of a comparison with known values: faults, and what agrees, one line each."""

    faults: tuple[str, ...] = ()
    confirmed: tuple[str, ...] = ()


def acdc_table() -> dict[str, dict[str, str]]:
    """The known values of ACDC's training patients: rows of `acdc_volumes.csv` by patient."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {row["patient"]: row for row in csv.DictReader(file)}


def compare_acdc(readings: Sequence[Reading]) -> Comparison:
    """Compare volumes, ejection fractions, mass and group with those of the official release.

    A mask whose volumes disagree is one fault; fraction and mass are compared where the volumes
    agree, since they follow from them. Patients that the table does not have are passed over.
    """
    table = acdc_table()
    faults: list[str] = []
    patients: dict[str, dict[str, Reading]] = {}
    furthest_ml = 0.0
    for reading in readings:
        if reading.case.patient in table:
            patients.setdefault(reading.case.patient, {})[reading.phase] = reading
    agreeing = 0
    for patient, phases in patients.items():
        row, found = table[patient], len(faults)
        for phase, reading in phases.items():
            known = {name: float(row[_COLUMNS[name, phase]]) for name in reading.amounts}
            apart = {name: abs(reading.amounts[name] - known[name]) for name in known}
            wrong = [n for n in known if apart[n] > _ROUNDING_ML + _SINGLE_PRECISION * known[n]]
            if wrong:
                faults.append(_disagreement(reading, known, wrong))
            else:
                furthest_ml = max(furthest_ml, *apart.values())
        group = next(iter(phases.values())).case.metadata.get("group")
        folder = next(iter(phases.values())).case.image.parent
        if group and group != row["group"]:
            faults.append(
                f"{folder / 'Info.cfg'}: expected `Group: {row['group']}` as in the official "
                f"release, received {group}. {AGAIN}"
            )
        if len(faults) == found and len(phases) == 2:
            faults += _derived(folder, phases, row)
            agreeing += len(faults) == found
    if not patients:
        return Comparison()
    confirmed = (
        f"LV and RV volumes, EF and LV mass of {agreeing} of {len(patients)} patients as in the "
        f"official ground truth (volumes to {furthest_ml:.1g} mL)",
    )
    return Comparison(tuple(faults), confirmed)


def _disagreement(reading: Reading, known: Mapping[str, float], wrong: Sequence[str]) -> str:
    expected = ", ".join(f"{name} {known[name]:.4f}" for name in wrong)
    measured = ", ".join(f"{reading.amounts[name]:.4f}" for name in wrong)
    return (
        f"{reading.case.mask}: expected the volumes of the official mask at {reading.phase}, "
        f"{expected} mL, measured {measured} mL. Labels or spacing were altered. {AGAIN}"
    )


def _derived(folder: Path, phases: Mapping[str, Reading], row: Mapping[str, str]) -> list[str]:
    """Faults of ejection fractions and mass."""
    diastole, systole = phases["ED"].amounts, phases["ES"].amounts
    measured = {
        f"{short}_ef_pct": 100 * (diastole[name] - systole[name]) / diastole[name]
        for short, name in (("lv", "left_ventricle"), ("rv", "right_ventricle"))
    }
    measured["lv_mass_g"] = _MYOCARDIUM_G_PER_ML * diastole["myocardium"]
    return [
        f"{folder}: expected {name} {row[name]}, measured {value:.4f}. {AGAIN}"
        for name, value in measured.items()
        if abs(value - float(row[name])) > _ROUNDING_PCT
    ]


def compare_phantom(name: str, root: Path, readings: Sequence[Reading], present: int) -> Comparison:
    """Compare masks with the exact volumes (or areas of echo views) that a phantom was made from.

    Args:
        name: The dataset whose layout it has.
        root: The release, as found.
        readings: Its sound cases.
        present: The number of patients that have a case, sound or not.
    """
    marker = root / PHANTOM_MARKER
    marker = marker if marker.is_file() else root.parent / PHANTOM_MARKER
    try:
        content = json.loads(marker.read_text(encoding="utf-8"))
        known = {patient: _numbers(values) for patient, values in content["truth"].items()}
        patients = int(content["patients"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"expected the true volumes of a phantom, received {error!r}. {_ANEW}"
        return Comparison((f"{marker}: {what}",))
    faults = []
    agreeing = total = 0
    for reading in readings:
        exact = known.get(reading.case.patient, {})
        apart = [_apart(name, reading, kind, exact) for kind in reading.amounts]
        wrong = [words for words in apart if words]
        agreeing, total = agreeing + len(apart) - len(wrong), total + len(apart)
        if wrong:
            faults.append(
                f"{reading.case.mask}: expected what the phantom was drawn from, "
                f"{'; '.join(wrong)}. {_ANEW}"
            )
    if present < patients:
        faults.append(
            f"{root}: expected {patients} patients of the phantom, found {present}. {_ANEW}"
        )
    confirmed = f"{agreeing} of {total} true values agree with the masks of {present} patients"
    return Comparison(tuple(faults), (confirmed,))


def _apart(name: str, reading: Reading, kind: str, exact: Mapping[str, float]) -> str:
    """How a class of a phantom differs from its truth; nothing where voxelisation explains it."""
    planar = len(reading.shape) == 2
    parts = (kind, reading.case.metadata.get("view"), reading.phase, "mm2" if planar else "ml")
    key = "_".join(part for part in parts if part)
    if key not in exact:
        return f"{key}, which {PHANTOM_MARKER} lacks"
    room = max(_PHANTOM_RELATIVE[name] * exact[key], _PHANTOM_MM2 if planar else _PHANTOM_ML)
    below = max(room, _CUT_BY_SECTOR.get(kind, 0.0) * exact[key] if planar else 0.0)
    measured = reading.amounts[kind]
    if exact[key] - below <= measured <= exact[key] + room:
        return ""
    return f"{key} {exact[key]:.2f}, measured {measured:.2f}"


def _numbers(values: Mapping[str, object]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items() if isinstance(value, int | float)}
