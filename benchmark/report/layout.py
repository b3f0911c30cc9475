"""How a figure is laid out: sizes, headline, legend, remarks, and how it reaches the disk.

Everything is set through ``rc_context`` and the object interface of matplotlib, so that making a
report changes nothing for other users of matplotlib in the same process.
"""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.report.style import PHANTOM_COLOUR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ONE_COLUMN_IN = 3.5
TWO_COLUMNS_IN = 7.2
FORMATS = ("png", "svg", "pdf")
ONE_COLUMN = "_1col"  # ends the names of files for one column
# What a report is asked for, and the widths that figures then have.
WIDTHS: Mapping[str, tuple[float, ...]] = {
    "two": (TWO_COLUMNS_IN,),
    "one": (ONE_COLUMN_IN,),
    "both": (TWO_COLUMNS_IN, ONE_COLUMN_IN),
}

RC: Mapping[str, Any] = {
    "font.family": "sans-serif",
    # DejaVu ships with matplotlib (so sizes are the same everywhere); the others serve viewers
    # of the SVG that lack it, and are narrower, so no label grows into its neighbour.
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
    "font.size": 7.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.3,
    "hatch.linewidth": 0.5,
    "savefig.dpi": 300,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    # Text stays text: searchable, and editable in a vector program.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    # Ids in the SVG are otherwise random: two reports of the same records must be equal.
    "svg.hashsalt": "cardiac-segmentation-benchmark",
}


@contextmanager
def drawing() -> Iterator[None]:
    """What every figure is drawn and saved in: its settings and fonts, gone again afterwards.

    Meanwhile nothing is collected: a figure is thousands of objects in cycles that all live until
    it is saved, and looking them through for garbage would take a fifth of the time. Who draws
    many calls `gc.collect` now and then.
    """
    import matplotlib

    from benchmark.report.fonts import plain_fonts

    collecting = gc.isenabled()
    gc.disable()
    try:
        with matplotlib.rc_context(dict(RC)), plain_fonts():
            yield
    finally:
        if collecting:
            gc.enable()


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure that no global list of figures holds on to."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in))


def fitting(width_in: float, taken_in: float, least_in: float) -> float | None:
    """Width of a figure in which names take some room and what is drawn needs some, too.

    Args:
        width_in: asked for.
        taken_in: by names and the like.
        least_in: what is drawn needs.

    Returns:
        What was asked for, or more in two columns where that is too little; in one column None.
    """
    if width_in - taken_in >= least_in:
        return width_in
    return None if width_in < TWO_COLUMNS_IN else taken_in + least_in


def headline(figure: Figure, title: str, subtitle: str, *, phantom: bool) -> None:
    """Write title and subtitle at the top left and, on phantoms, the warning beside them.

    Text that would not fit is set smaller.
    """
    width_in, height_in = figure.get_size_inches()
    narrow = width_in < 5.5
    edge_in = 0.06
    room_in = width_in - 2 * edge_in - (0.0 if not phantom else 0.72 if narrow else 2.0)
    lines = (
        (title, 0.06, 8.5, "bold", "black", room_in),
        (subtitle, 0.235, 6.5, "normal", "#444444", width_in - 2 * edge_in),
    )
    for text, down_in, size, weight, colour, available_in in lines:
        # DejaVu's mean advance is 0.55 of its size, and 0.61 in bold.
        needed_in = len(text) * size * (0.61 if weight == "bold" else 0.55) / 72
        figure.text(
            edge_in / width_in,
            1 - down_in / height_in,
            text,
            ha="left",
            va="top",
            fontsize=size * min(1.0, available_in / needed_in),
            fontweight=weight,
            color=colour,
        )
    if phantom:
        figure.text(
            1 - edge_in / width_in,
            1 - 0.06 / height_in,
            "PHANTOM" if narrow else "PHANTOM: synthetic hearts, not patients",
            ha="right",
            va="top",
            fontsize=6.5,
            color="white",
            bbox={"boxstyle": "round,pad=0.25", "facecolor": PHANTOM_COLOUR, "edgecolor": "none"},
        )


def save(figure: Figure, folder: Path, stem: str, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write the figure as PNG (300 dpi), SVG and PDF; equal figures give equal bytes.

    Returns:
        The paths, one per format.
    """
    from benchmark.report.raster import write_png

    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / f"{stem}.{kind}" for kind in formats}
    if {"png", "pdf"} & paths.keys():
        pdf = io.BytesIO()
        # Dates and versions of the writer would make the same figure differ from day to day.
        figure.savefig(
            pdf, format="pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None}
        )
    if "png" in paths:
        write_png(pdf.getvalue(), paths["png"])
    if "pdf" in paths:
        paths["pdf"].write_bytes(pdf.getvalue())
    if "svg" in paths:
        figure.savefig(paths["svg"], format="svg", metadata={"Date": None, "Creator": None})
    return list(paths.values())


def legend_columns(labels: Sequence[str], width_in: float) -> int:
    """How many entries of a legend stand beside each other; 0 without entries."""
    if not labels:
        return 0
    # 7 pt DejaVu takes 0.056 in per character on average; handle and gaps take the rest.
    widths_in = [0.056 * len(label) + 0.48 for label in labels]
    if sum(widths_in) <= width_in:
        return len(labels)
    fitting = max(1, int(width_in / max(widths_in)))
    rows = -(-len(labels) // fitting)
    return -(-len(labels) // rows)


def legend_height_in(labels: Sequence[str], width_in: float) -> float:
    """Height of :func:`bottom_legend`, to be left free below the axes."""
    columns = legend_columns(labels, width_in)
    return 0.06 + 0.145 * (-(-len(labels) // columns) if columns else 0)


def remarks(texts: Sequence[str]) -> list[Any]:
    """Entries of a legend that are words alone."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], linestyle="none", label=text) for text in texts]


def remark(figure: Figure, height: float, text: str) -> None:
    """Small sentences in the middle of a figure, centred at a part of its height.

    They explain marks, and are as many lines as their width asks for.
    """
    lines = _remark_lines(text, float(figure.get_size_inches()[0]))
    figure.text(
        0.5, height, "\n".join(lines), ha="center", va="center", fontsize=6.2, color="#444444",
        linespacing=1.2,
    )  # fmt: skip


def remark_height_in(text: str, width_in: float) -> float:
    """Height that :func:`remark` takes, to be left free above the legend."""
    return 0.08 + 0.11 * len(_remark_lines(text, width_in))


def _remark_lines(text: str, width_in: float) -> list[str]:
    """Lines that fit the width, broken between the sentences."""
    lines: list[str] = []
    for part in text.split(" · "):
        joined = f"{lines[-1]} · {part}" if lines else part
        # DejaVu's mean advance is 0.55 of its size.
        if lines and len(joined) * 0.55 * 6.2 / 72 <= width_in - 0.1:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines


def bottom_legend(figure: Figure, handles: Sequence[Any]) -> None:
    """One legend for the whole figure, along its lower edge."""
    if not handles:
        return
    labels = [str(handle.get_label()) for handle in handles]
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=legend_columns(labels, float(figure.get_size_inches()[0])),
        handlelength=2.3,
        columnspacing=1.4,
        labelspacing=0.35,
        borderpad=0.1,
        borderaxespad=0.2,
    )


def panels(
    handles: Sequence[Any],
    *,
    axes_height_in: float,
    left_in: Sequence[float],
    width_in: Sequence[float],
    labels_in: float,
    below_in: float = 0.0,
    total_in: float = TWO_COLUMNS_IN,
    stacked: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure with axes side by side or one below the other, headline and legend left free.

    Everything is measured in inches and the height grows with the legend: an automatic layout
    would cost more time than drawing, and make axes of different figures differ in size.

    Args:
        handles: of the legend.
        axes_height_in: height of the axes.
        left_in: left edge of each axes.
        width_in: width of each axes.
        labels_in: room below each axes for tick labels and axis label.
        below_in: room between the lowest of them and the legend, for remarks.
        total_in: width of the figure.
        stacked: whether axes stand below each other.
    """
    labels = [str(handle.get_label()) for handle in handles]
    bottom_in = legend_height_in(labels, total_in) + below_in + labels_in
    step_in = axes_height_in + labels_in
    above = len(left_in) - 1 if stacked else 0
    height_in = bottom_in + above * step_in + axes_height_in + 0.52
    figure = new_figure(total_in, height_in)
    axes = [
        figure.add_axes(
            (
                left / total_in,
                (bottom_in + (above - place if stacked else 0) * step_in) / height_in,
                width / total_in,
                axes_height_in / height_in,
            )
        )
        for place, (left, width) in enumerate(zip(left_in, width_in, strict=True))
    ]
    return figure, axes
