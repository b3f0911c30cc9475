"""What the predicted masks measure: sizes of each structure, and what follows from ED and ES."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.preprocessing import Labels
from benchmark.evaluation.endpoints import ClinicalCollector
from benchmark.prediction.inputs import Item
from benchmark.prediction.scan import Scan
from datasets.case import Case

COLUMNS = (
    "image", "patient", "frame", "phase", "class", "quantity", "value", "unit", "method", "reason",
)  # fmt: skip
VOXELS = "voxel_count"


def sizes(
    item: Item,
    scan: Scan,
    counts: npt.NDArray[np.int64],
    classes: Mapping[str, int],
    phases: Mapping[int, str],
) -> list[dict[str, Any]]:
    """Return rows for `measurements.csv`: voxels and volume (of a picture: area) of each structure.

    Args:
        item: The image.
        scan: The same, read.
        counts: Voxels ``(frames, classes)``, in the order of the classes.
        classes: Label by name.
        phases: ``ED`` and ``ES`` by frame, where known.
    """
    quantity, unit, size = unit_of(scan)
    rows: list[dict[str, Any]] = []
    for frame, line in enumerate(counts):
        common = {
            "image": item.name,
            "patient": item.patient,
            "frame": frame + 1 if len(counts) > 1 else "",
            "phase": phases.get(frame, ""),
            "method": VOXELS,
        }
        for name, voxels in zip(classes, line, strict=True):
            lost = "" if voxels else f"not measurable: no {name.replace('_', ' ')}"
            measured = voxels * size if voxels else math.nan
            rows += [
                {**common, "class": name, "quantity": "voxels", "value": int(voxels), "unit": ""},
                {**common, "class": name, "quantity": quantity, "value": measured, "unit": unit,
                 "reason": lost},
            ]  # fmt: skip
    return rows


def unit_of(scan: Scan) -> tuple[str, str, float]:
    """What masks of this image measure: the quantity, its unit, and the part of one voxel."""
    voxel = math.prod(scan.spacing_mm)
    return ("area", "cm2", voxel / 100) if scan.planar else ("volume", "mL", voxel / 1000)


class Endpoints:
    """Gathers images of known instants, and gives what the patients' ED and ES tell together.

    Args:
        classes: Label by name of the classes that the network was trained on.
    """

    def __init__(self, classes: Mapping[str, int]) -> None:
        self._collector = ClinicalCollector(classes, stated=False)

    def add(
        self, item: Item, scan: Scan, frames: Sequence[Labels], phases: Mapping[int, str]
    ) -> None:
        """Measure the frames of an image whose instant is known.

        Args:
            item: The image.
            scan: The same, read.
            frames: Its label maps as the network sees them.
            phases: ``ED`` and ``ES`` by frame; ``""`` stands for an image of no instant.
        """
        for frame, phase in phases.items():
            case = Case(item.name, item.patient, item.path, item.path,
                        {**item.metadata, "phase": phase})  # fmt: skip
            self._collector.add(case, frames[frame], frames[frame], scan.spacing_mm)

    def rows(self) -> list[dict[str, Any]]:
        """Return rows for `measurements.csv`: volumes at ED and ES, ejection fraction, mass."""
        return [
            {
                "patient": row["patient"],
                "quantity": row["endpoint"],
                "value": row["prediction"],
                "unit": row["unit"],
                "method": row["method"],
                # The collector compares two masks; here both are the one that was predicted.
                "reason": row["reason"].partition("; prediction: ")[0].replace("reference: ", ""),
            }
            for row in self._collector.rows()
        ]
