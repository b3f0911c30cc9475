"""Tuned recipes in a report: a track of their own, and the search's cost beside every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.report.groups import Group, Run

TITLE = "tuned recipes"


def mark(runs: Sequence[Run]) -> str:
    """What stands beside the name of an architecture: ``tuned, 20 trials, 1.2 h``.

    A row of several folds has a search for each, and their costs add up.
    """
    trials, cost_s = cost(runs)
    return f"tuned, {trials} trial{'s' * (trials != 1)}, {amount(cost_s)}" if trials else ""


def cost(runs: Sequence[Run]) -> tuple[int, float]:
    """Trials of all searches behind some runs, and the seconds they took."""
    searches: dict[str, Mapping[str, Any]] = {
        str(run.tuned["study"]): run.tuned for run in runs if run.tuned
    }
    return (
        sum(int(each["trials"]) for each in searches.values()),
        sum(float(each["cost_s"]) for each in searches.values()),
    )


def rows_of(runs: Sequence[Run]) -> list[list[Run]]:
    """Split the tuned runs of an architecture into rows: one, unless a fold was tuned twice."""
    studies = {(run.fold, str(run.tuned["study"])) for run in runs}
    if len(studies) == len({fold for fold, _ in studies}):
        return [list(runs)]
    names = dict.fromkeys(str(run.tuned["study"]) for run in runs)
    return [[run for run in runs if run.tuned["study"] == name] for name in names]


def notes(group: Group) -> list[str]:
    """What a reader must know of a group of tuned recipes."""
    if not group.tuned:
        return []
    return [
        "Tuned: loss, optimiser, augmentation or options of each such row were searched for on the "
        "validation patients of its own fold; no test case was read. Trials and time of the search "
        "stand beside the name and are not in the training time. Rows with other searches had "
        "other chances."
    ]


def amount(seconds: float) -> str:
    """A time as ``45 s``, ``12 min`` or ``1.2 h``."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3570 else f"{seconds / 3600:.1f} h"
