"""Invocations and records as MLflow runs. A run is complete when it has the tag ``bench.complete``.

That tag comes last: a run without it was left half written, and may be written again.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.experiment.spec import RunSpec
from benchmark.tracking import values
from benchmark.tracking.invocations import Invocation

if TYPE_CHECKING:
    from benchmark.tracking.store import Store

COMPLETE = "bench.complete"
OUTCOMES = {"ok": "FINISHED", "killed": "KILLED", "pruned": "KILLED"}


def open_parent(store: Store, experiment: str, invocation: Invocation) -> str:
    """Open the run of an invocation; return its identity."""
    run = store.create(
        experiment,
        invocation.title,
        values.parent_tags(invocation),
        values.milliseconds(invocation.started_utc),
    )
    describe_parent(store, run, invocation)
    return run


def describe_parent(store: Store, run: str, invocation: Invocation) -> None:
    """Attach experiment file and plan to the run of an invocation."""
    store.log_text(run, invocation.text, invocation.file)
    store.log_text(run, json.dumps(invocation.plan, indent=1, ensure_ascii=False), "plan.json")


def close_parent(
    store: Store, run: str, invocation: Invocation, results: Path, files: Iterable[Path]
) -> None:
    """Attach the report to the run of an invocation and end it.

    Args:
        store: The store.
        run: Identity of the run.
        invocation: The invocation, ended.
        results: Results folder.
        files: The files of the report.
    """
    for path in files:
        folder = path.parent.relative_to(results) if path.is_relative_to(results) else "report"
        store.log_file(run, path, str(folder))
    end_ms = values.milliseconds(invocation.finished_utc) if invocation.finished_utc else now_ms()
    store.close(run, "KILLED" if invocation.interrupted else "FINISHED", end_ms)
    store.log(run, tags={COMPLETE: invocation.finished_utc or invocation.started_utc})


def open_child(
    store: Store, experiment: str, spec: RunSpec, tags: Mapping[str, str], begin_ms: int
) -> str:
    """Open the run of a specification with its parameters; return its identity."""
    run = store.create(experiment, spec.name, tags, begin_ms)
    store.log(run, params=values.flatten(spec.to_dict()))
    return run


def log_epoch(
    store: Store,
    run: str,
    row: Mapping[str, Any],
    stamp_ms: int,
    machine: Mapping[str, float] | None = None,
) -> None:
    """Write the metrics of one epoch, and how busy the machine is, in one request."""
    metrics = values.epoch_metrics(row) | dict(machine or {})
    store.log(run, metrics, step=int(row["epoch"]), stamp_ms=stamp_ms)


def complete_child(
    store: Store, run: str, record: Mapping[str, Any], epochs: Collection[int]
) -> None:
    """Write all that a record tells, and end its run.

    Args:
        store: The store.
        run: Identity of the run, opened with its parameters or without.
        record: The record, with ``path``.
        epochs: The epochs whose metrics the run already has.
    """
    spec = RunSpec.from_dict(record["spec"])
    begin_ms = values.milliseconds(record["started_utc"])
    end_ms = values.milliseconds(record["finished_utc"])
    for row in _epochs(record["path"]):
        if int(row["epoch"]) not in epochs:
            log_epoch(store, run, row, begin_ms + int(1000 * row.get("elapsed_s", 0.0)))
    store.log(
        run,
        values.final_metrics(record),
        step=0,  # what has no other step is drawn as bars, side by side
        stamp_ms=end_ms,
        params=values.flatten(spec.to_dict()),
        tags=values.outcome_tags(record),
    )
    if inputs := values.inputs(spec, record):
        store.log_inputs(run, inputs)
    for path in values.files(record["path"]):
        store.log_file(run, path)
    store.close(run, OUTCOMES.get(record["status"], "FAILED"), end_ms)
    store.log(run, tags={COMPLETE: record["finished_utc"]})


def now_ms() -> int:
    """Return the present time in MLflow's unit."""
    return int(1000 * time.time())


def _epochs(run: Path) -> list[dict[str, float]]:
    path = run / "epochs.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        ]
