"""Executes a plan, run after run, each in a process of its own."""

from __future__ import annotations

import datetime
import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Protocol

from benchmark import environment
from benchmark.execution.local import WorkerProcess
from benchmark.execution.worker import Order, new_record
from benchmark.experiment.spec import RunSpec
from benchmark.records import read_record, write_json


class Listener(Protocol):
    """Learns what happens, as it happens."""

    def run_started(self, spec: RunSpec, number: int, total: int) -> None:
        """A run begins; it is the ``number``-th of ``total`` that are executed."""

    def event(self, spec: RunSpec, event: dict[str, Any]) -> None:
        """A worker reports: ``stage``, ``data`` or ``epoch``."""

    def run_finished(self, spec: RunSpec, record: dict[str, Any]) -> None:
        """A run has ended and its record is on disk."""


class Interruption:
    """What Ctrl-C means: once, finish the current run and stop; twice, stop now."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.asked = 0
        self.worker: WorkerProcess | None = None
        self._previous: Any = None

    def __enter__(self) -> Interruption:
        self._previous = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
        if self.asked == 1:
            self._tell("Finishing the current run, then stopping. Ctrl-C again stops now.")
        if self.asked > 1 and self.worker is not None:
            self.worker.kill()


def run_all(
    orders: Sequence[Order],
    listeners: Sequence[Listener],
    tell: Callable[[str], None] = lambda text: None,
) -> tuple[list[dict[str, Any]], bool]:
    """Execute orders one after the other.

    While the network of a run is built and compiled, which keeps one core busy, the worker of the
    next run imports its framework on another: start-up costs little time of its own, and the steps
    that are timed run alone.

    Args:
        orders: Runs in order.
        listeners: Are told of every event.
        tell: Shows a sentence to the user.

    Returns:
        The records of the runs that were executed, and whether the user interrupted.
    """
    records: list[dict[str, Any]] = []
    spare: WorkerProcess | None = None
    with Interruption(tell) as interruption:
        try:
            for number, order in enumerate(orders):
                if interruption.asked:
                    break
                worker = spare or WorkerProcess(order)
                spare = None
                interruption.worker = worker
                begin = time.monotonic()
                for listener in listeners:
                    listener.run_started(order.spec, number + 1, len(orders))
                for event in worker.run():
                    if event["event"] == "ready":
                        continue
                    building = event.get("stage") == "building the network"
                    if building and number + 1 < len(orders) and not interruption.asked:
                        spare = WorkerProcess(orders[number + 1])
                    for listener in listeners:
                        listener.event(order.spec, event)
                record = _close(
                    order,
                    worker,
                    killed_by_user=interruption.asked > 1,
                    total_s=time.monotonic() - begin,
                )
                records.append(record)
                for listener in listeners:
                    listener.run_finished(order.spec, record)
        finally:
            if spare is not None:
                spare.dismiss()
            if interruption.worker is not None and interruption.worker.returncode is None:
                interruption.worker.kill()
    return records, len(records) < len(orders) or interruption.asked > 1


def _close(
    order: Order, worker: WorkerProcess, *, killed_by_user: bool, total_s: float
) -> dict[str, Any]:
    """Return the worker's record, or write the one it could not write."""
    code = worker.returncode
    if code == 0:
        record = read_record(order.folder)
        if record is not None:
            return record
    record = new_record(order, datetime.datetime.now(datetime.UTC))
    if code is not None and code < 0:
        by = "by the user" if killed_by_user else f"by signal {signal.Signals(-code).name}"
        record.update(status="killed", error=f"the worker was ended {by}")
    else:
        tail = worker.log.read_text(errors="replace").strip().splitlines()[-1:]
        record.update(
            status="error",
            error=f"the worker exited with status {code}: {tail[0] if tail else 'no message'}",
        )
    record["timing"] = {"total_s": total_s}
    record["environment"] = environment.describe()
    record["finished_utc"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_json(order.folder / "record.json", record)
    record["path"] = order.folder
    return record
