"""What the predicted masks measure, as `measure` says it of the same masks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from benchmark.data.preprocessing import Labels
from benchmark.evaluation.measure import HeartMask, Measurement, measure_mask, measure_patient
from benchmark.evaluation.patients import MEASUREMENT_COLUMNS, row_of
from benchmark.prediction.inputs import Item
from benchmark.prediction.scan import Scan
from datasets.case import DatasetInfo

COLUMNS = (*MEASUREMENT_COLUMNS, "frame")


@dataclass
class _Heart:
    """Masks of one patient that tell something together: images, or sequences."""

    sequence: bool
    source: str
    cases: list[str] = field(default_factory=list)
    masks: dict[tuple[str, str], HeartMask] = field(default_factory=dict)
    frames: list[str] = field(default_factory=list)


class Hearts:
    """Measures masks one by one, or together with the others of their patient.

    Args:
        classes: Label by name of the classes that the network was trained on.
        info: The dataset that it was trained on.
    """

    def __init__(self, classes: Mapping[str, int], info: DatasetInfo) -> None:
        self._classes = classes
        self._info = info
        self._patients: dict[str, list[_Heart]] = {}

    def add(
        self, item: Item, scan: Scan, frames: Sequence[Labels], phases: Mapping[int, str]
    ) -> list[dict[str, Any]]:
        """Keep the frames of known instants for their patient, and measure the others.

        Of a sequence whose instants are known, the other frames are not measured. A single slice
        of what the dataset has as volumes is not measured either: it has no volume.

        Args:
            item: The image.
            scan: The same, read.
            frames: Its label maps as the network sees them.
            phases: ``ED`` and ``ES`` by frame; ``""`` stands for an image of no instant.

        Returns:
            Rows with `COLUMNS` of frames whose instant is not known.
        """
        if scan.planar and self._info.dims == 3:
            return []
        view, spacing_mm = item.metadata.get("view", ""), scan.spacing_mm
        placed = {
            (view, phase): HeartMask(frames[index], spacing_mm, phase, view)
            for index, phase in phases.items()
            if phase
        }
        if placed:
            heart = self._heart(item, sequence=len(frames) > 1, places=placed.keys())
            heart.cases.append(item.name)
            heart.masks |= placed
            if heart.sequence:
                heart.frames += [f"{view} {phase} {index + 1}".strip()
                                 for index, phase in phases.items()]  # fmt: skip
            return []
        return [
            self._row(found, item.patient, item.name, source_of(item), number)
            for number, frame in (
                enumerate(frames, start=1) if len(frames) > 1 else [("", frames[0])]
            )
            for found in measure_mask(frame, spacing_mm, self._classes, view=view)
        ]

    def close(self, patient: str | None = None) -> list[dict[str, Any]]:
        """Return rows of what the masks of a patient, by default of all, tell together."""
        patients = list(self._patients) if patient is None else [patient]
        return [
            self._row(found, name, _case(heart, number), heart.source, ", ".join(heart.frames))
            for name in patients
            for number, heart in enumerate(self._patients.pop(name, []))
            for found in measure_patient(
                list(heart.masks.values()), self._classes, dims=self._info.dims, beats=True
            )
        ]

    def _heart(self, item: Item, *, sequence: bool, places: Set[tuple[str, str]]) -> _Heart:
        """The patient's first heart of this kind whose instants are not taken yet."""
        hearts = self._patients.setdefault(item.patient, [])
        for heart in hearts:
            if heart.sequence == sequence and not heart.masks.keys() & places:
                return heart
        hearts.append(_Heart(sequence, source_of(item)))
        return hearts[-1]

    def _row(
        self, found: Measurement, patient: str, case: str, source: str, frame: object
    ) -> dict[str, Any]:
        return {**row_of(found, patient=patient, case=case, source=source), "frame": frame}


def _case(heart: _Heart, number: int) -> str:
    """As `measure` has it: none for what images tell together, unless there is a second such."""
    return ", ".join(heart.cases) if heart.sequence or number else ""


def source_of(item: Item) -> str:
    """Return `real` or `phantom`; empty where nothing tells."""
    return "phantom" if item.phantom else "real" if item.release else ""


def unit_of(scan: Scan) -> tuple[str, str, float]:
    """What curves of this image show: the quantity, its unit, and the part of one voxel."""
    voxel = math.prod(scan.spacing_mm)
    return ("area", "cm2", voxel / 100) if scan.planar else ("volume", "mL", voxel / 1000)
