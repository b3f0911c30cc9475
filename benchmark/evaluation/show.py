"""The scores of two folders as a person reads them."""

from __future__ import annotations

import math

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from benchmark.evaluation.cases import foreground_mean
from benchmark.evaluation.folders import FolderScores
from benchmark.evaluation.metrics import METRICS
from benchmark.evaluation.quantities import METHODS, QUANTITIES, tell
from benchmark.statistics.agreement import agreement

_SHOWN = ("dice", "iou", "hd_mm", "hd95_mm", "assd_mm", "nsd", "volume_error_ml")
_NAMED = 10  # files that a note lists


def show_scores(
    scores: FolderScores, out: Console, *, definition: str, tolerance_mm: float, skipped: bool
) -> None:
    """Print means per class, the agreement of clinical endpoints, and what was left out.

    Args:
        scores: From `benchmark.evaluation.folders.score_folders`.
        out: Where to.
        definition: The definition of surface distances that was used.
        tolerance_mm: The tolerance of NSD that was used.
        skipped: Whether cases without a prediction were left out.
    """
    out.print(_table(scores, definition, tolerance_mm))
    if scores.clinical:
        out.print(_clinical(pd.DataFrame(scores.clinical), origin(scores.source, scores.release)))
    _notes(scores, out, skipped=skipped)


def _table(scores: FolderScores, definition: str, tolerance_mm: float) -> Table:
    """Means over cases per class and region, over the classes together, and how many count."""
    frame = pd.DataFrame(scores.rows)
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", caption_justify="left",
        title=plural(frame["case"].nunique(), "case") + origin(scores.source, scores.release),
        caption=f"Means over cases. Surfaces: {definition}; NSD at {tolerance_mm:g} mm. Scored: in "
        "truth and prediction. Excluded: in neither. Failed: missed or invented (overlap 0, "
        "distance = image diagonal).",
    )  # fmt: skip
    table.add_column("Class", no_wrap=True)
    for name in _SHOWN:
        unit = f" ({METRICS[name].unit})" if METRICS[name].unit else ""
        table.add_column(f"{METRICS[name].title}{unit}", justify="right")
    for heading in ("Scored", "Excluded", "Failed"):
        table.add_column(heading, justify="right", min_width=len(heading))
    counted = frame["kind"] == "class"
    for name in frame["class"].unique():
        rows = frame[frame["class"] == name]
        kind = "" if rows["kind"].iloc[0] == "class" else " (region)"
        means = [float(rows[metric].mean()) for metric in _SHOWN]
        table.add_row(f"{name}{kind}", *map(_number, means), *_counts(rows["outcome"]))
    if counted.sum() > counted.groupby(frame["case"]).any().sum():
        means = [foreground_mean(scores.rows, metric) for metric in _SHOWN]
        outcomes = frame.loc[counted, "outcome"]
        table.add_section()
        table.add_row("mean of classes", *map(_number, means), *_counts(outcomes), style="bold")
    return table


def origin(source: str, release: str) -> str:
    """What a heading adds where numbers are not those of the official release."""
    if source == "phantom":
        return " (phantom: synthetic hearts)"
    return f" ({release})" if release else ""


def _clinical(frame: pd.DataFrame, origin: str) -> Table:
    """Agreement over patients of every endpoint."""
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", caption_justify="left",
        title=f"Clinical endpoints of {plural(frame['patient'].nunique(), 'patient')}{origin}",
        caption="Prediction minus reference over patients; limits of agreement are bias ± 1.96 SD. "
        "Failed: not measurable in the prediction. Excluded: not in the reference.",
    )  # fmt: skip
    for heading in ("Endpoint", "Method"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Bias", "Limits of agreement", "MAE", "Unit", "r", "n", "Failed", "Excluded"):
        table.add_column(heading, justify="right")
    for key, rows in frame.groupby(["method", "endpoint", "unit"], sort=False):
        method, endpoint, unit = map(str, key)
        found = agreement(rows["truth"].to_numpy(), rows["prediction"].to_numpy())
        limits = f"{tell(endpoint, found.limit_low)} to {tell(endpoint, found.limit_high)}"
        counts = (found.n_valid, found.n_failed, found.n_excluded)
        table.add_row(
            QUANTITIES[endpoint].title, METHODS[method], tell(endpoint, found.bias),
            "—" if math.isnan(found.sd) else limits,
            tell(endpoint, found.mae), unit, _number(found.pearson_r), *map(str, counts),
        )  # fmt: skip
    return table


def _counts(outcomes: pd.Series[str]) -> tuple[str, str, str]:
    scored, excluded = ((outcomes == name).sum() for name in ("scored", "both_empty"))
    return str(scored), str(excluded), str(len(outcomes) - scored - excluded)


def _number(value: float) -> str:
    return "—" if math.isnan(value) else f"{value:.4f}"


def plural(number: int, noun: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{number} {noun}{'s' * (number != 1)}"


def _notes(scores: FolderScores, out: Console, *, skipped: bool) -> None:
    def tell(text: str, names: list[str]) -> None:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        out.print(f"{text}: {', '.join(names[:_NAMED])}{more}.",
                  style="yellow", markup=False, soft_wrap=True)  # fmt: skip

    if scores.missing:
        how = "left out" if skipped else "counted as missed"
        count = plural(len(scores.missing), "case")
        tell(f"warning: {count} without a prediction, {how}", scores.missing)
    if scores.unused:
        count = plural(len(scores.unused), "prediction")
        names = [path.name for path in scores.unused]
        tell(f"warning: {count} without a truth, not scored", names)
    if scores.ignored:
        tell("Not scored, because --classes does not name it: label", [*map(str, scores.ignored)])
    if scores.unplaced:
        count = plural(len(scores.unplaced), "case")
        tell(f"No clinical endpoints of {count}, whose names do not tell patient and phase as those"
             " of the dataset do", scores.unplaced)  # fmt: skip
    if scores.unannotated:
        tell("Not scored, because no true mask shows it", scores.unannotated)
