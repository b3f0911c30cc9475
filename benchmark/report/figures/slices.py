"""Slices that runs left for pictures: reading them, and painting truth, prediction and errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmark.report import style
from benchmark.report.excerpts import Image, files_of, only, read_excerpt
from benchmark.report.figures.marks import error_handles, paint_errors
from benchmark.report.groups import Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE = 320  # pixels of a panel; more than print resolves at this size
_BAR_MM = 20.0


@dataclass(frozen=True)
class Slice:
    """One slice of a case as a run left it; arrays are ``(y, x)``, spacing in mm likewise."""

    image: Image
    truth: Image
    prediction: Image
    spacing_mm: tuple[float, float]
    dice: float


@dataclass(frozen=True)
class Window:
    """A square (in mm) part of a slice: first row and column, rows, columns, and the step."""

    row: int
    column: int
    rows: int
    columns: int
    step: int


def read_slice(path: Path) -> Slice:
    """Read the slice for figures from ``slices/<case>.npz``."""
    excerpt = read_excerpt(path)
    return Slice(
        image=excerpt.image[excerpt.shown],
        truth=excerpt.truth[excerpt.shown],
        prediction=excerpt.prediction[excerpt.shown],
        spacing_mm=excerpt.spacing_mm[1:],
        dice=excerpt.dice,
    )


def only_labels(one: Slice, labels: Iterable[int]) -> Slice:
    """The slice without classes that are not scored: what has no truth cannot be an error."""
    known = only(labels)
    return replace(one, truth=known[one.truth], prediction=known[one.prediction])


def slices_of(group: Group) -> dict[tuple[str, str], dict[str, Path]]:
    """Files of each architecture by case, from the run with the lowest fold and seed."""
    return {
        name: {case: path for case, (_, path) in files.items()}
        for name, files in files_of(group).items()
    }


def window_of(slices: Sequence[Slice]) -> Window:
    """A square around every structure of truth and predictions, with room at its sides."""
    first = slices[0]
    marked = first.truth > 0
    for one in slices:
        marked = marked | (one.prediction > 0)
    if not marked.any():
        marked = np.ones_like(marked)
    rows = np.flatnonzero(marked.any(axis=1))
    columns = np.flatnonzero(marked.any(axis=0))
    y_mm, x_mm = first.spacing_mm
    side_mm = 1.3 * max((rows[-1] - rows[0] + 1) * y_mm, (columns[-1] - columns[0] + 1) * x_mm)
    side_mm = max(side_mm, 16 * max(y_mm, x_mm))
    height, width = max(2, round(side_mm / y_mm)), max(2, round(side_mm / x_mm))
    return Window(
        row=_start(rows, height, marked.shape[0]),
        column=_start(columns, width, marked.shape[1]),
        rows=height,
        columns=width,
        step=max(1, math.ceil(max(height, width) / _SIDE)),
    )


def _start(occupied: npt.NDArray[np.intp], length: int, available: int) -> int:
    """Where a window around the occupied pixels begins; inside the picture if it fits there."""
    centred = round((int(occupied[0]) + int(occupied[-1]) + 1 - length) / 2)
    return min(max(centred, 0), available - length) if length <= available else centred


def _cut(array: Image, window: Window) -> Image:
    """The window of an array; what lies outside the picture is 0."""
    result = np.zeros((window.rows, window.columns), array.dtype)
    top, left = max(0, window.row), max(0, window.column)
    part = array[top : window.row + window.rows, left : window.column + window.columns]
    y, x = top - window.row, left - window.column
    result[y : y + part.shape[0], x : x + part.shape[1]] = part
    return result[:: window.step, :: window.step]


def bare(axes: Axes) -> None:
    """Leave nothing of the axes but what is drawn in them."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def paint_truth(
    axes: Axes,
    one: Slice,
    window: Window,
    labels: Mapping[str, int],
    colours: Mapping[str, str],
) -> None:
    """Draw the picture with the true outlines and, where there is room, a scale bar."""
    picture = np.repeat(_cut(one.image, window)[..., None], 3, axis=2)
    axes.imshow(picture, interpolation="none", aspect="auto")
    _contours(axes, _cut(one.truth, window), labels, colours, width=1.0)
    columns = -(-window.columns // window.step)
    length = _BAR_MM / one.spacing_mm[1] / window.step
    if length < 0.6 * columns:
        rows = -(-window.rows // window.step)
        start = 0.05 * columns
        axes.plot([start, start + length], [0.95 * rows] * 2, color="white", linewidth=1.6)
        axes.text(
            start,
            0.93 * rows,
            f"{_BAR_MM:g} mm",
            color="white",
            fontsize=5.5,
            ha="left",
            va="bottom",
        )


def paint_prediction(
    axes: Axes,
    one: Slice,
    window: Window,
    labels: Mapping[str, int],
    colours: Mapping[str, str],
    *,
    dice: float | None = None,
) -> None:
    """Draw what was predicted on the picture: outlines, errors by kind, the Dice of the case.

    The Dice is that of the run shown, or what is given.
    """
    truth, prediction = _cut(one.truth, window), _cut(one.prediction, window)
    paint_errors(axes, _cut(one.image, window), truth, prediction)
    white = dict.fromkeys(labels, "white")
    _contours(axes, truth, labels, white, width=0.45, dashes=(0, (3, 2)))
    _contours(axes, prediction, labels, colours, width=0.8)
    axes.text(
        0.97,
        0.03,
        f"{one.dice if dice is None else dice:.3f}",
        transform=axes.transAxes,
        ha="right",
        va="bottom",
        fontsize=6.5,
        color="white",
        bbox={"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "pad": 1.2},
    )


def _contours(
    axes: Axes,
    mask: Image,
    labels: Mapping[str, int],
    colours: Mapping[str, str],
    *,
    width: float,
    dashes: str | tuple[float, tuple[float, float]] = "solid",
) -> None:
    from contourpy import contour_generator
    from matplotlib.collections import LineCollection

    # matplotlib draws contours with contourpy, too; for one line of one level its own way to it
    # takes five times as long.
    lines: list[Any] = []
    inks: list[str] = []
    # Where one structure lies in another they share a border: the inner one is drawn last.
    for name in sorted(labels, key=lambda name: -extent(mask == labels[name])):
        inside = (mask == labels[name]).astype(np.float32)
        found: Any = contour_generator(z=inside, line_type="Separate").lines(0.5)
        lines += found
        inks += [colours[name]] * len(found)
    axes.add_collection(
        LineCollection(lines, colors=inks, linewidths=width, linestyles=[dashes]), autolim=False
    )


def extent(inside: npt.NDArray[np.bool_]) -> int:
    """Area of the box around a structure."""
    return int(inside.any(axis=0).sum() * inside.any(axis=1).sum())


def overlay_handles(group: Group, colours: Mapping[str, str]) -> list[Any]:
    """Entries of a legend for structures and errors."""
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=colours[name], linewidth=2, label=style.words(name))
        for name in group.classes
    ]
    return [*lines, *error_handles(group.classes)]
