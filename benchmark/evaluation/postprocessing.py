"""An optional step after prediction: keep the largest piece of each structure.

Off unless it helps: whoever applies it to test cases has shown on validation cases that it raises
their mean (`helps`).
"""

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Labels = npt.NDArray[np.integer]


def keep_largest(label_map: Labels, labels: Collection[int]) -> Labels:
    """Clear all but the largest piece of each label; pieces touch by face, edge or corner.

    Args:
        label_map: Label map `(y, x)` or `(z, y, x)`.
        labels: Labels to clean; others stay as they are.

    Returns:
        A new label map of the same type.
    """
    cleaned = label_map.copy()
    for label in labels:
        pieces, count = ndimage.label(label_map == label, np.ones((3,) * label_map.ndim))
        if count > 1:
            sizes = np.bincount(pieces.ravel())
            sizes[0] = 0
            cleaned[(pieces > 0) & (pieces != sizes.argmax())] = 0
    return cleaned


def helps(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether validation scores (higher is better) rose on average; a tie is no reason to act.

    Raises:
        ValueError: If the two are not scores of the same cases.
    """
    if len(before) != len(after) or not len(before):
        raise ValueError(
            "Expected scores of the same validation cases without and with the step. "
            f"Received: {len(before)} and {len(after)} scores."
        )
    gain = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    return bool(np.nanmean(gain) > 0) if not np.isnan(gain).all() else False
