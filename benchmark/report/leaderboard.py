"""The leaderboard as one frame of plain numbers, from which every table is written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.report import tuned
from benchmark.report.groups import OK, Group, Run
from benchmark.report.standings import row_key, spread, standings
from benchmark.statistics.comparison import bootstrap_mean

DIGITS = 3  # of Dice and IoU; ranks are decided on what the reader can see
HD95_DIGITS = 1
DRAWS = 10_000
PARTIAL = "partial"

_SCORES = ("dice", "iou", "hd95_mm", "nsd")
FAILED_OUTCOMES = ("missed", "spurious")


def leaderboard(groups: Sequence[Group], *, seed: int = 0) -> pd.DataFrame:
    """One row per architecture and group, and one more for each run that failed.

    A case's score is the mean over its scored classes; a case is averaged over the runs (seeds)
    that tested it, a patient over its cases, and an architecture over its patients. The interval
    is a 95 % percentile bootstrap over patients. A row is ranked, best Dice first and equal
    rounded Dice sharing a rank, only if none of its runs failed and it was tested on every case
    that the group's other rows were tested on, scored or rightly left empty: otherwise its mean
    is over other patients than theirs, its status is ``partial``, and its rank is empty. Ranked
    rows have a tier, a rank interval and a probability of being best where there are two or more,
    on two patients or more.

    Args:
        groups: from :func:`benchmark.report.groups.comparison_groups`.
        seed: of the bootstrap; the same for all rows, so that rows over the same patients are
            resampled alike.

    Returns:
        The frame, with machine names and full precision. ``dice_<class>`` exists for every class
        and region of any group, ``hd95_mm`` and ``nsd`` where the cases have them.
    """
    rows: list[dict[str, Any]] = []
    for group in groups:
        rows += _group_rows(group, seed=seed)
    columns = _columns(groups)
    frame = pd.DataFrame(rows, columns=columns)
    counts = [name for name in _COUNTS if name in frame]
    whole = ["tier", "rank", "rank_low", "rank_high", "tuning_trials", *counts]
    frame[whole] = frame[whole].astype("Int64")
    return frame


def case_scores(cases: pd.DataFrame) -> pd.DataFrame:
    """Mean foreground scores of each case.

    Returns:
        Columns ``architecture, variant, case, patient, dice, iou`` and, where present,
        ``hd95_mm`` and ``nsd``: the mean over the scored classes of a run, then over the runs.
    """
    names = [name for name in _SCORES if name in cases]
    keys = ["architecture", "variant", "case", "patient"]
    if cases.empty:
        return pd.DataFrame(columns=[*keys, *names])
    finite = cases[[*keys, "run", *names]].replace([np.inf, -np.inf], np.nan)
    per_run = finite.groupby([*keys, "run"], sort=True)[names].mean()
    return per_run.groupby(level=keys, sort=True).mean().dropna(subset=["dice"]).reset_index()


def class_scores(cases: pd.DataFrame) -> pd.DataFrame:
    """Dice of each case and class, averaged over the runs that tested it.

    Returns:
        Columns ``architecture, variant, class, case, patient, dice, failed``; ``failed`` tells
        that some run missed the class altogether or invented it. Classes that are empty in truth
        and prediction have no row.
    """
    keys = ["architecture", "variant", "class", "case", "patient"]
    scored = cases[cases["dice"].notna()]
    if scored.empty:
        return pd.DataFrame(columns=[*keys, "dice", "failed"])
    marked = scored.assign(failed=scored["outcome"].isin(FAILED_OUTCOMES))
    grouped = marked.groupby(keys, sort=True)
    return grouped.agg(dice=("dice", "mean"), failed=("failed", "max")).reset_index()


def patient_means(scores: pd.DataFrame, column: str) -> pd.Series[float]:
    """The mean of each patient's cases, sorted by patient; those without a value are left out."""
    return scores.groupby("patient", sort=True)[column].mean().dropna()


def rounded_ranks(values: Sequence[float], *, digits: int, best: str) -> list[float]:
    """Ranks (1 is best) of values rounded first; equal ones share the better rank; NaN has none.

    Args:
        values: the scores.
        digits: decimals that count.
        best: ``"high"`` or ``"low"``.
    """
    series = pd.Series(list(values), dtype=float).round(digits)
    return [float(rank) for rank in series.rank(method="min", ascending=best == "low")]


_COUNTS = ("seeds", "folds", "runs", "patients", "cases", "scored", "excluded", "failed")


def _columns(groups: Sequence[Group]) -> list[str]:
    classes = sorted({name for group in groups for name in group.classes})
    regions = sorted({name for group in groups for name in group.region_names})
    surface = [name for name in ("hd95_mm", "nsd") if any(name in group.cases for group in groups)]
    return [
        *(
            "dataset",
            "source",
            "release",
            "protocol_hash",
            "profile",
            "architecture",
            "variant",
            "status",
        ),
        *("tier", "rank", "rank_low", "rank_high", "p_best"),
        *("dice", "dice_low", "dice_high", "seed_sd", "fold_sd", "iou"),
        *(f"dice_{name}" for name in (*classes, *regions)),
        *surface,
        *("parameters", "gmacs", "train_s", "energy_j", "energy_of"),
        *("inference_ms", "latency_ms", "throughput_per_s", "throughput_batch"),
        *("peak_rss_mib", "peak_device_mib"),
        *("device", "precision", "tuning_trials", "tuning_s"),
        *_COUNTS,
        *("unannotated_classes", "fold", "seed", "run", "error"),
    ]


def _group_rows(group: Group, *, seed: int) -> list[dict[str, Any]]:
    per_case = case_scores(group.cases)
    per_class = class_scores(pd.concat([group.cases, group.regions]))
    rows, failures = [], []
    for name in group.names:
        runs = group.of(name)
        mine = _only(per_case, name)
        failed = [run for run in runs if not run.ok]
        if len(failed) < len(runs):
            row = _scored_row(group, name, mine, _only(per_class, name), seed=seed)
            rivals = [run.name for run in group.runs if run.protocol_hash == runs[0].protocol_hash]
            complete = not failed and _cases(group, [name]) == _cases(group, rivals)
            row["status"] = OK if complete else PARTIAL
            rows.append(row)
        failures += [_failed_row(group, run) for run in failed]
    _rank(group, per_case, rows, seed=seed)
    # Stable: rows that tie keep the order of the architectures, and so do rows that may not be
    # compared, whose order would otherwise read as a ranking.
    rows.sort(
        key=lambda row: (
            row["rank"] is None,
            row["rank"] or 0,
            row.get("tier") or 0,
            0 if group.mixed else -_or_zero(row["dice"]),
        )
    )
    return rows + failures


def _cases(group: Group, names: Iterable[tuple[str, str]]) -> set[str]:
    """Every case that some of these architectures were tested on.

    One that is empty in truth and prediction is among them, though it has no score.
    """
    # A set of a whole column takes a second for a hundred thousand rows.
    return set().union(
        *(_only(group.cases, name)["case"].unique() for name in dict.fromkeys(names))
    )


def _rank(
    group: Group, per_case: pd.DataFrame, rows: Sequence[dict[str, Any]], *, seed: int
) -> None:
    """Write into the complete rows where they stand; rows of mixed protocols stand nowhere."""
    ranks = rounded_ranks(
        [row["dice"] if row["status"] == OK and not group.mixed else math.nan for row in rows],
        digits=DIGITS,
        best="high",
    )
    for row, rank in zip(rows, ranks, strict=True):
        row["rank"] = None if math.isnan(rank) else int(rank)
    names = [(row["architecture"], row["variant"]) for row in rows if row["rank"] is not None]
    compared = standings(per_case, names, decimals=DIGITS, seed=seed)
    found = {one.name: one for one in compared.standings} if compared else {}
    for row in rows:
        one = found.get(row_key((row["architecture"], row["variant"])))
        if one:
            # The table's rank is over all patients of a row, the draws are over shared ones.
            low, high = min(row["rank"], one.rank_low), max(row["rank"], one.rank_high)
            row |= {"tier": one.tier, "rank_low": low, "rank_high": high, "p_best": one.p_best}


def _scored_row(
    group: Group, name: tuple[str, str], cases: pd.DataFrame, classes: pd.DataFrame, *, seed: int
) -> dict[str, Any]:
    runs = [run for run in group.of(name) if run.ok]
    rows = _only(group.cases, name)
    means = _run_means(runs, rows[rows["class"].isin(group.classes)])
    patients = patient_means(cases, "dice")
    row = _shared(group, runs[0]) | {
        "iou": patient_means(cases, "iou").mean(),
        "dice": math.nan,
        "seed_sd": spread(means, over="seed"),
        "fold_sd": spread(means, over="fold"),
        "parameters": runs[0].parameters,
        "gmacs": runs[0].gmacs,
        "train_s": _mean(run.timing.get("train_s") for run in runs),
        **_energy(runs),
        "inference_ms": _inference_ms(runs, rows),
        "latency_ms": _mean(run.timing.get("latency_ms_p50") for run in runs),
        "throughput_per_s": _mean(run.timing.get("throughput_per_s") for run in runs),
        "throughput_batch": _names(run.timing.get("throughput_batch") for run in runs),
        "device": _names(run.device.get("name") for run in runs),
        "precision": _names(run.device.get("precision") for run in runs),
        "peak_rss_mib": _largest(run.timing.get("peak_rss_mib") for run in runs),
        "peak_device_mib": _largest(run.timing.get("peak_device_mib") for run in runs),
        **_tuning(runs),
        "seeds": len({run.seed for run in runs}),
        "folds": len({run.fold for run in runs}),
        "runs": len(runs),
        "patients": len(patients),
        "cases": len(cases),
        "scored": int((rows["outcome"] == "scored").sum()),
        "excluded": int((rows["outcome"] == "both_empty").sum()),
        "failed": int(rows["outcome"].isin(FAILED_OUTCOMES).sum()),
    }
    if runs[0].external:  # not trained here, on no fold and with no seed that we know of
        row |= dict.fromkeys(("seeds", "folds", "runs"))
    if len(patients):
        interval = bootstrap_mean(patients.tolist(), seed=seed, draws=DRAWS, level=0.95)
        row |= {"dice": interval.mean, "dice_low": interval.low, "dice_high": interval.high}
    for metric in ("hd95_mm", "nsd"):
        if metric in cases:
            row[metric] = patient_means(cases, metric).mean()
    for label in (*group.classes, *group.region_names):
        of_class = classes[classes["class"] == label]
        row[f"dice_{label}"] = patient_means(of_class, "dice").mean()
    return row


def _tuning(runs: Sequence[Run]) -> dict[str, Any]:
    trials, seconds = tuned.cost(runs)
    return {"tuning_trials": trials, "tuning_s": seconds} if trials else {}


def _run_means(runs: Sequence[Run], rows: pd.DataFrame) -> dict[tuple[int, int], float]:
    """Mean Dice of each run, over classes, cases and patients, by fold and seed."""
    per_case = rows.groupby(["run", "patient", "case"])["dice"].mean()
    means = per_case.groupby(level=["run", "patient"]).mean().groupby(level="run").mean()
    return {(run.fold, run.seed): float(means.get(run.key, math.nan)) for run in runs}


def _failed_row(group: Group, run: Run) -> dict[str, Any]:
    return _shared(group, run) | {
        "status": run.status,
        "rank": None,
        "parameters": run.parameters,
        "runs": 1,
        "fold": str(run.fold),
        "seed": str(run.seed),
        "run": run.key,
        "error": (run.error or "").split("\n")[0],
    }


def _shared(group: Group, run: Run) -> dict[str, Any]:
    return {
        "dataset": group.dataset,
        "source": group.source,
        "release": run.release,
        "protocol_hash": run.protocol_hash,
        "profile": run.profile,
        "architecture": run.architecture,
        "variant": run.variant,
        "unannotated_classes": " ".join(group.unannotated),
    }


def _names(values: Iterable[Any]) -> str:
    """The distinct names that are known; more than one says that the runs differ."""
    return " ".join(sorted({str(value) for value in values if value}))


def _only(frame: pd.DataFrame, name: tuple[str, str]) -> pd.DataFrame:
    return frame[(frame["architecture"] == name[0]) & (frame["variant"] == name[1])]


def _inference_ms(runs: Sequence[Run], rows: pd.DataFrame) -> float:
    """Median time of a case: from the records, else from the rows of the cases."""
    recorded = _mean(run.timing.get("inference_ms_p50") for run in runs)
    if not math.isnan(recorded) or "inference_s" not in rows:
        return recorded
    per_case = rows.groupby(["run", "case"])["inference_s"].first()
    return float(1000 * per_case.median()) if len(per_case) else math.nan


def _energy(runs: Sequence[Run]) -> dict[str, Any]:
    """Mean energy of a training, and the devices it is that of; runs metered otherwise have none.

    What a GPU took and what a GPU and a processor took are different quantities.
    """
    metered = {
        tuple(
            name
            for name, kind in (("CPU", "train_cpu_j"), ("GPU", "train_gpu_j"))
            if run.energy.get(kind) is not None
        )
        for run in runs
    }
    if len(metered) > 1:
        return {"energy_j": math.nan, "energy_of": ""}
    joules = _mean(run.energy.get("train_j") for run in runs)
    return {"energy_j": joules, "energy_of": " ".join(*metered)}


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in values if value is not None and math.isfinite(value)]


def _mean(values: Any) -> float:
    numbers = _numbers(values)
    return sum(numbers) / len(numbers) if numbers else math.nan


def _largest(values: Any) -> float:
    return max(_numbers(values), default=math.nan)


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def by_group(frame: pd.DataFrame, group: Group) -> pd.DataFrame:
    """The rows of one group in any frame of a report.

    Rows of a mixed group carry the hash of their run's protocol, or that of the group.
    """
    mask = (
        (frame["dataset"] == group.dataset)
        & (frame["source"] == group.source)
        & frame["protocol_hash"].isin([group.protocol_hash, *group.protocols])
    )
    return frame[mask]


def scores_by_name(frame: pd.DataFrame) -> Mapping[tuple[str, str], pd.Series[Any]]:
    """The scored rows (not those of failed runs) of a group by architecture and variant."""
    scored = frame[frame["run"].isna()]
    return {(row["architecture"], row["variant"]): row for _, row in scored.iterrows()}
