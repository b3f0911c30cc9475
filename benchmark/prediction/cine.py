"""Which frames of a sequence are end diastole and end systole, told by the left ventricle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmark.data.preprocessing import Labels
from benchmark.records import write_table

Counts = npt.NDArray[np.int64]
Curve = npt.NDArray[np.float64]

CHAMBER = "left_ventricle"
RULE = (
    "ED is the frame with the largest, ES the frame with the smallest left ventricle (volume; in "
    "planar sequences area) on the curve of the medians of three neighbouring frames; of equal "
    "medians the frame with the more extreme value, then the earlier one. Frames without a left "
    "ventricle do not count."
)


def find_phases(sizes: Sequence[float]) -> dict[int, str]:
    """Return the frames of end diastole and end systole by the size of the left ventricle.

    The median of three neighbours (at the ends, of two and the end itself again) keeps a single
    frame in which the segmentation failed from being taken for an instant of the heart cycle; of a
    smooth curve it changes nothing. See `RULE`.

    Args:
        sizes: Of the left ventricle in each frame, in any unit; 0 or NaN where there is none.

    Returns:
        ``{frame: "ED", frame: "ES"}``, counted from 0; empty where fewer than two frames differ.
    """
    values = np.asarray(sizes, np.float64)
    frames = np.flatnonzero(np.isfinite(values) & (values > 0))
    if frames.size < 2:
        return {}
    curve = values[frames]
    ends = np.pad(curve, 1, mode="edge")
    smooth = np.median([ends[:-2], ends[1:-1], ends[2:]], axis=0)
    # The last key decides first; ties of both go to the earlier frame.
    largest = frames[np.lexsort((frames, -curve, -smooth))[0]]
    smallest = frames[np.lexsort((frames, curve, smooth))[0]]
    if values[largest] <= values[smallest]:
        return {}
    return {int(largest): "ED", int(smallest): "ES"}


def voxel_counts(frames: Sequence[Labels], classes: Sequence[int]) -> Counts:
    """Return how many voxels each class has in each frame, ``(frames, classes)``."""
    counts = [np.bincount(frame.ravel(), minlength=256) for frame in frames]
    return np.asarray(counts, np.int64)[:, list(classes)]


def times_s(frames: int, step_s: float) -> Curve | None:
    """Return when each frame was taken; None where the step is not known (NaN)."""
    return np.arange(frames, dtype=np.float64) * step_s if math.isfinite(step_s) else None


def write_curve(
    path: Path,
    sizes: Mapping[str, Curve],
    phases: Mapping[int, str],
    times_s: Curve | None,
    quantity: str,
) -> None:
    """Write the size of each structure in each frame as CSV.

    Args:
        path: The table.
        sizes: Of each structure, one value per frame.
        phases: ``ED`` and ``ES`` by frame, from 0; the table counts frames from 1.
        times_s: When each frame was taken, where known.
        quantity: What the sizes are, with its unit.
    """
    columns = {name: f"{name}_{quantity}" for name in sizes}
    rows = [
        {
            "frame": frame + 1,
            "time_s": math.nan if times_s is None else times_s[frame],
            "phase": phases.get(frame, ""),
            **{columns[name]: curve[frame] for name, curve in sizes.items()},
        }
        for frame in range(len(next(iter(sizes.values()))))
    ]
    write_table(path, rows, ["frame", "time_s", "phase", *columns.values()])
