"""What a run keeps of a test case for pictures: a window around the heart, small enough to scroll.

Which voxels are kept depends on the image and its truth alone, so that what different networks made
of one case lies on one grid and can be shown side by side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.preprocessing import Array, Labels, scale_intensity

MOST_SLICES = 32
MOST_PIXELS = 320  # of a side: more than a panel on a screen or in print resolves
MARGIN = 0.4  # of the box around the truth, on each of its sides
LEAST_MARGIN_MM = 10.0


@dataclass(frozen=True)
class Excerpt:
    """Which voxels of a volume are kept.

    Attributes:
        slices: Indices along z, evenly spaced.
        shown: Place among `slices` of the one that figures show: where the truth is largest.
        every: Distance of the slices kept, in slices.
        corner: First row and first column of the window.
        steps: Pixels of the file, down and across, that become one.
        shape: Rows and columns of the result.
    """

    slices: npt.NDArray[np.intp]
    shown: int
    every: int
    corner: tuple[int, int]
    steps: tuple[int, int]
    shape: tuple[int, int]

    def image(self, array: Array) -> Array:
        """Return the mean of each block of pixels: every n-th pixel of speckle would be noise."""
        mean: Array = self._blocks(array).mean(axis=(2, 4), dtype=np.float32)
        return mean

    def labels(self, array: Labels) -> Labels:
        """Return the label in the middle of each block."""
        middle: Labels = self._blocks(array)[:, :, self.steps[0] // 2, :, self.steps[1] // 2]
        return middle

    def outside(self, mask: Labels) -> int:
        """Return how many labelled voxels of all slices lie beside the window."""
        return int(np.count_nonzero(mask) - np.count_nonzero(mask[:, *self._window()]))

    def _window(self) -> tuple[slice, slice]:
        rows, columns = (
            slice(start, start + step * count)
            for start, step, count in zip(self.corner, self.steps, self.shape, strict=True)
        )
        return rows, columns

    def _blocks(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        part = array[:, *self._window()][self.slices]
        return part.reshape(len(part), self.shape[0], self.steps[0], self.shape[1], self.steps[1])


def choose(truth: Labels, spacing_mm: Sequence[float]) -> Excerpt:
    """Choose what to keep: at most 32 slices, and in them the truth's box with room around it.

    Args:
        truth: Label map, `(z, y, x)`; of an empty one the whole field is kept.
        spacing_mm: Of its last two axes, or of all three.
    """
    every = math.ceil(len(truth) / MOST_SLICES)
    largest = int(np.count_nonzero(truth, axis=(1, 2)).argmax())
    slices = np.arange(largest % every, len(truth), every)
    spans = [
        _span(np.count_nonzero(truth, axis=(0, 2)), spacing_mm[-2]),
        _span(np.count_nonzero(truth, axis=(0, 1)), spacing_mm[-1]),
    ]
    step = math.ceil(max(stop - start for start, stop in spans) / MOST_PIXELS)
    steps = [min(step, stop - start) for start, stop in spans]
    shape = [(stop - start) // one for (start, stop), one in zip(spans, steps, strict=True)]
    return Excerpt(
        slices=slices,
        shown=largest // every,
        every=every,
        corner=(spans[0][0], spans[1][0]),
        steps=(steps[0], steps[1]),
        shape=(shape[0], shape[1]),
    )


def _span(occupied: npt.NDArray[Any], pixel_mm: float) -> tuple[int, int]:
    """The first index and the one behind the last of a window along an axis."""
    indices = np.flatnonzero(occupied)
    if not indices.size:
        return 0, len(occupied)
    first, stop = int(indices[0]), int(indices[-1]) + 1
    margin = math.ceil(max(MARGIN * (stop - first), LEAST_MARGIN_MM / pixel_mm))
    return max(0, first - margin), min(len(occupied), stop + margin)


def write_excerpt(
    path: Path,
    image: Array,
    truth: Labels,
    predicted: Labels,
    spacing_mm: Sequence[float],
    *,
    dice: float,
) -> None:
    """Write image, truth and prediction for pictures; a planar image is a volume of one slice.

    The file holds ``image``, ``truth`` and ``prediction``, uint8 ``(z, y, x)``; ``spacing_mm`` of
    these (z is NaN for planar images); ``slices``, their indices among the ``depth`` of the file;
    ``shown``, the place of the one for figures; ``corner_mm``, how far down and right the window
    begins; ``dice``; and how much of the prediction lies beside the window in any slice:
    ``outside_ml``, of planar images ``outside_cm2``.

    Args:
        path: The file; its folder is made.
        image: `(z, y, x)` or `(y, x)`.
        truth: Label map of the same shape.
        predicted: Label map of the same shape.
        spacing_mm: As many as there are axes.
        dice: Mean foreground Dice of the whole case.
    """
    planar = image.ndim == 2
    if planar:
        image, truth, predicted = image[None], truth[None], predicted[None]
    kept = choose(truth, spacing_mm)
    y_mm, x_mm = spacing_mm[-2:]
    z_mm = math.nan if planar else spacing_mm[0] * kept.every
    outside = kept.outside(predicted) * math.prod(spacing_mm)
    content: Mapping[str, Any] = {
        "image": np.round(255 * scale_intensity(kept.image(image))).astype(np.uint8),
        "truth": kept.labels(truth).astype(np.uint8),
        "prediction": kept.labels(predicted).astype(np.uint8),
        "spacing_mm": np.array([z_mm, y_mm * kept.steps[0], x_mm * kept.steps[1]], np.float32),
        "slices": kept.slices.astype(np.int32),
        "depth": np.int32(len(truth)),
        "shown": np.int32(kept.shown),
        "corner_mm": np.array([kept.corner[0] * y_mm, kept.corner[1] * x_mm], np.float32),
        "dice": np.float32(dice),
        "outside_cm2" if planar else "outside_ml": np.float32(outside / (100 if planar else 1000)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **content)
