"""The best network of each dataset as a model of MLflow, where the experiment asks for it.

Building a network takes Keras, which this process does without: each model is logged by a process
of its own (:mod:`benchmark.tracking.log_model`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.records import WEIGHTS, read_records
from benchmark.tracking.address import fault, tracking_uri
from benchmark.tracking.invocations import Invocation, read_invocations
from benchmark.tracking.mirror import COMPLETE

if TYPE_CHECKING:
    from benchmark.tracking.store import Store

ROOT = Path(__file__).resolve().parent.parent.parent
# A model of some hundred MB to a server far away; after that the store counts as one that hangs.
LIMIT_S = 120.0


def log_best_models(results: Path, warn: Callable[[str], None]) -> list[str]:
    """Log the best model of each dataset that is not in the store; return the names of the runs.

    Best is the run with the highest Dice on validation patients: test cases choose nothing.

    Args:
        results: Results folder.
        warn: Told in one sentence of a model that could not be logged.
    """
    wanted = [each for each in read_invocations(results) if each.models == "best"]
    if not wanted:
        return []
    from benchmark.tracking.store import Store

    store = Store(results)
    logged = []
    for experiment in dict.fromkeys(each.experiment for each in wanted):
        identity = store.experiment(experiment)
        for record in best(results, (each for each in wanted if each.experiment == experiment)):
            run = _run(store, identity, record)
            if run is None or store.models(identity, run):
                continue
            if error := _log(results, record, run, identity):
                warn(f"{fault(results, error)}: the model of {record['name']} is not logged.")
            else:
                logged.append(record["name"])
    return logged


def best(results: Path, invocations: Iterable[Invocation]) -> list[dict[str, Any]]:
    """Return the best finished run of each protocol, which belongs to one dataset and source."""
    keys = dict.fromkeys(key for each in invocations for key in each.keys)
    found: dict[str, dict[str, Any]] = {}
    for record in read_records(results, keys, on_damage=lambda text: None):
        if record["status"] != "ok" or not (record["path"] / WEIGHTS).exists():
            continue
        first = found.setdefault(record["protocol_hash"], record)
        if record["summary"]["validation_dice"] > first["summary"]["validation_dice"]:
            found[record["protocol_hash"]] = record
    return list(found.values())


def _run(store: Store, experiment: str, record: dict[str, Any]) -> str | None:
    condition = (
        f"tags.`bench.key` = '{record['key']}' AND tags.`{COMPLETE}` = '{record['finished_utc']}'"
    )
    runs = [run for run in store.runs([experiment], condition)
            if run.info.lifecycle_stage == "active"]  # fmt: skip
    return str(runs[0].info.run_id) if runs else None


def _log(results: Path, record: dict[str, Any], run: str, experiment: str) -> str | None:
    """Log a model in a process of its own; return what went wrong, or None."""
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **os.environ,
        "KERAS_BACKEND": record["spec"]["protocol"]["backend"],
        "CUDA_VISIBLE_DEVICES": "",  # one forward pass of nothing needs no GPU
        "MLFLOW_TRACKING_URI": tracking_uri(results),
        "MLFLOW_EXPERIMENT_ID": experiment,  # else the model goes to the default one
        "MLFLOW_UV_AUTO_DETECT": "false",  # it would lay our lock file beside the model
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    command = [sys.executable, "-m", "benchmark.tracking.log_model", str(record["path"]), run]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {LIMIT_S:.0f} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no message"])[-1]
    return None
