"""The outline of a planar structure, between the pixels."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from benchmark.evaluation import surfels
from benchmark.evaluation.overlap import Mask

Floats = npt.NDArray[np.float64]
_Edge = Literal["top", "right", "bottom", "left"]

# From which edge to which the outline passes where four pixels meet, with the structure on its
# right hand. Bits of the code: upper left, upper right, lower left, lower right. Pixels that touch
# only at a corner are apart.
_STEPS: dict[int, tuple[tuple[_Edge, _Edge], ...]] = {
    0b0001: (("top", "left"),),
    0b0010: (("right", "top"),),
    0b0011: (("right", "left"),),
    0b0100: (("left", "bottom"),),
    0b0101: (("top", "bottom"),),
    0b0110: (("right", "top"), ("left", "bottom")),
    0b0111: (("right", "bottom"),),
    0b1000: (("bottom", "right"),),
    0b1001: (("top", "left"), ("bottom", "right")),
    0b1010: (("bottom", "top"),),
    0b1011: (("bottom", "left"),),
    0b1100: (("left", "right"),),
    0b1101: (("top", "right"),),
    0b1110: (("left", "top"),),
}
# Where the edges are, in half pixels from the centre of the upper left pixel.
_EDGES: dict[_Edge, tuple[int, int]] = {
    "top": (0, 1),
    "right": (1, 2),
    "bottom": (2, 1),
    "left": (1, 0),
}


def main_body(mask: Mask) -> Mask:
    """Keep the largest piece of a mask (joined by edges, in a volume by faces), its holes filled.

    A speck above the ventricle would otherwise be taken for it: outlines come by position.
    """
    pieces, count = ndimage.label(mask)
    if not count:
        return np.zeros_like(mask)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(pieces == sizes.argmax()))


def outline(mask: Mask) -> Floats:
    """Trace the outline of a mask in one piece without holes, halfway between pixel centres.

    Args:
        mask: Boolean image `(y, x)`, not empty.

    Returns:
        Points `(points, 2)` as `(y, x)` in pixels, clockwise in the image, from the topmost point;
        the last is not the first again.
    """
    numbers = surfels.codes(mask)
    steps: dict[tuple[int, int], tuple[int, int]] = {}
    for y, x in np.argwhere(surfels.is_border(numbers)).tolist():
        # A code at (y, x) belongs to the pixels y - 1, y and x - 1, x.
        for first, second in _STEPS[int(numbers[y, x])]:
            steps[_place(y, x, first)] = _place(y, x, second)
    point = min(steps)
    trace = []
    while point in steps:
        trace.append(point)
        point = steps.pop(point)
    return np.array(trace, dtype=np.float64) / 2


def _place(y: int, x: int, edge: _Edge) -> tuple[int, int]:
    down, right = _EDGES[edge]
    return 2 * (y - 1) + down, 2 * (x - 1) + right
