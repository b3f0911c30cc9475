"""Dice of every case, per class, by architecture: boxes with the points they summarise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmark.report import layout, style
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import case_scores, class_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MANY_POINTS = 1500
_SIZES = {"^": 1.5, "v": 1.5, "D": 0.9}  # markers of equal area look unequal
_ALL = "all classes"
_APART = 0.18  # of a cluster, before those of regions


def draw(
    group: Group,
    looks: Mapping[tuple[str, str], style.Look],
    tiers: Mapping[tuple[str, str], int] = MappingProxyType({}),
) -> Figure | None:
    """One cluster of boxes per class and one for the mean of a case; None without scores.

    Regions (unions of classes) stand apart on a grey ground: they are part of no mean.

    Boxes hold the middle half of the cases, whiskers reach the furthest case within 1.5 times
    the box's height (Tukey 1977). Cases whose structure was missed or invented have Dice 0; so as
    not to flatten the boxes they stand as crosses in a strip below the axis' range. The legend
    tells the tier of what has one.
    """
    points = _points(group)
    if points.empty:
        return None
    names = [name for name in group.names if (points["name"] == name).any()]
    clusters = list(dict.fromkeys(points["cluster"]))
    regions = [name for name in clusters if name in group.region_names]
    first_region = len(clusters) - len(regions)
    places = [position + _APART * (position >= first_region) for position in range(len(clusters))]
    low = _lower_limit(points)
    strip = 0.13 * (1 - low) if low > 0 and points["zero"].any() else 0.0
    handles = _handles(group, names, looks, tiers, crosses=bool(strip))
    figure, (axes,) = layout.panels(
        handles, axes_height_in=2.05, left_in=(0.54,), width_in=(6.58,), labels_in=0.33
    )
    width = min(0.3, 0.82 / len(names))
    for position, cluster in zip(places, clusters, strict=True):
        for index, name in enumerate(names):
            chosen = points[(points["cluster"] == cluster) & (points["name"] == name)]
            centre = position + (index - (len(names) - 1) / 2) * width
            _box(axes, chosen, centre, width, looks[name])
            _crosses(axes, chosen, centre, width, looks[name], low - 0.6 * strip, len(points))
    if strip:
        axes.axhline(low, color="#888888", linewidth=0.6, linestyle=(0, (4, 3)))
    axes.set_ylim(low - strip, 1.005)
    ticks = [tick for tick in axes.get_yticks() if low - 1e-9 <= tick <= 1]
    extra = [low - 0.6 * strip] if strip else []
    axes.set_yticks(extra + ticks, ["0"] * len(extra) + [f"{tick:.3g}" for tick in ticks])
    axes.set_xlim(-0.5, places[-1] + 0.5)
    axes.set_xticks(
        places,
        [
            f"{style.words(cluster)}{' (union)' * (cluster in regions)}\n{_count(points, cluster)}"
            for cluster in clusters
        ],
    )
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    for edge in (place - 0.5 for place in places[1:first_region]):
        axes.axvline(edge, color="#cccccc", linewidth=0.6)
    if regions:
        begin = places[first_region] - 0.5
        axes.axvspan(begin, places[-1] + 0.5, color="#f3f3f3", zorder=0, linewidth=0)
        axes.axvline(begin - _APART / 2, color="#888888", linewidth=0.8)
    axes.set_ylabel("Dice per case")
    layout.bottom_legend(figure, handles)
    layout.headline(figure, f"{group.title}: Dice by class", group.subtitle, phantom=group.phantom)
    return figure


def _points(group: Group) -> pd.DataFrame:
    """One row per architecture, cluster and case: ``name, cluster, dice, zero``."""
    classes = class_scores(group.cases)
    means = case_scores(group.cases).assign(**{"class": _ALL}, failed=False)
    parts = [classes[classes["class"] == name] for name in group.classes]
    if len(group.classes) != 1:
        parts.append(means)
    if len(group.regions):
        unions = class_scores(group.regions)
        parts += [unions[unions["class"] == name] for name in group.region_names]
    frame = pd.concat([part for part in parts if not part.empty] or [means], ignore_index=True)
    return pd.DataFrame(
        {
            "name": list(zip(frame["architecture"], frame["variant"], strict=True)),
            "cluster": frame["class"].to_numpy(),
            "dice": frame["dice"].to_numpy(dtype=float),
            "zero": frame["dice"].to_numpy(dtype=float) == 0,
        }
    )


def _lower_limit(points: pd.DataFrame) -> float:
    """A tenth below the worst case that has any overlap."""
    shown = points.loc[~points["zero"], "dice"]
    smallest = shown.min() if len(shown) else 0.0
    return float(min(0.8, max(0.0, math.floor((smallest - 0.01) * 10) / 10)))


def _box(axes: Axes, chosen: pd.DataFrame, centre: float, width: float, look: style.Look) -> None:
    if chosen.empty:
        return
    axes.boxplot(
        [chosen["dice"].to_numpy()],
        positions=[centre],
        widths=0.72 * width,
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={
            "facecolor": style.lighter(look.colour, 0.7),
            "edgecolor": look.colour,
            "hatch": look.hatch,
            "linewidth": 0.9,
        },
        medianprops={"color": "black", "linewidth": 1.2, "solid_capstyle": "butt"},
        whiskerprops={"color": look.colour, "linewidth": 0.9},
        capprops={"color": look.colour, "linewidth": 0.9},
        zorder=2,
    )


def _crosses(
    axes: Axes,
    chosen: pd.DataFrame,
    centre: float,
    width: float,
    look: style.Look,
    bottom: float,
    total: int,
) -> None:
    """The cases themselves; a golden-ratio sequence spreads them evenly without chance."""
    fractions = (np.arange(len(chosen)) * 0.6180339887) % 1 - 0.5
    across = centre + 0.5 * width * fractions
    zero = chosen["zero"].to_numpy(dtype=bool)
    heights = np.where(zero, bottom, chosen["dice"].to_numpy(dtype=float))
    common: dict[str, Any] = {"zorder": 3, "rasterized": total > _MANY_POINTS, "clip_on": False}
    axes.scatter(
        across[~zero],
        heights[~zero],
        s=_SIZES.get(look.marker, 1.0) * (5 if total <= _MANY_POINTS else 2.5),
        marker=look.marker,
        color=look.colour,
        edgecolor="white",
        linewidth=0.25,
        alpha=0.85,
        **common,
    )
    axes.scatter(
        across[zero], heights[zero], s=12, marker="x", color=look.colour, linewidth=0.9, **common
    )


def _count(points: pd.DataFrame, cluster: str) -> str:
    counts = points[points["cluster"] == cluster].groupby("name").size()
    low, high = counts.min(), counts.max()
    return f"n = {low} cases" if low == high else f"n = {low}–{high} cases"


def _handles(
    group: Group,
    names: list[tuple[str, str]],
    looks: Mapping[tuple[str, str], style.Look],
    tiers: Mapping[tuple[str, str], int],
    *,
    crosses: bool,
) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(
            facecolor=style.lighter(looks[name].colour, 0.7),
            edgecolor=looks[name].colour,
            hatch=looks[name].hatch,
            linewidth=0.9,
            label=row_title(*name) + (f" (tier {tiers[name]})" if name in tiers else ""),
        )
        for name in names
    ]
    handles += layout.remarks(group.failures)
    if crosses:
        handles.append(
            Line2D(
                [],
                [],
                linestyle="none",
                marker="x",
                color="#444444",
                markersize=4,
                label="missed or invented (Dice 0)",
            )
        )
    return handles
