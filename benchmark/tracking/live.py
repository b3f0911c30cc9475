"""Mirrors an invocation to MLflow while it runs, beside the runs and never in them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.experiment.plan import Plan
from benchmark.experiment.spec import RunSpec
from benchmark.tracking import mirror, values
from benchmark.tracking.address import fault, is_file, tracking_uri
from benchmark.tracking.invocations import Invocation, release

if TYPE_CHECKING:
    from benchmark.tracking.machine import Machine
    from benchmark.tracking.store import Store

# How much later than without MLflow an invocation may end because of a store that does not answer.
PATIENCE_S = 5.0
# How long a store that is a file here is given as long as it goes on: that is our own work.
WORK_S = 60.0


class Tracker:
    """Listens to the scheduler; its thread is the only writer to the store.

    Args:
        plan: What is run; its experiment names the MLflow experiment.
        results: Results folder, where the default store and the artifacts lie.
        warn: Told in one sentence when the store fails.
        study: Name of the study whose trials are made, if they are.
    """

    def __init__(
        self, plan: Plan, results: Path, warn: Callable[[str], None], *, study: str = ""
    ) -> None:
        self._plan = plan
        self._results = results
        self._warn = warn
        self._invocation = Invocation.of(plan, study=study)
        self._invocation.write(results)
        self._lock = self._invocation.hold(results)
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._done = 0
        self._failed = False
        self._store: Store
        self._machine: Machine
        self._experiment = ""
        self._parent = ""
        self._began: dict[str, int] = {}
        self._children: dict[str, str] = {}
        self._epochs: dict[str, set[int]] = {}
        # At the end of the process it is left where it is: a store that hangs holds up nobody.
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()
        self._jobs.put(self._open)

    def take(self, key: str) -> None:
        """Note that this invocation does a run that its plan did not know."""
        self._invocation = self._invocation.taking(key)
        self._invocation.write(self._results)

    def run_started(self, spec: RunSpec, number: int, total: int) -> None:
        """Note when a run begins; its child run is opened when its worker has taken it up."""
        self._began[spec.key] = mirror.now_ms()

    def event(self, spec: RunSpec, event: dict[str, Any]) -> None:
        """Open the child run at the first event, and log the curves of an epoch."""
        began = self._began.pop(spec.key, None)
        if began is not None:
            self._jobs.put(lambda: self._open_child(spec, began))
        if event["event"] == "epoch":
            stamp = mirror.now_ms()
            self._jobs.put(lambda: self._log_epoch(spec, event, stamp))

    def run_finished(self, spec: RunSpec, record: dict[str, Any]) -> None:
        """Log scores, timing, data and files, and close the child run."""
        began = self._began.pop(spec.key, mirror.now_ms())
        self._jobs.put(lambda: self._close_child(spec, record, began))

    def finish(self, files: Sequence[Path], *, interrupted: bool) -> None:
        """Attach the report to the parent, close it, and wait a little for all to be written."""
        self._invocation = self._invocation.ended(interrupted=interrupted)
        self._invocation.write(self._results)
        self._jobs.put(lambda: self._close(files))
        self._jobs.put(None)
        self._wait()
        if self._thread.is_alive():
            self._fail(f"it did not answer for {PATIENCE_S:.0f} s")

    @property
    def complete(self) -> bool:
        """Whether the store has all, after :meth:`finish`."""
        return not (self._failed or self._thread.is_alive())

    def _wait(self) -> None:
        begin = now = time.monotonic()
        until, last = begin + PATIENCE_S, begin + PATIENCE_S
        if is_file(tracking_uri(self._results)):
            last = begin + WORK_S
        done = self._done
        while self._thread.is_alive() and now < until:
            self._thread.join(0.1)
            now = time.monotonic()
            if self._done > done:
                done, until = self._done, min(now + PATIENCE_S, last)

    def _work(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                if self._failed:
                    continue
                try:
                    job()
                except Exception as error:  # a mirror that breaks must not break what it mirrors
                    self._fail(error)
                self._done += 1
        finally:
            release(self._results, self._invocation, self._lock)

    def _fail(self, error: Exception | str) -> None:
        if self._failed:
            return
        self._failed = True
        self._warn(
            f"{fault(self._results, error)}; the runs and their records do not need it. "
            f"`python -m benchmark track --results {self._results}` writes later what is missing."
        )

    def _open(self) -> None:
        from benchmark.tracking.machine import Machine
        from benchmark.tracking.store import Store
        from benchmark.tracking.sync import close_dead

        self._store = Store(self._results)
        self._machine = Machine()
        self._experiment = self._store.experiment(self._invocation.experiment)
        self._parent = mirror.open_parent(self._store, self._experiment, self._invocation)
        close_dead(self._store, self._experiment, self._results)

    def _open_child(self, spec: RunSpec, begin_ms: int) -> None:
        if spec.key in self._children:
            return  # an attempt that was cut short; this one goes on in its place
        tags = values.child_tags(
            spec, self._invocation.id, self._parent,
            self._plan.profile, self._plan.sources[spec.dataset].release,
        )  # fmt: skip
        self._children[spec.key] = mirror.open_child(
            self._store, self._experiment, spec, tags, begin_ms
        )
        self._epochs[spec.key] = set()

    def _log_epoch(self, spec: RunSpec, event: dict[str, Any], stamp_ms: int) -> None:
        epoch = int(event["epoch"])
        if epoch in self._epochs[spec.key]:
            return  # done again after an attempt that was cut short
        run = self._children[spec.key]
        mirror.log_epoch(self._store, run, event, stamp_ms, self._machine.read())
        self._epochs[spec.key].add(epoch)

    def _close_child(self, spec: RunSpec, record: dict[str, Any], begin_ms: int) -> None:
        if spec.key not in self._children:  # it died before it said anything
            self._open_child(spec, begin_ms)
        run = self._children.pop(spec.key)
        mirror.complete_child(self._store, run, record, self._epochs.pop(spec.key))

    def _close(self, files: Sequence[Path]) -> None:
        mirror.close_parent(self._store, self._parent, self._invocation, self._results, files)
