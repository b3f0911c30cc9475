"""The rows of a group's table: standing, costs, clinical agreement, and the runs behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.report import cells
from benchmark.report.clinical import ENDPOINTS, main_rows
from benchmark.report.groups import Group, Run, row_title
from benchmark.report.leaderboard import by_group
from benchmark.report.site.material import Material, row_id

# Columns whose numbers do not depend on what a reader chooses: heading, column of the leaderboard,
# how it is printed.
COSTS = (
    ("Parameters", "parameters", cells.magnitude),
    ("GMACs", "gmacs", cells.significant),
    ("Training", "train_s", cells.duration),
    ("Inference (ms/case)", "inference_ms", cells.significant),
    ("Latency (ms/patch)", "latency_ms", cells.significant),
    ("Memory (MiB)", "peak_mib", lambda value: cells.number(value, 0)),
    ("SD seeds", "seed_sd", lambda value: cells.number(value, cells.SD_DIGITS)),
    ("SD folds", "fold_sd", lambda value: cells.number(value, cells.SD_DIGITS)),
)


def board_parts(material: Material, group: Group, mlflow: Mapping[str, str]) -> dict[str, Any]:
    """The rows of a group as the page shows them.

    Args:
        material: What the page is made from.
        group: One of its groups.
        mlflow: Address of each run in MLflow by its key, as far as known.

    Returns:
        ``columns`` (heading and id of each cost), ``clinical`` (heading of the agreement, or null)
        and ``rows``: scored ones in the order of the leaderboard, then one for each failed run.
    """
    frame = material.rows(group)
    frame = frame.assign(peak_mib=frame["peak_device_mib"].fillna(frame["peak_rss_mib"]))
    shown = [column for column in COSTS if frame[column[1]].notna().any()]
    agreement = main_rows(by_group(material.agreement, group))
    of_name = {(row["architecture"], row["variant"]): row for _, row in agreement.iterrows()}
    return {
        "columns": [{"id": name, "title": heading} for heading, name, _ in shown],
        "clinical": _clinical_heading(agreement),
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
        "id": row_id(name),
        "title": row_title(*name),
        "status": row["status"],
        "tier": _number(row["tier"]),
        "rank": _number(row["rank"]),
        "ranks": cells.rank_interval(row),
        "best": cells.p_best(row),
        "costs": {
            column: [_number(row[column]), printed(row[column])] for _, column, printed in shown
        },
        "clinical": _agreement(agreement.get(name)),
    }


def _failed(row: pd.Series[Any]) -> dict[str, Any]:
    return {
        "id": row_id(_name(row)),
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
        "text": f"{cells.number(row['bias'], 1)} ± {cells.number(limits, 1)}",
        "worst": _number(abs(row["bias"]) + limits),
        "r": cells.number(row["pearson_r"], 3),
        "patients": int(row["n_valid"]),
        "failed": int(row["n_failed"]),
    }


def _behind(material: Material, runs: list[Run], mlflow: Mapping[str, str]) -> dict[str, Any]:
    """The runs of a row with their files, and how to make them again."""
    return {
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
        "fold": run.fold,
        "seed": run.seed,
        "status": run.status,
        "dice": _number((record.get("summary") or {}).get("dice", math.nan)),
        "files": files,
        "mlflow": mlflow.get(run.key),
        "spec": spec,
    }


def _relative(path: Path, folder: Path) -> str:
    """Where a file of the results lies as the page sees it; both are below one folder."""
    return "../" + path.resolve().relative_to(folder.resolve().parent).as_posix()


def reproduce(runs: list[Run], records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The commands that make a row again, on the commit that made it."""
    first = runs[0]
    if first.external:
        return [
            f"python -m benchmark evaluate --help  # masks of {first.architecture}, made elsewhere"
        ]
    git = (records[first.key].get("environment") or {}).get("git") or {}
    commits = sorted(
        {
            str(((records[run.key].get("environment") or {}).get("git") or {}).get("commit"))[:12]
            for run in runs
        }
        - {"None"}
    )
    axes = [f"architecture={first.architecture}", f"dataset={first.dataset}"]
    axes += [f"fold={'|'.join(str(fold) for fold in sorted({run.fold for run in runs}))}"]
    axes += [f"seed={'|'.join(str(seed) for seed in sorted({run.seed for run in runs}))}"]
    checkout = [f"git checkout {commits[0]}"] if len(commits) == 1 else []
    if git.get("dirty"):
        checkout = [f"{line}  # with changes that were not committed" for line in checkout]
    profile = f" --profile {first.profile}" if first.profile else ""
    data = "--data phantom" if first.source == "phantom" else "--data-root DIR"
    command = f"python -m benchmark run experiments.yaml{profile} {data}"
    return [*checkout, f"{command} --only '{','.join(axes)}'"]


def _number(value: Any) -> float | int | None:
    if value is None or pd.isna(value):
        return None
    number = float(value)
    return int(number) if number.is_integer() else float(f"{number:.6g}")
