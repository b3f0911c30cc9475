"""The worker's side: evaluate a finished run as its tasks say, one record for each."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmark import environment
from benchmark.errors import BenchmarkError
from benchmark.generalisation.tasks import CrossTest, Task, from_plain, new_record, now
from benchmark.records import WEIGHTS, digest_of, write_record
from benchmark.trained import Trained, open_run

if TYPE_CHECKING:
    from benchmark.evaluation.inference import Predictor
    from benchmark.execution.order import Order

Emit = Callable[[dict[str, Any]], None]


class Work(Protocol):
    """Does one kind of task and fills its record."""

    def __call__(
        self,
        trained: Trained,
        predictor: Predictor,
        task: Any,
        record: dict[str, Any],
        *,
        folder: Path,
        results: Path,
        progress: Callable[[int, int], None],
    ) -> None:
        """Evaluate; write tables into the folder."""


def carry_out(order: Order, emit: Emit) -> dict[str, Any]:
    """Do the tasks of an order, write their records, and return the record of the run.

    A task that fails has a record that says so, and the others are done all the same.

    Args:
        order: A finished run and what is to be done with it.
        emit: Receives ``stage`` and ``progress``, and ``followed`` after each task.
    """
    from benchmark.training import devices

    trained = open_run(order.folder)
    tasks = [from_plain(plain) for plain in order.tasks]
    emit({"event": "stage", "stage": "building the network"})
    began = now()
    try:
        predictor = trained.predictor()
        weights = digest_of(trained.folder / WEIGHTS)
    except Exception as error:
        for task in tasks:
            record = new_record(trained.spec, trained.record, task) | {"started_utc": began}
            _close(order.folder / task.place, record | _failure(error), emit, task)
        return dict(trained.record)
    for task in tasks:
        record = new_record(trained.spec, trained.record, task) | {"weights_sha256": weights}
        folder = order.folder / task.place
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        emit({"event": "stage", "stage": f"evaluating {task.title}"})
        begin = time.perf_counter()

        def tell(done: int, total: int, stage: str = f"evaluating {task.title}") -> None:
            emit({"event": "progress", "stage": stage, "done": done, "total": total})

        try:
            _work(task)(
                trained, predictor, task, record,
                folder=folder, results=order.results, progress=tell,
            )  # fmt: skip
            if record["status"] == "error":
                record["status"] = "ok"
        except Exception as error:
            record |= _failure(error)
        record["timing"] = {"total_s": time.perf_counter() - begin}
        record["environment"] = {
            **environment.describe(),
            # The precision of the run, on the device of this machine.
            "device": {**(trained.record["environment"].get("device") or {}), **devices.here()},
        }  # fmt: skip
        _close(folder, record, emit, task)
    return dict(trained.record)


def _work(task: Task) -> Work:
    if isinstance(task, CrossTest):
        from benchmark.generalisation.elsewhere import evaluate_elsewhere

        return evaluate_elsewhere
    from benchmark.generalisation.corrupted import evaluate_corrupted

    return evaluate_corrupted


def _failure(error: Exception) -> dict[str, Any]:
    """Return status and error of a task that failed; a bug keeps its traceback, in the log."""
    from benchmark.training.devices import is_out_of_memory
    from datasets.case import DatasetError

    if isinstance(error, BenchmarkError | DatasetError):
        return {"status": "error", "error": str(error)}
    traceback.print_exc()
    first = str(error).strip().splitlines()[:1]
    return {
        "status": "oom" if is_out_of_memory(error) else "error",
        "error": f"{type(error).__name__}: {first[0] if first else ''}",
    }


def _close(folder: Path, record: dict[str, Any], emit: Emit, task: Task) -> None:
    record["finished_utc"] = now()
    write_record(folder, record)
    emit(
        {
            "event": "followed",
            "title": task.title,
            "status": record["status"],
            "error": record["error"],
            "summary": record.get("summary", {}),
        }
    )
