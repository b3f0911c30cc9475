"""What MLflow is told of a run, in plain types: tags, parameters, metrics, inputs, files."""

from __future__ import annotations

import datetime
import getpass
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.experiment.spec import RunSpec, digest
from benchmark.tracking.invocations import Invocation

# Columns of epochs.csv whose name says no family; the others follow their unit.
EPOCH_NAMES = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "validation_dice": "val/dice",
}
# Logged for every epoch and for nothing else: by it is seen which epochs the store has.
EPOCH_MARK = "train/loss"
SCORES = ("dice", "iou", "hd95_mm")

Metrics = dict[str, float | None]


def parent_tags(invocation: Invocation) -> dict[str, str]:
    """Return the tags of the run of an invocation."""
    return _bench(
        {
            "role": "study" if invocation.study else "invocation",
            "invocation": invocation.id,
            "profile": invocation.profile,
            "source": invocation.source,
        }
    ) | {"mlflow.source.name": f"python -m benchmark {'tune' if invocation.study else 'run'}",
         "mlflow.source.type": "LOCAL",
         "mlflow.user": getpass.getuser()}  # fmt: skip


def child_tags(
    spec: RunSpec, invocation: str, parent: str, profile: str, release: str
) -> dict[str, str]:
    """Return the tags that a run has from its beginning: a tag for every axis."""
    trial = spec.evaluate == "validation"
    return _bench(
        {
            "role": "trial" if trial else "run",
            "invocation": invocation,
            "key": spec.key,
            "architecture": spec.architecture,
            "dataset": spec.dataset,
            "source": spec.source,
            "release": release,
            "fold": spec.fold,
            "seed": spec.seed,
            "dims": spec.dims,
            "backend": spec.protocol.backend,
            "profile": profile,
            "protocol": spec.protocol_hash,
            "status": "running",
        }
    ) | {"mlflow.parentRunId": parent,
         "mlflow.source.name": f"python -m benchmark {'tune' if trial else 'run'}",
         "mlflow.source.type": "LOCAL", "mlflow.user": getpass.getuser()}  # fmt: skip


def outcome_tags(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags that tell how a run ended and on what it ran."""
    environment = record.get("environment") or {}
    device, git = environment.get("device") or {}, environment.get("git") or {}
    facts = {
        "status": record["status"],
        "error": str(record.get("error") or "")[:500],
        "device": device.get("name", "unknown"),
        "precision": device.get("precision"),
        "keras": (environment.get("versions") or {}).get("keras"),
        "uncommitted": git.get("dirty"),
    }
    tags = _bench({name: value for name, value in facts.items() if value not in (None, "")})
    if git.get("commit"):
        tags["mlflow.source.git.commit"] = git["commit"]
    return tags


def flatten(plain: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested plain types as ``a.b`` → text, as MLflow parameters are."""
    flat: dict[str, str] = {}
    for name, value in plain.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat


def epoch_metrics(row: Mapping[str, Any]) -> Metrics:
    """Return the metrics of one epoch from its event or its row of ``epochs.csv``."""
    metrics: Metrics = {}
    for name, value in row.items():
        if name in EPOCH_NAMES:
            metrics[EPOCH_NAMES[name]] = value
        elif name.endswith(("_s", "_mib")):
            metrics[f"{_family(name)}/{name}"] = value
    return metrics


def final_metrics(record: Mapping[str, Any]) -> Metrics:
    """Return what is logged once per run: scores per class, timing, memory."""
    summary = record.get("summary", {})
    metrics: Metrics = {
        "test/dice": summary.get("dice"),
        "test/iou": summary.get("iou"),
        "val/best_dice": summary.get("validation_dice"),
        "val/best_epoch": summary.get("best_epoch"),
        "perf/parameters": record.get("params"),
        "perf/gmacs": record.get("gmacs"),
    }
    cases = record["path"] / "cases.csv"
    if record["status"] == "ok" and cases.exists():
        import pandas as pd

        frame = pd.read_csv(cases)
        for name, rows in frame[frame["outcome"] != "both_empty"].groupby("class"):
            metrics |= {f"test/{score}/{name}": float(rows[score].mean()) for score in SCORES}
    for name, value in record.get("timing", {}).items():
        # MLflow shows the last value of a name: the median epoch must not end the curve of epochs.
        name = "epoch_s_p50" if name == "epoch_s" else name
        metrics[f"{_family(name)}/{name}"] = value
    for name, joules in record.get("energy", {}).items():
        metrics[f"energy/{name}"] = joules
    return metrics


def inputs(spec: RunSpec, record: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the three sides of the split as datasets: name, digest, source, profile, context."""
    found = []
    for side, context in (("train", "training"), ("validation", "validation"), ("test", "test")):
        patients = record.get("split", {}).get(side)
        if patients is None:
            continue
        found.append(
            {
                "name": f"{spec.dataset}-{spec.source}-f{spec.fold}-{side}",
                "digest": digest({"files": spec.fingerprint, "patients": patients})[:16],
                "source": json.dumps(
                    {"dataset": spec.dataset, "source": spec.source, "files": spec.fingerprint}
                ),
                "profile": json.dumps({"patients": len(patients), "fold": spec.fold}),
                "context": context,
            }
        )
    return found


def files(run: Path) -> list[Path]:
    """Return the files of a run's folder that go with it to MLflow."""
    named = [run / "record.json", run / "log.txt", *sorted(run.glob("*.csv"))]
    return [path for path in named if path.is_file()]


def milliseconds(utc: str) -> int:
    """Return a time of a record in MLflow's unit."""
    return int(1000 * datetime.datetime.fromisoformat(utc).timestamp())


def _family(name: str) -> str:
    if name.endswith("_mib"):
        return "mem"
    words = ("samples", "latency", "throughput", "share", "ratio")
    return "perf" if any(word in name for word in words) else "time"


def _bench(tags: Mapping[str, Any]) -> dict[str, str]:
    return {f"bench.{name}": str(value) for name, value in tags.items()}
