"""Time to Dice: the best validation Dice so far against seconds of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import DIGITS
from benchmark.report.material import Material
from benchmark.report.numerals import NOTHING, duration
from benchmark.report.site.charts import parts
from benchmark.report.site.charts.training import epochs_of, lines_spec
from benchmark.report.standings import Name

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9)

# Seconds of one run's epochs, and the best Dice until each.
Steps = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def best_so_far(epochs: pd.DataFrame) -> list[Steps]:
    """Of every run of a row the times (s) at which it was validated, and its best Dice by then.

    Dice is rounded as it is printed: what a reader sees as 0.800 has reached 0.8.
    """
    known = epochs.dropna(subset=["elapsed_s", "validation_dice"]).sort_values("elapsed_s")
    return [
        (
            run["elapsed_s"].to_numpy(dtype=float),
            np.maximum.accumulate(run["validation_dice"].to_numpy(dtype=float).round(DIGITS)),
        )
        for _, run in known.groupby("run", sort=True)
    ]


def seconds_to(steps: Sequence[Steps], threshold: float) -> float | None:
    """When more than half of the runs had reached a Dice; None where they never did."""
    times = sorted(
        float(seconds[np.argmax(dice >= threshold)]) if dice[-1] >= threshold else np.inf
        for seconds, dice in steps
    )
    found = times[len(times) // 2]
    return found if np.isfinite(found) else None


def held(steps: Sequence[Steps], at_s: Sequence[float]) -> npt.NDArray[np.float64]:
    """What the runs have reached at some times.

    Returns:
        ``(3, times)``: the Dice that more than half of the runs have, so that this line crosses a
        threshold just at :func:`seconds_to` it; that of the worst run and that of the best. NaN
        before the first validation of those runs. A run that ended keeps its best.
    """
    reached = np.array(
        [
            np.concatenate([[-np.inf], dice])[np.searchsorted(seconds, at_s, side="right")]
            for seconds, dice in steps
        ]
    )
    ordered = np.sort(reached, axis=0)[::-1]
    found = np.stack([ordered[len(steps) // 2], ordered[-1], ordered[0]])
    return np.where(np.isfinite(found), found, np.nan)


def chart(material: Material, group: Group) -> dict[str, Any] | None:
    """The lines with the thresholds they reach, and a table of when; None without times."""
    steps = {name: found for name in group.names if (found := best_so_far(epochs_of(group, name)))}
    if not steps:
        return None
    names = list(steps)
    reached = {
        name: [seconds_to(found, threshold) for threshold in THRESHOLDS]
        for name, found in steps.items()
    }
    longest = max(float(seconds[-1]) for found in steps.values() for seconds, _ in found)
    unit, unit_name = _unit(longest)
    limit = parts.most_points(len(names))
    rows: list[Sequence[float | None]] = []
    thinned = False
    for index, name in enumerate(names):
        mine, fewer = _rows(index, steps[name], reached[name], limit, unit)
        rows += mine
        thinned |= fewer
    top = max(float(dice[-1]) for found in steps.values() for _, dice in found)
    y = {
        "type": "quantitative",
        "title": "best validation Dice so far",
        "scale": {"domain": [0, round(min(1.0, max(0.1, 1.06 * top)), DIGITS)]},
    }
    spec = lines_spec(
        material,
        names,
        rows,
        x={"type": "quantitative", "title": f"training time ({unit_name})",
           "scale": {"domain": [0, float(f"{1.02 * longest / unit:.4g}")], "nice": False}},
        y=y,
        step=True,
        said=[parts.number_line("x", f"Training time ({unit_name})", ".3~r"),
              parts.number_line("y", "Best validation Dice so far", f".{DIGITS}f")],
        band=any(len(found) > 1 for found in steps.values()),
    )  # fmt: skip
    crossed = [
        threshold
        for place, threshold in enumerate(THRESHOLDS)
        if any(times[place] is not None for times in reached.values())
    ]
    rules = {
        "data": {"values": [{"y": threshold} for threshold in crossed]},
        "mark": {"type": "rule", "style": "threshold", "tooltip": None},
        "encoding": {"y": {**y, "field": "y"}},
    }
    # The transform that names rows is of no use to thresholds, and would be inherited.
    spec = {"layer": [rules, spec]}
    drawn = parts.chart(
        f"clock-{group.slug}",
        f"{group.title}: time to Dice",
        group.subtitle,
        _description(names, reached, steps, limit if thinned else None),
        spec,
        phantom=group.phantom,
    )
    return drawn | {"table": _table(names, reached, steps)}


def _rows(
    index: int, steps: Sequence[Steps], times: Sequence[float | None], limit: int, unit: float
) -> tuple[list[Sequence[float | None]], bool]:
    """Points of a line, and whether some of its steps were left out."""
    every = np.unique(np.concatenate([seconds for seconds, _ in steps]))
    crossings = {time for time in times if time is not None}
    # The line is a stair: where nothing rises no point is needed.
    stairs = held(steps, every.tolist())
    rises = (np.diff(np.nan_to_num(stairs, nan=-1.0), axis=1) != 0).any(axis=0)
    every = every[np.concatenate([[True], rises])]
    most = limit - len(THRESHOLDS) - 1
    chosen = {float(every[place]) for place in parts.spread_indices(len(every), most)}
    chosen.add(max(float(seconds[-1]) for seconds, _ in steps))
    at_s = sorted(chosen | crossings)
    middle, low, high = held(steps, at_s)
    band = len(steps) > 1
    points: list[Sequence[float | None]] = [
        (
            index,
            float(f"{time / unit:.4g}"),
            parts.plain(middle[place], DIGITS),
            parts.plain(low[place], DIGITS) if band else None,
            parts.plain(high[place], DIGITS) if band else None,
            1 if time in crossings or place == len(at_s) - 1 else None,
        )
        for place, time in enumerate(at_s)
    ]
    return points, len(every) > most


def _unit(longest_s: float) -> tuple[float, str]:
    if longest_s > 3 * 3600:
        return 3600.0, "h"
    return (60.0, "min") if longest_s >= 180 else (1.0, "s")


def _table(
    names: Sequence[Name],
    reached: dict[Name, list[float | None]],
    steps: dict[Name, list[Steps]],
) -> dict[str, Any]:
    return {
        "caption": "Training time until more than half of the runs had this validation Dice",
        "thresholds": list(THRESHOLDS),
        "rows": [
            {
                "id": row_title(*name),
                "runs": len(steps[name]),
                "texts": [NOTHING if time is None else duration(time) for time in reached[name]],
            }
            for name in names
        ],
    }


def _description(
    names: Sequence[Name],
    reached: dict[Name, list[float | None]],
    steps: dict[Name, list[Steps]],
    limit: int | None,
) -> str:
    """The chart in words; a limit is that of points on a line, where some were left out."""
    told = []
    for name in names:
        best, place = max(
            (threshold, place)
            for place, threshold in enumerate((0.0, *THRESHOLDS))
            if place == 0 or reached[name][place - 1] is not None
        )
        time = reached[name][place - 1] if place else None
        end = max(float(dice[-1]) for _, dice in steps[name])
        told.append(
            f"{row_title(*name)} {best:g} after {duration(time)}" if time is not None
            else f"{row_title(*name)} none of them (best {end:.{DIGITS}f})"
        )  # fmt: skip
    thresholds = ", ".join(f"{threshold:g}" for threshold in THRESHOLDS)
    return (
        f"Best validation Dice so far against training time, where more than half of the runs are "
        f"there; bands are the range of runs, dashed lines the thresholds. Highest of {thresholds} "
        f"reached: {', '.join(told)}."
        + (f" A line shows at most {limit} of its steps." if limit else "")
    )
