"""How an image has to be turned so that it lies as the images did that a network was trained on.

Networks are trained on arrays as they lie in the files of a dataset, and those of ACDC and CAMUS
name axes of their own in the header, not the patient's. So nothing here asks which way is "right":
an image is turned to the axis codes of the training files (`trained_codes`), by reordering and
flipping axes alone, which loses nothing and is undone exactly.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError
from datasets import nifti_file

T = TypeVar("T", bound=np.generic)
Matrix = npt.NDArray[np.float64]

# One axis is through the planes if its step is longer than the others' by this factor.
THICK = 1.5
# Sums of cosines closer than this are equal, and the order of the file wins.
_TIE = 1e-6
# NIfTI's frame: to the right, to the front, up.
_AXES = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0),
         "S": (0, 0, 1), "I": (0, 0, -1)}  # fmt: skip


@dataclass(frozen=True)
class Turn:
    """A reordering and flipping of the axes of an array ``(..., z, y, x)``.

    Attributes:
        order: Which axis of the file's array, of its last three, becomes the new z, y and x.
        flips: Whether each of the new axes runs backwards along it.
    """

    order: tuple[int, int, int] = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)

    def apply(self, array: npt.NDArray[T]) -> npt.NDArray[T]:
        """Return a view of a file's array as the network is to see it; leading axes stay."""
        lead = array.ndim - 3
        turned = array.transpose(*range(lead), *(lead + axis for axis in self.order))
        z, y, x = self._steps()
        return turned[..., z, y, x]

    def undo(self, array: npt.NDArray[T]) -> npt.NDArray[T]:
        """Return a view of a turned array as it lies in the file."""
        lead = array.ndim - 3
        back = [lead + self.order.index(axis) for axis in range(3)]
        z, y, x = self._steps()
        return array[..., z, y, x].transpose(*range(lead), *back)

    def pick(self, along: Sequence[float]) -> tuple[float, float, float]:
        """Return what is known of each axis of the file, for the axes of the turned array."""
        z, y, x = (along[axis] for axis in self.order)
        return z, y, x

    def _steps(self) -> list[slice]:
        return [slice(None, None, -1 if flip else None) for flip in self.flips]


def turn_to(
    affine: Matrix,
    codes: str,
    *,
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    stacked: bool,
) -> Turn:
    """Return the turn after which the axes of an image run as the codes say, as closely as can be.

    Of all orders and flips of the axes the one is taken whose axes deviate least from the wanted
    ones (the largest sum of cosines), which for an oblique image is the closest of the 48.

    A network that was trained on slices sees no other cut through a heart, so the axis through the
    slices stays that, whatever its direction: the only one with a single pixel, or where training
    images had thick slices the one with the longest step. Where this contradicts the direction, the
    header speaks of the patient and the training files of the slice alone. The slice is then turned
    as scanners show it (to the right runs left or back, down runs back or to the feet), and the
    order of slices that makes no mirror image of the heart is kept.

    Args:
        affine: 4 x 4, from ``(x, y, z)`` indices of the file to millimetres.
        codes: Where the training files' x, y and z run, such as ``LPS``.
        shape: Of the file's array, ``(z, y, x)``.
        spacing_mm: Likewise.
        stacked: Whether the training images were planar or had thick slices.
    """
    wanted = np.array([_AXES[code] for code in codes], np.float64).T
    found = _directions(affine)
    order = _closest(found, wanted)
    signs = _signs(found, order, wanted)
    through = _through(shape, spacing_mm, stacked=stacked)
    if through is not None and order[2] != through:
        x, _, z = wanted.T
        # Across runs what is most from side to side, down what is most from head to feet.
        order = _closest(found, np.stack([x, z, np.zeros(3)], axis=1), through)
        signs = _signs(found, order, _as_shown(wanted))
        if np.linalg.det(found[:, order] * signs) * np.linalg.det(wanted) < 0:
            signs[2] = -signs[2]
    # From (x, y, z), as headers count, to (z, y, x), as arrays do.
    z, y, x = (2 - axis for axis in reversed(order))
    flips = (signs[2] < 0, signs[1] < 0, signs[0] < 0)
    return Turn((z, y, x), flips)


def codes_of(affine: Matrix) -> str:
    """Return where x, y and z of a file run, such as ``LPS``; the closest letters if oblique."""
    found = _directions(affine)
    order = _closest(found, np.eye(3))
    signs = _signs(found, order, np.eye(3))
    letters = [""] * 3
    for place, (axis, sign) in enumerate(zip(order, signs, strict=True)):
        letters[axis] = ("RL", "AP", "SI")[place][sign < 0]
    return "".join(letters)


def trained_codes(run: Path) -> Counter[str]:
    """Return the axis codes of the files that a run was trained on, and how many files have them.

    They are read from the masks that the run predicted for its test cases, which lie on the grids
    of the dataset's own files.

    Args:
        run: The run's folder.

    Raises:
        BenchmarkError: There is no such mask.
    """
    masks = sorted((run / "predictions").glob("*.nii.gz"))
    if not masks:
        raise BenchmarkError(
            f"{run / 'predictions'}: expected the masks of the run's test cases, which tell how "
            "the images lay that it was trained on, found none. Delete the run and run it again."
        )
    return Counter(codes_of(nifti_file.read_grid(path).affine) for path in masks)


def _directions(affine: Matrix) -> Matrix:
    """Unit vectors of x, y and z, as columns; an axis without a length has no direction."""
    columns = affine[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    return np.asarray(columns / np.where(lengths > 0, lengths, 1.0), np.float64)


def _closest(found: Matrix, wanted: Matrix, through: int | None = None) -> list[int]:
    """Which axis found stands for each wanted one, along or against it.

    Args:
        found: Directions as columns.
        wanted: Likewise.
        through: The axis that has to stand for the last.
    """
    cosines = found.T @ wanted
    best: tuple[int, ...] = ()
    highest = -np.inf
    for order in itertools.permutations(range(3)):
        total = sum(abs(cosines[axis, place]) for place, axis in enumerate(order))
        if through in (None, order[2]) and total > highest + _TIE:
            best, highest = order, total
    return list(best)


def _signs(found: Matrix, order: Sequence[int], wanted: Matrix) -> list[float]:
    """Whether each axis runs along (1) or against (-1) the wanted one that it stands for."""
    cosines = [found[:, axis] @ wanted[:, place] for place, axis in enumerate(order)]
    return [-1.0 if cosine < -_TIE else 1.0 for cosine in cosines]


def _through(shape: Sequence[int], spacing_mm: Sequence[float], *, stacked: bool) -> int | None:
    """The axis through the slices, counted as headers do, if the grid itself tells."""
    single = [axis for axis, size in enumerate(reversed(shape)) if size == 1]
    if len(single) == 1:
        return single[0]
    steps = list(reversed(spacing_mm))
    second, longest = sorted(steps)[1:]
    if stacked and not single and longest > THICK * second:
        return steps.index(longest)
    return None


def _as_shown(wanted: Matrix) -> Matrix:
    """Directions of x and y on a screen, where a slice may lie anyhow.

    Of a tilted one, what runs to the right runs to the patient's left or back or both, and what
    runs down runs to the back or to the feet.
    """
    x, y, z = wanted.T
    back, down = np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, -1.0])
    left = np.array([-1.0, 0.0, 0.0])
    return np.stack([x + (x @ left) * back, y + (y @ back) * down, z], axis=1)
