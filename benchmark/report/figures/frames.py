"""One frame of an animation: panels of a case side by side, in the few colours a GIF has.

Pixels are painted as places in a palette, so that no reduction of colours blurs or flickers, and
equal arrays give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmark.report import style
from benchmark.report.excerpts import Excerpt, Image
from benchmark.report.figures.marks import BLEND, MARKS, marks_of, regions_of
from benchmark.report.figures.slices import extent

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from PIL.ImageFont import FreeTypeFont

PHANTOM = "PHANTOM: synthetic hearts, not patients"

# The palette: greys, each kind of error over greys, the phantom's red, then the classes.
_GREYS, _TINTS = 64, 32
_RED = _GREYS + len(MARKS) * _TINTS
_BACKGROUND, _WHITE = 5, _GREYS - 1

Grey = npt.NDArray[np.float32]
Taps = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Grey]

_ACROSS = 6  # panels beside each other
_GAP, _LINE, _NARROWEST = 6, 18, 480  # pixels


@dataclass(frozen=True)
class Box:
    """A part of the field of a file, in mm."""

    top: float
    left: float
    height: float
    width: float


@dataclass(frozen=True)
class Board:
    """What all frames of an animation share.

    Attributes:
        title: First line.
        labels: Label of each scored class.
        box: What every panel shows.
        side: The longer side of a panel in pixels.
        phantom: Whether the hearts are synthetic.
    """

    title: str
    labels: Mapping[str, int]
    box: Box
    side: int
    phantom: bool

    @property
    def panel(self) -> tuple[int, int]:
        """Height and width of a panel in pixels, in the proportions of the heart."""
        scale = self.side / max(self.box.height, self.box.width)
        return max(1, round(self.box.height * scale)), max(1, round(self.box.width * scale))


def box_of(excerpts: Sequence[Excerpt]) -> Box:
    """What encloses some windows of one field: those of two phases are not the same."""
    edges = np.array([
        (*one.corner_mm, *(corner + pixels * pixel_mm for corner, pixels, pixel_mm in zip(
            one.corner_mm, one.truth.shape[1:], one.spacing_mm[1:], strict=True)))
        for one in excerpts
    ])  # fmt: skip
    top, left = (float(value) for value in edges[:, :2].min(axis=0))
    bottom, right = (float(value) for value in edges[:, 2:].max(axis=0))
    return Box(top, left, bottom - top, right - left)


def paint(board: Board, excerpts: Mapping[str, Excerpt], place: int, text: str) -> Picture:
    """Paint image, truth and predictions of one slice.

    Args:
        board: What all frames share.
        excerpts: One per row of the leaderboard, by its title; on one grid.
        place: Of the slice in the excerpts.
        text: Second line.

    Returns:
        A picture of mode ``P``.
    """
    from PIL import Image as pillow

    first = next(iter(excerpts.values()))
    panels = [("image", "", _panel(board, first, place, "image"))]
    panels += [("truth", "", _panel(board, first, place, "truth"))]
    panels += [
        (name, f"Dice {one.dice:.3f}", _panel(board, one, place, "prediction"))
        for name, one in excerpts.items()
    ]
    height, width = board.panel
    across = min(_ACROSS, len(panels))
    total = max(_NARROWEST, across * (width + _GAP) + _GAP)
    legend = _legend(board, total)
    top = (3 if board.phantom else 2) * _LINE + _GAP
    cell = height + 2 * _LINE + _GAP
    below = top + -(-len(panels) // across) * cell
    canvas = np.full((below + len(legend) + _GAP, total), _BACKGROUND, np.uint8)
    if board.phantom:
        canvas[:_LINE] = _RED
        _write(canvas, (0, _GAP), PHANTOM, total, bold=True)
    first_line = _LINE * board.phantom + _GAP // 2
    _write(canvas, (first_line, _GAP), board.title, total - 2 * _GAP, bold=True)
    _write(canvas, (first_line + _LINE, _GAP), text, total - 2 * _GAP)
    for index, (name, note, panel) in enumerate(panels):
        row, column = divmod(index, across)
        y, x = top + row * cell, _GAP + column * (width + _GAP)
        _write(canvas, (y, x), name, width, bold=True)
        _write(canvas, (y + _LINE, x), note, width)
        canvas[y + 2 * _LINE : y + 2 * _LINE + height, x : x + width] = panel
    canvas[below : below + len(legend)] = legend
    picture = pillow.fromarray(canvas).convert("L")
    picture.putpalette(_palette(board.labels))
    return picture


def _palette(labels: Mapping[str, int]) -> list[int]:
    greys = np.linspace(0, 255, _GREYS)
    colours = [np.repeat(greys[:, None], 3, axis=1)]
    under = np.linspace(0, 255, _TINTS)[:, None]
    colours += [
        (1 - BLEND) * under + BLEND * 255 * np.array([style.rgb(mark.colour)]) for mark in MARKS
    ]
    solid = [style.PHANTOM_COLOUR, *style.class_colours(labels).values()]
    colours += [255 * np.array([style.rgb(colour)]) for colour in solid]
    return [int(value) for value in np.round(np.concatenate(colours)).ravel()]


def _panel(board: Board, one: Excerpt, place: int, kind: str) -> Image:
    """The window of an excerpt in the box that all panels show; black around it."""
    scale = board.panel[0] / board.box.height
    starts_mm = (board.box.top - one.corner_mm[0], board.box.left - one.corner_mm[1])
    # Where the middle of each pixel of the panel lies among the pixels of the excerpt.
    at_y, at_x = (
        ((np.arange(size) + 0.5) / scale + start_mm) / pixel_mm
        for size, start_mm, pixel_mm in zip(board.panel, starts_mm, one.spacing_mm[1:], strict=True)
    )
    _, height, width = one.truth.shape
    inside_y, inside_x = (at_y >= 0) & (at_y < height), (at_x >= 0) & (at_x < width)
    rows, columns = at_y[inside_y], at_x[inside_x]
    taps = _taps(rows, height), _taps(columns, width)
    truth, prediction = one.truth[place], one.prediction[place]
    painted = np.round(_sample(one.image[place], taps) * (_GREYS - 1) / 255).astype(np.uint8)
    if kind == "prediction":
        _tint(painted, truth, prediction, np.ix_(rows.astype(int), columns.astype(int)))
        line = np.zeros(painted.shape, bool)
        for label in board.labels.values():
            line |= _outline(truth == label, taps, 1)
        dashes = np.indices(painted.shape).sum(axis=0) // 3 % 2 == 0
        painted[line & dashes] = _WHITE
    if kind != "image":
        mask = truth if kind == "truth" else prediction
        numbers = {name: _RED + 1 + number for number, name in enumerate(board.labels)}
        # Where one structure lies in another they share a border: the inner one is drawn last.
        for name in sorted(board.labels, key=lambda name: -extent(mask == board.labels[name])):
            painted[_outline(mask == board.labels[name], taps, 2)] = numbers[name]
    panel = np.zeros(board.panel, np.uint8)
    panel[np.ix_(inside_y, inside_x)] = painted
    return panel


def _taps(at: npt.NDArray[np.float64], size: int) -> Taps:
    """The two pixels that each place lies between, and how far it is from the first."""
    low = np.clip(np.floor(at - 0.5), 0, size - 1).astype(np.intp)
    part = np.clip(at - 0.5 - low, 0, 1).astype(np.float32)
    return low, np.minimum(low + 1, size - 1), part


def _sample(plane: Image | npt.NDArray[np.bool_], taps: tuple[Taps, Taps]) -> Grey:
    """The plane at places between its pixels, bilinear."""
    (top, bottom, down), (left, right, across) = taps
    values = plane.astype(np.float32)
    rows = values[top] + (values[bottom] - values[top]) * down[:, None]
    sampled: Grey = rows[:, left] + (rows[:, right] - rows[:, left]) * across
    return sampled


def _tint(painted: Image, truth: Image, prediction: Image, nearest: tuple[Any, ...]) -> None:
    """Colour what is wrong, pixel by pixel of the file."""
    for number, (_, region) in enumerate(regions_of(truth, prediction)):
        where = region[nearest]
        painted[where] = _GREYS + number * _TINTS + painted[where] // (_GREYS // _TINTS)


def _outline(
    mask: npt.NDArray[np.bool_], taps: tuple[Taps, Taps], width: int
) -> npt.NDArray[np.bool_]:
    """The edge of a structure, smooth where a pixel of the file covers many of the panel."""
    inside = _sample(mask, taps) >= 0.5
    inner = inside.copy()
    for _ in range(width):
        deeper = np.zeros_like(inner)
        deeper[1:-1, 1:-1] = (
            inner[1:-1, 1:-1] & inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2]
            & inner[1:-1, 2:]
        )  # fmt: skip
        inner = deeper
    edge: npt.NDArray[np.bool_] = inside & ~inner
    return edge


def _legend(board: Board, width: int) -> Image:
    """Swatches and words, as many lines as they need."""
    entries = [(style.words(name), _RED + 1 + i, 3) for i, name in enumerate(board.labels)]
    entries += [
        (mark.name, _GREYS + (MARKS.index(mark) + 1) * _TINTS - _TINTS // 2, 10)
        for mark in marks_of(board.labels)
    ]
    entries.append(("dashed: truth", _BACKGROUND, 0))
    lines: list[list[tuple[int, str, int, int]]] = [[]]
    x = _GAP
    for text, colour, thick in entries:
        needed = 30 + int(_font(11).getlength(text))
        if x + needed > width and lines[-1]:
            lines.append([])
            x = _GAP
        lines[-1].append((x, text, colour, thick))
        x += needed
    legend = np.full((len(lines) * _LINE, width), _BACKGROUND, np.uint8)
    for row, line in enumerate(lines):
        for x, text, colour, thick in line:
            middle = row * _LINE + _LINE // 2
            legend[middle - thick // 2 : middle - thick // 2 + thick, x : x + 14] = colour
            _write(legend, (row * _LINE, x + 18), text, width - x - 18)
    return legend


def _write(
    canvas: Image, at: tuple[int, int], text: str, width: int, *, bold: bool = False
) -> None:
    """Write a line of text in white; smaller, then shortened, where it would not fit."""
    from PIL import Image as pillow
    from PIL import ImageDraw

    if not text:
        return
    font = _font(12, bold=bold)
    if font.getlength(text) > width:
        font = _font(9, bold=bold)
    while len(text) > 2 and font.getlength(text) > width:
        text = text[:-2] + "…"
    layer = pillow.new("L", (max(1, min(width, canvas.shape[1] - at[1])), _LINE))
    ImageDraw.Draw(layer).text((0, _LINE // 2), text, fill=255, font=font, anchor="lm")
    drawn = np.asarray(layer)
    part = canvas[at[0] : at[0] + _LINE, at[1] : at[1] + drawn.shape[1]]
    # Between the grey behind and white; on red there is nothing between.
    mixed = _BACKGROUND + np.round((_WHITE - _BACKGROUND) * (drawn / 255.0)).astype(np.uint8)
    part[:] = np.where(
        part == _RED, np.where(drawn > 110, _WHITE, _RED), np.where(drawn > 0, mixed, part)
    )


def _font(size: int, *, bold: bool = False) -> FreeTypeFont:
    """The font of the figures, which comes with matplotlib."""
    import matplotlib as mpl
    from PIL import ImageFont

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / f"DejaVuSans{'-Bold' if bold else ''}.ttf", size)
