"""One case as it lies on disk: its image with the outlines of its mask, in true proportions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmark.report import layout, style
from benchmark.report.figures.slices import extent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

MOST_SLICES = 12
_MARGIN_MM = 25.0
_BAR_MM = 20.0
_TOP_IN = 0.46
_GAP_IN = 0.04
_TALLEST_IN = 5.2
# Width to height of a grid of panels.
_PROPORTIONS = 1.7
# Grey levels outside these percentiles are shown as black and white: MRI has bright outliers.
_DARKEST_PCT, _BRIGHTEST_PCT = 0.5, 99.7


@dataclass(frozen=True)
class Picture:
    """What is drawn.

    Attributes:
        image: `(z, y, x)` or `(y, x)`; row 0 is the top.
        mask: Labels, of the same shape.
        spacing_mm: Along the axes of `image`.
        classes: Label by name.
        title: First line of the heading.
        subtitle: Second line.
        phantom: Whether the heart is synthetic.
    """

    image: Array
    mask: Array
    spacing_mm: tuple[float, ...]
    classes: Mapping[str, int]
    title: str
    subtitle: str
    phantom: bool


def draw(picture: Picture) -> Figure:
    """Draw a planar image whole, and of a volume at most 12 slices round the labelled heart.

    The slices are spread evenly over those with a label. Hearts with ventricles are shown from the
    base to the apex, which is the end where less is labelled; others in the order of the file.
    """
    planar = picture.image.ndim == 2
    image, mask = (np.atleast_3d(a.T).T for a in (picture.image, picture.mask))
    chosen = [0] if planar else choose_slices(mask, base_first="left_ventricle" in picture.classes)
    rows, columns = (slice(None), slice(None)) if planar else window(mask, picture.spacing_mm[1:])
    y_mm, x_mm = picture.spacing_mm[-2:]
    image, mask = image[:, rows, columns], mask[:, rows, columns]
    height_mm, width_mm = image.shape[1] * y_mm, image.shape[2] * x_mm
    across = _columns(len(chosen), width_mm / height_mm)
    down = -(-len(chosen) // across)
    panel_in = (layout.TWO_COLUMNS_IN - _GAP_IN) / across
    panel_in = min(panel_in, _TALLEST_IN / down * width_mm / height_mm)
    tall_in = (panel_in - _GAP_IN) * height_mm / width_mm + _GAP_IN
    handles = _handles(picture)
    total_in = max(layout.ONE_COLUMN_IN + 1.0, across * panel_in + _GAP_IN)
    bottom_in = layout.legend_height_in([str(h.get_label()) for h in handles], total_in) + 0.04
    height_in = _TOP_IN + down * tall_in + bottom_in
    figure = layout.new_figure(total_in, height_in)
    left_in = (total_in - across * panel_in + _GAP_IN) / 2
    darkest, brightest = np.percentile(image[chosen], (_DARKEST_PCT, _BRIGHTEST_PCT))
    colours = style.class_colours(picture.classes)
    for place, index in enumerate(chosen):
        row, column = divmod(place, across)
        axes = figure.add_axes(
            (
                (left_in + column * panel_in) / total_in,
                1 - (_TOP_IN + (row + 1) * tall_in - _GAP_IN) / height_in,
                (panel_in - _GAP_IN) / total_in,
                (tall_in - _GAP_IN) / height_in,
            )
        )
        axes.set_axis_off()
        axes.imshow(
            image[index],
            cmap="gray",
            vmin=darkest,
            vmax=max(brightest, darkest + 1e-6),
            extent=(0, width_mm, height_mm, 0),
            aspect="auto",
            interpolation="bilinear",
        )
        _outlines(axes, mask[index], picture, colours)
        if not planar:
            _label(axes, f"{index + 1}/{len(image)}")
        if place == 0:
            _bar(axes, width_mm, height_mm)
    layout.bottom_legend(figure, handles)
    layout.headline(figure, picture.title, picture.subtitle, phantom=picture.phantom)
    return figure


def choose_slices(mask: Array, *, base_first: bool) -> list[int]:
    """At most 12 labelled slices of a mask `(z, y, x)`, evenly spread; the middle one if none is.

    Args:
        mask: Labels.
        base_first: Begin at the end where more is labelled.
    """
    labelled = np.flatnonzero(mask.any(axis=(1, 2)))
    if not labelled.size:
        return [len(mask) // 2]
    steps = np.linspace(0, labelled.size - 1, min(MOST_SLICES, labelled.size))
    chosen = [int(labelled[round(step)]) for step in steps]
    if base_first:
        sizes = np.count_nonzero(mask[chosen], axis=(1, 2))
        half = len(chosen) // 2
        if sizes[:half].sum() < sizes[len(chosen) - half :].sum():
            chosen.reverse()
    return chosen


def window(mask: Array, spacing_mm: tuple[float, ...]) -> tuple[slice, slice]:
    """Rows and columns round all that is labelled, with a margin; everything if nothing is."""
    parts = []
    for axis, (size, step) in enumerate(zip(mask.shape[1:], spacing_mm, strict=True)):
        inside = np.flatnonzero(mask.any(axis=(0, 2 - axis)))
        margin = round(_MARGIN_MM / step)
        first, last = (inside[0], inside[-1]) if inside.size else (0, size - 1)
        parts.append(slice(max(0, int(first) - margin), min(size, int(last) + 1 + margin)))
    return parts[0], parts[1]


def amount(picture: Picture, label: int) -> str:
    """Volume in mL of a class, or its area in cm² in a planar image."""
    voxels = int(np.count_nonzero(picture.mask == label))
    if not voxels:
        return "none"
    size = voxels * float(np.prod(picture.spacing_mm))
    return f"{size / 100:.1f} cm²" if picture.mask.ndim == 2 else f"{size / 1000:.1f} mL"


def _columns(count: int, aspect: float) -> int:
    """Panels beside each other: few empty places in a grid not far from the proportions wanted."""

    def cost(columns: int) -> float:
        rows = -(-count // columns)
        return columns * rows - count + 2 * abs(math.log(columns * aspect / rows / _PROPORTIONS))

    return min(range(1, count + 1), key=cost)


def _outlines(axes: Axes, mask: Array, picture: Picture, colours: Mapping[str, str]) -> None:
    y_mm, x_mm = picture.spacing_mm[-2:]
    # A border of background closes outlines that meet the edge of the picture.
    padded = np.pad(mask, 1)
    x = (np.arange(padded.shape[1]) - 0.5) * x_mm
    y = (np.arange(padded.shape[0]) - 0.5) * y_mm
    limits = axes.get_xlim(), axes.get_ylim()
    present = [name for name in picture.classes if (mask == picture.classes[name]).any()]
    # Structures share borders: the one that spreads furthest is drawn first, the inner one over it.
    for name in sorted(present, key=lambda name: -extent(mask == picture.classes[name])):
        inside = (padded == picture.classes[name]).astype(np.float32)
        axes.contour(x, y, inside, levels=[0.5], colors=[colours[name]], linewidths=1.1)
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])


def _label(axes: Axes, text: str) -> None:
    axes.text(
        0.03,
        0.97,
        text,
        transform=axes.transAxes,
        ha="left",
        va="top",
        fontsize=6.0,
        color="white",
        bbox={"facecolor": "black", "edgecolor": "none", "alpha": 0.55, "pad": 1.2},
    )


def _bar(axes: Axes, width_mm: float, height_mm: float) -> None:
    start, level = 0.04 * width_mm, 0.95 * height_mm
    axes.plot([start, start + _BAR_MM], [level, level], color="white", linewidth=1.8)
    axes.text(
        start, level - 0.015 * height_mm, f"{_BAR_MM:g} mm",
        color="white", fontsize=6.0, ha="left", va="bottom",
    )  # fmt: skip


def _handles(picture: Picture) -> list[Any]:
    from matplotlib.lines import Line2D

    colours = style.class_colours(picture.classes)
    return [
        Line2D(
            [], [], color=colours[name], linewidth=2,
            label=f"{style.words(name)}: {amount(picture, label)}",
        )
        for name, label in picture.classes.items()
    ]  # fmt: skip
