"""Records to MLflow: one parent per invocation, one child per run.

The records are the truth, MLflow is a mirror of them. One thread of the parent process is the only
writer (several writers on one SQLite file wait for each other for seconds); it works beside the
runs and never in them. Where the store cannot be reached, the user is told once and runs go on.
"""

from __future__ import annotations

import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.execution.locks import locked
from benchmark.experiment.plan import Plan
from benchmark.experiment.spec import RunSpec

# Longest wait for the mirror at the end of an invocation.
FINISH_S = 60.0


def tracking_uri(results: Path) -> str:
    """Return the user's ``MLFLOW_TRACKING_URI``, or the SQLite file in the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results.resolve()}/mlflow.db"


class Tracker:
    """Mirrors an invocation to MLflow while it runs.

    Args:
        plan: What is run; its experiment names the MLflow experiment.
        results: Results folder, where the default store and the artifacts lie.
        warn: Told in one sentence when the store fails.
    """

    def __init__(self, plan: Plan, results: Path, warn: Callable[[str], None]) -> None:
        self._plan = plan
        self._results = results
        self._warn = warn
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._failed = False
        self._client: Any = None
        self._experiment = ""
        self._parent = ""
        self._children: dict[str, str] = {}
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()
        self._jobs.put(self._open)

    def run_started(self, spec: RunSpec, number: int, total: int) -> None:
        """Open a child run."""
        begin = _now_ms()
        self._jobs.put(lambda: self._open_child(spec, begin))

    def event(self, spec: RunSpec, event: dict[str, Any]) -> None:
        """Log the curves of one epoch."""
        if event["event"] == "epoch":
            stamp = _now_ms()
            self._jobs.put(lambda: self._log_epoch(spec, event, stamp))

    def run_finished(self, spec: RunSpec, record: dict[str, Any]) -> None:
        """Log scores, timing, data and files, and close the child run."""
        end = _now_ms()
        self._jobs.put(lambda: self._close_child(spec, record, end))

    def finish(self, files: Sequence[Path], *, interrupted: bool) -> None:
        """Attach the report to the parent, close it, and wait for everything to be written."""
        self._jobs.put(lambda: self._close(files, interrupted))
        self._jobs.put(None)
        self._thread.join(FINISH_S)
        if self._thread.is_alive():
            self._fail(f"the store did not answer for {FINISH_S:.0f} s")

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._failed:
                continue
            try:
                job()
            except Exception as error:  # a mirror that breaks must not break what it mirrors
                self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, reason: str) -> None:
        self._failed = True
        self._warn(
            f"MLflow at {tracking_uri(self._results)} does not work ({reason.splitlines()[0]}); "
            "runs go on, their records are complete without it."
        )

    def _open(self) -> None:
        from mlflow.tracking import MlflowClient

        uri = tracking_uri(self._results)
        name = f"cardiac-seg/{self._plan.experiment.name}"
        # Two invocations that make one SQLite store at once break it.
        with locked(self._results / ".locks" / "mlflow"):
            self._client = MlflowClient(tracking_uri=uri)
            experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                local = uri.startswith("sqlite:")
                location = (self._results / "mlartifacts").resolve().as_uri() if local else None
                self._experiment = self._client.create_experiment(name, artifact_location=location)
            else:
                self._experiment = experiment.experiment_id
        sources = sorted({source.source for source in self._plan.sources.values()})
        run = self._client.create_run(
            self._experiment,
            run_name=f"{self._plan.experiment.name} {self._plan.profile}",
            tags=_tags({"profile": self._plan.profile, "source": "+".join(sources)}),
        )
        self._parent = run.info.run_id
        self._client.log_artifact(self._parent, str(self._plan.path))
        self._client.log_dict(self._parent, self._plan.to_dict(), "plan.json")

    def _open_child(self, spec: RunSpec, begin_ms: int) -> None:
        run = self._client.create_run(
            self._experiment,
            start_time=begin_ms,
            run_name=spec.name,
            tags={
                **_tags(
                    {
                        "key": spec.key,
                        "architecture": spec.architecture,
                        "dataset": spec.dataset,
                        "source": spec.source,
                        "release": self._plan.sources[spec.dataset].release,
                        "fold": spec.fold,
                        "seed": spec.seed,
                        "profile": self._plan.profile,
                        "protocol": spec.protocol_hash,
                        "status": "running",
                    }
                ),
                "mlflow.parentRunId": self._parent,
            },
        )
        self._children[spec.key] = run.info.run_id
        self._log(run.info.run_id, params=flatten(spec.to_dict()))

    def _log_epoch(self, spec: RunSpec, event: Mapping[str, Any], stamp_ms: int) -> None:
        metrics = {
            "train/loss": event["loss"],
            "train/learning_rate": event["learning_rate"],
            "val/dice": event["validation_dice"],
            "time/epoch_s": event["epoch_s"],
        }
        self._log(self._children[spec.key], metrics, step=int(event["epoch"]), stamp_ms=stamp_ms)

    def _close_child(self, spec: RunSpec, record: Mapping[str, Any], end_ms: int) -> None:
        run = self._children[spec.key]
        status = record["status"]
        self._log(run, final_metrics(record), stamp_ms=end_ms,
                  step=record.get("summary", {}).get("best_epoch", 0))  # fmt: skip
        tags = {"status": status, "device": _device(record)}
        if record.get("error"):
            tags["error"] = str(record["error"])[:500]
        for name, value in _tags(tags).items():
            self._client.set_tag(run, name, value)
        if status == "ok":
            self._log_inputs(run, spec, record)
        for name in ("record.json", "epochs.csv", "cases.csv", "clinical.csv", "log.txt"):
            if (record["path"] / name).exists():
                self._client.log_artifact(run, str(record["path"] / name))
        outcome = {"ok": "FINISHED", "killed": "KILLED"}.get(status, "FAILED")
        self._client.set_terminated(run, outcome, end_ms)

    def _log_inputs(self, run: str, spec: RunSpec, record: Mapping[str, Any]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = []
        for side, context in (
            ("train", "training"),
            ("validation", "validation"),
            ("test", "test"),
        ):
            patients = record["split"][side]
            dataset = Dataset(
                name=f"{spec.dataset}-{spec.source}-{side}",
                digest=spec.fingerprint,
                source_type="local",
                source=json.dumps({"dataset": spec.dataset, "source": spec.source}),
                profile=json.dumps({"patients": len(patients), "fold": spec.fold}),
            )
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
        self._client.log_inputs(run, inputs)

    def _close(self, files: Sequence[Path], interrupted: bool) -> None:
        report = self._results / "report"
        for path in files:
            folder = path.parent.relative_to(report) if path.is_relative_to(report) else Path()
            self._client.log_artifact(self._parent, str(path), str(Path("report") / folder))
        self._client.set_terminated(self._parent, "KILLED" if interrupted else "FINISHED")

    def _log(
        self,
        run: str,
        metrics: Mapping[str, float | None] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        step: int = 0,
        stamp_ms: int = 0,
    ) -> None:
        from mlflow.entities import Metric, Param

        values = [
            Metric(name, float(value), stamp_ms, step)
            for name, value in (metrics or {}).items()
            if value is not None and math.isfinite(value)  # stores turn infinity into 1.8e308
        ]
        named = [Param(name, value) for name, value in (params or {}).items()]
        self._client.log_batch(run, metrics=values, params=named)


def final_metrics(record: Mapping[str, Any]) -> dict[str, float | None]:
    """Return what is logged once per run: scores per class, timing, memory."""
    summary, timing = record.get("summary", {}), record.get("timing", {})
    metrics: dict[str, float | None] = {
        "test/dice": summary.get("dice"),
        "test/iou": summary.get("iou"),
        "val/best_dice": summary.get("validation_dice"),
        "model/parameters": record.get("params"),
    }
    cases = record["path"] / "cases.csv"
    if record["status"] == "ok" and cases.exists():
        import pandas as pd

        frame = pd.read_csv(cases)
        for name, rows in frame[frame["outcome"] != "both_empty"].groupby("class"):
            metrics[f"test/dice/{name}"] = float(rows["dice"].mean())
            metrics[f"test/iou/{name}"] = float(rows["iou"].mean())
            metrics[f"test/hd95_mm/{name}"] = float(rows["hd95_mm"].mean())
    for name, value in timing.items():
        kind = "mem" if name.endswith("_mib") else "perf" if "samples" in name else "time"
        metrics[f"{kind}/{name}"] = value
    return metrics


def flatten(plain: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested plain types as ``a.b`` → text, as MLflow parameters are."""
    flat: dict[str, str] = {}
    for name, value in plain.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat


def _tags(tags: Mapping[str, Any]) -> dict[str, str]:
    return {f"bench.{name}": str(value) for name, value in tags.items()}


def _device(record: Mapping[str, Any]) -> str:
    return str(record.get("environment", {}).get("device", {}).get("name", "unknown"))


def _now_ms() -> int:
    return int(1000 * time.time())


def ui_command(results: Path, arguments: Iterable[str]) -> list[str]:
    """Return the command that opens the MLflow UI on the results."""
    import sys

    return [
        sys.executable, "-m", "mlflow", "ui",
        "--backend-store-uri", tracking_uri(results), *arguments,
    ]  # fmt: skip
