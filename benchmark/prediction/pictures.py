"""What a person looks at: the outlines on the image, and the volume curve of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmark.data.preprocessing import Array, Labels
from benchmark.prediction.cine import Curve
from benchmark.prediction.scan import Scan
from benchmark.report import layout, style
from benchmark.report.figures.case import Picture, draw

_DPI = 150


def draw_overlay(
    path: Path,
    scan: Scan,
    image: Array,
    mask: Labels,
    classes: Mapping[str, int],
    *,
    title: str,
    model: str,
    phantom: bool,
) -> None:
    """Draw a frame with the outlines of its mask, lying as the training images do.

    Args:
        path: The PNG; its folder is made.
        scan: The image.
        image: The frame.
        mask: Its label map, of the same shape.
        classes: Label by name.
        title: First line of the heading.
        model: What predicted it.
        phantom: Whether the image is synthetic.
    """
    import matplotlib as mpl

    picture = Picture(image, mask, scan.spacing_mm, classes, title=title,
                      subtitle=f"predicted by {model}", phantom=phantom)  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(dict(layout.RC)):
        draw(picture).savefig(path, format="png", dpi=_DPI, metadata={"Software": None})


def draw_curve(
    path: Path,
    sizes: Mapping[str, Curve],
    phases: Mapping[int, str],
    *,
    times_s: Curve | None,
    label: str,
    title: str,
    model: str,
    phantom: bool,
) -> None:
    """Draw the size of each structure over the frames of a sequence, with ED and ES marked.

    Args:
        path: The PNG; its folder is made.
        sizes: Of each structure, one value per frame.
        phases: ``ED`` and ``ES`` by frame, from 0.
        times_s: When each frame was taken; None where it is not known.
        label: Quantity and unit of the sizes.
        title: First line of the heading.
        model: What predicted it.
        phantom: Whether the images are synthetic.
    """
    import matplotlib as mpl
    from matplotlib.lines import Line2D

    frames = len(next(iter(sizes.values())))
    across = np.arange(1, frames + 1) if times_s is None else 1000 * times_s
    colours = {name: _dark(colour) for name, colour in style.class_colours(sizes).items()}
    with mpl.rc_context(dict(layout.RC)):
        handles = [Line2D([], [], color=colours[name], label=style.words(name)) for name in sizes]
        figure, (axes,) = layout.panels(
            handles, axes_height_in=2.2, left_in=[0.6], width_in=[6.4], labels_in=0.4
        )
        for name, values in sizes.items():
            axes.plot(across, values, color=colours[name], marker="o", markersize=2.5)
        for frame, phase in phases.items():
            axes.axvline(across[frame], color="#444444", linewidth=0.8, linestyle="--")
            late = frame > frames / 2  # beyond the middle, there is room on the left
            axes.annotate(
                f"{phase} (frame {frame + 1})",
                (across[frame], 1),
                xycoords=("data", "axes fraction"),
                xytext=(-2 if late else 2, -2),
                textcoords="offset points",
                ha="right" if late else "left",
                va="top",
                fontsize=6.5,
            )
        axes.set_ylim(bottom=0)
        axes.set_xlabel("frame" if times_s is None else "time (ms)")
        axes.set_ylabel(label)
        layout.bottom_legend(figure, handles)
        layout.headline(figure, title, f"predicted by {model}", phantom=phantom)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", dpi=_DPI, metadata={"Software": None})


def _dark(colour: str) -> str:
    """A colour that was chosen for outlines on a dark image, for a line on white."""
    return "#" + "".join(f"{round(255 * 0.72 * part):02x}" for part in style.rgb(colour))
