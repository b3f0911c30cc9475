"""How errors are marked in pictures: by colour, and by a filling for print in grey."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmark.report import style
from benchmark.report.excerpts import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPACING_IN = 0.04  # between lines of a filling
BLEND = 0.55  # how much of an error's colour covers the picture


@dataclass(frozen=True)
class Mark:
    """A kind of error: its name, colour and filling (a hatch of matplotlib, or none)."""

    name: str
    colour: str
    hatch: str

    @property
    def ink(self) -> str:
        """Colour (hex) of the filling, light on its own colour."""
        return style.lighter(self.colour, 0.6)


MISSED = Mark("missed", style.MISSED_COLOUR, "")
EXTRA = Mark("extra", style.SPURIOUS_COLOUR, "//////")
CONFUSED = Mark("wrong class", style.CONFUSED_COLOUR, "xxxxxx")
MARKS = (MISSED, EXTRA, CONFUSED)


def marks_of(structures: Sized) -> tuple[Mark, ...]:
    """The kinds of error there can be: one structure alone is not taken for another."""
    return MARKS if len(structures) > 1 else (MISSED, EXTRA)


def regions_of(truth: Image, prediction: Image) -> list[tuple[Mark, npt.NDArray[np.bool_]]]:
    """Where each kind of error is, in the order of :data:`MARKS`."""
    return [
        (MISSED, (truth > 0) & (prediction == 0)),
        (EXTRA, (truth == 0) & (prediction > 0)),
        (CONFUSED, (truth > 0) & (prediction > 0) & (truth != prediction)),
    ]


def paint_errors(axes: Axes, image: Image, truth: Image, prediction: Image) -> None:
    """Show a picture with its errors tinted and filled.

    Args:
        axes: where; bare.
        image: grey values, ``(y, x)``.
        truth: label map of the same shape.
        prediction: likewise.
    """
    picture = np.repeat(image[..., None], 3, axis=2).astype(np.float32)
    regions = regions_of(truth, prediction)
    for mark, mask in regions:
        tint = 255 * np.array(style.rgb(mark.colour), np.float32)
        picture[mask] = (1 - BLEND) * picture[mask] + BLEND * tint
    axes.imshow(picture.astype(np.uint8), interpolation="none", aspect="auto")
    for mark, mask in regions:
        if mark.hatch and mask.any():
            _fill(axes, mask, mark)


def error_handles(structures: Sized) -> list[Any]:
    """Entries of a legend for the kinds of error."""
    from matplotlib.patches import Patch

    return [
        Patch(
            facecolor=style.lighter(mark.colour, 0.2), edgecolor=mark.ink, hatch=mark.hatch,
            linewidth=0, label=mark.name,
        )
        for mark in marks_of(structures)
    ]  # fmt: skip


def _fill(axes: Axes, mask: npt.NDArray[np.bool_], mark: Mark) -> None:
    """Fill a region with slanting lines, one way or both; its border is not drawn.

    They are lines of their own: PDFium takes five times as long for a hatch.
    """
    from contourpy import contour_generator
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    inside = mask.astype(np.float32)
    found: Any = contour_generator(z=inside, fill_type="OuterCode").filled(0.5, 1.5)
    points, codes = (np.concatenate(parts) for parts in found)
    region = Path(points, codes)
    (left, top), (right, bottom) = region.get_extents().get_points()
    figure: Any = axes.figure
    step = mask.shape[1] * _SPACING_IN / (axes.get_position().width * figure.get_figwidth())
    ends = [
        [(left, total - left), (right, total - right)]
        for total in np.arange(left + top + step / 2, right + bottom, step)
    ]
    if "x" in mark.hatch:
        ends += [
            [(left, apart + left), (right, apart + right)]
            for apart in np.arange(top - right + step / 2, bottom - left, step)
        ]
    lines = Path(np.reshape(ends, (-1, 2)), [Path.MOVETO, Path.LINETO] * len(ends))
    filling = PathPatch(lines, facecolor="none", edgecolor=mark.ink, linewidth=0.45)
    axes.add_patch(filling)
    filling.set_clip_path(region, transform=axes.transData)
