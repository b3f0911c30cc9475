"""The rows of a group's table: standing, costs, clinical agreement, and the runs behind them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.report import cells, numerals
from benchmark.report.clinical import ENDPOINTS, main_rows
from benchmark.report.groups import Group, Run, row_title
from benchmark.report.leaderboard import by_group
from benchmark.report.material import Material

# Columns whose numbers do not depend on what a reader chooses: heading, column of the leaderboard,
# how it is printed.
COSTS = (
    ("Parameters", "parameters", numerals.magnitude),
    ("GMACs", "gmacs", numerals.significant),
    ("Training", "train_s", numerals.duration),
    ("Inference (ms/case)", "inference_ms", numerals.significant),
    ("Latency (ms/patch)", "latency_ms", numerals.significant),
    ("Memory (MiB)", "peak_rss_mib", lambda value: numerals.number(value, 0)),
    ("GPU memory (MiB)", "peak_device_mib", lambda value: numerals.number(value, 0)),
    ("SD seeds", "seed_sd", lambda value: numerals.number(value, cells.SD_DIGITS)),
    ("SD folds", "fold_sd", lambda value: numerals.number(value, cells.SD_DIGITS)),
)


def board_parts(material: Material, group: Group, mlflow: Mapping[str, str]) -> dict[str, Any]:
    """The rows of a group as the page shows them.

    Args:
        material: What the page is made from.
        group: One of its groups.
        mlflow: Address of each run in MLflow by its key, as far as known.

    Returns:
        ``columns`` (heading and id of each cost), ``clinical`` (heading of the agreement, or null),
        ``mixed``, ``protocols``, ``notes`` and ``rows``: scored ones in the order of the
        leaderboard, then one for each failed run.
    """
    frame = material.rows(group)
    shown = [column for column in COSTS if frame[column[1]].notna().any()]
    agreement = main_rows(by_group(material.agreement, group))
    of_name = {(row["architecture"], row["variant"]): row for _, row in agreement.iterrows()}
    return {
        "columns": [{"id": name, "title": heading} for heading, name, _ in shown],
        "clinical": _clinical_heading(agreement),
        "mixed": group.mixed,
        "protocols": [
            {"hash": key, "protocol": {name: _said(value) for name, value in protocol.items()}}
            for key, protocol in group.protocols.items()
        ],
        "notes": cells.footers(material.rows(group), group),
        "rows": [
            _scored(row, of_name, shown) | _behind(material, group.of(_name(row)), mlflow)
            if pd.isna(row["run"])
            else _failed(row) | _behind(material, _only(group, str(row["run"])), mlflow)
            for _, row in frame.iterrows()
        ],
    }


def _scored(row: pd.Series[Any], agreement: Mapping[Any, Any], shown: Any) -> dict[str, Any]:
    name = _name(row)
    return {
        "id": row_title(*name),
        "title": row_title(*name),
        "status": row["status"],
        "tier": _number(row["tier"]),
        "rank": _number(row["rank"]),
        "ranks": numerals.rank_interval(row),
        "best": [_number(row["p_best"]), numerals.p_best(row)],
        "outcomes": {name: _number(row[name]) for name in ("scored", "excluded", "failed")},
        "costs": {
            column: [_number(row[column]), printed(row[column])] for _, column, printed in shown
        },
        "clinical": _agreement(agreement.get(name)),
    }


def _failed(row: pd.Series[Any]) -> dict[str, Any]:
    return {
        "id": row_title(*_name(row)),
        "title": f"{row_title(*_name(row))}, fold {row['fold']}, seed {row['seed']}",
        "status": row["status"],
        "error": row["error"],
    }


def _name(row: pd.Series[Any]) -> tuple[str, str]:
    return row["architecture"], row["variant"]


def _only(group: Group, key: str) -> list[Run]:
    return [run for run in group.runs if run.key == key]


def _clinical_heading(agreement: pd.DataFrame) -> str | None:
    if agreement.empty:
        return None
    row = agreement.iloc[0]
    return f"{ENDPOINTS.get(row['endpoint'], row['endpoint'])} bias ± 1.96 SD ({row['unit']})"


def _agreement(row: Any) -> dict[str, Any] | None:
    """Bias and limits for print; to sort by, |bias| + 1.96 SD: how far a patient may be off."""
    if row is None or pd.isna(row["bias"]):
        return None
    limits = 1.96 * row["sd"]
    return {
        "text": f"{numerals.number(row['bias'], 1)} ± {numerals.number(limits, 1)}",
        "worst": _number(abs(row["bias"]) + limits),
        "r": numerals.number(row["pearson_r"], 3),
        "patients": int(row["n_valid"]),
        "failed": int(row["n_failed"]),
    }


def _behind(material: Material, runs: list[Run], mlflow: Mapping[str, str]) -> dict[str, Any]:
    """The runs of a row with their files, and how to make them again."""
    return {
        "external": runs[0].external,
        "runs": [_run(material, run, mlflow) for run in runs],
        "reproduce": reproduce(runs, material.records),
    }


def _run(material: Material, run: Run, mlflow: Mapping[str, str]) -> dict[str, Any]:
    record = material.records[run.key]
    files = {
        name: _relative(run.path / file, material.folder)
        for name, file in (("record", "record.json"), ("log", "log.txt"), ("cases", "cases.csv"))
        if (run.path / file).is_file()
    }
    # What a whole group shares is shown once, with the group.
    spec = {key: value for key, value in record["spec"].items() if key != "protocol"}
    return {
        "key": run.key,
        "fold": None if run.external else run.fold,
        "seed": None if run.external else run.seed,
        "status": run.status,
        "dice": _number((record.get("summary") or {}).get("dice", math.nan)),
        "files": files,
        "mlflow": mlflow.get(run.key),
        "spec": spec,
    }


def _relative(path: Path, folder: Path) -> str:
    """Where a file lies as the page sees it, whatever links lead to either."""
    return Path(os.path.relpath(path, folder)).as_posix()


def reproduce(runs: list[Run], records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How to make a row again: ``commands``, and a ``note`` on what they leave open."""
    first = runs[0]
    if first.external:
        return {"commands": [], "note": "Predicted elsewhere and only scored here."}
    if first.tuned:
        return {"commands": [], "note": "A recipe that was searched for: see the specification."}
    states = [(records[run.key].get("environment") or {}).get("git") or {} for run in runs]
    commits = sorted({str(state["commit"])[:12] for state in states if state.get("commit")})
    axes: dict[str, list[Any]] = {
        "architecture": [first.architecture],
        "dataset": [first.dataset],
        "fold": sorted({run.fold for run in runs}),
        "seed": sorted({run.seed for run in runs}),
    }
    only = ",".join(f"{axis}={'|'.join(map(str, values))}" for axis, values in axes.items())
    profile = f" --profile {first.profile}" if first.profile else ""
    data = "--data phantom" if first.source == "phantom" else "--data-root DIR"
    notes = ["With the experiment file of this comparison, of which these are the runs."]
    if first.variant:
        notes.append("Rows of one architecture that differ in options are made together.")
    if len(commits) > 1:
        notes.append("The runs were made by several commits; each record names its own.")
    if any(state.get("dirty") for state in states):
        notes.append("Some were made with changes that had not been committed.")
    return {
        "commands": [
            *(f"git checkout {commit}" for commit in commits[:1]),
            f"python -m benchmark run experiments.yaml{profile} {data} --only '{only}'",
        ],
        "note": " ".join(notes),
    }


def _said(value: Any) -> str:
    """A value of a protocol as people write it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    return "none" if value is None else str(value)


def _number(value: Any) -> float | int | None:
    if value is None or pd.isna(value):
        return None
    number = float(value)
    return int(number) if number.is_integer() else float(f"{number:.6g}")
