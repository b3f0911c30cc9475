"""Executes a plan: every run in a process of its own, as many at once as there are slots."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from benchmark.execution.closing import close
from benchmark.execution.executor import Executor, Inbox, Worker
from benchmark.execution.interruption import Interruption
from benchmark.execution.local import LocalExecutor, sweep
from benchmark.execution.locks import is_locked
from benchmark.execution.order import Order, finished_elsewhere
from benchmark.execution.slots import Slot
from benchmark.experiment.spec import RunSpec

# How often limits, locks of other invocations and Ctrl-C are looked at.
POLL_S = 0.5
# What a worker is given between being asked to end and being made to.
GRACE_S = 5.0
# How often a run is begun whose machine is lost: one that takes its machines down ends some time.
MOST_ATTEMPTS = 3


class Listener(Protocol):
    """Learns what happens, as it happens."""

    def run_started(self, spec: RunSpec, number: int, total: int) -> None:
        """A run begins; it is the ``number``-th of ``total`` that are executed."""

    def event(self, spec: RunSpec, event: dict[str, Any]) -> None:
        """A worker reports: ``stage``, ``progress``, ``epoch``, ``resumed`` or the like."""

    def run_finished(self, spec: RunSpec, record: dict[str, Any]) -> None:
        """A run has ended and its record is on disk."""


@dataclass(frozen=True)
class Limits:
    """How long a run may take.

    Attributes:
        run_s: Seconds from its order to its record, without waiting for a place.
        silence_s: Seconds without a sign of life: a stage, a prepared case, an epoch.
    """

    run_s: float = float("inf")
    silence_s: float = float("inf")


@dataclass
class Job:
    """A run that goes on."""

    order: Order
    worker: Worker
    began_s: float
    heard_s: float
    # Why this process ends it: "timeout", "pruned" or "user", with a sentence; empty while it does
    # not.
    ending: str = ""
    because: str = ""
    begun: bool = False
    ending_s: float = field(default=float("inf"))


class Scheduler:
    """Gives orders to workers and follows them to their records.

    While the network of a run is built and compiled, which keeps one core busy, the worker of the
    next run imports its framework on another: start-up costs little time of its own, and the steps
    that are timed run alone.

    Args:
        orders: Runs in order.
        listeners: Are told of every event.
        tell: Shows a sentence to the user.
        slots: Shares of the machine.
        limits: How long a run may take.
        executor: Starts the workers; by default on this machine.
    """

    def __init__(
        self,
        orders: Sequence[Order],
        listeners: Sequence[Listener],
        tell: Callable[[str], None],
        *,
        slots: Sequence[Slot] = (Slot(),),
        limits: Limits | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._pending = deque(orders)
        self._elsewhere: list[Order] = []  # another invocation runs them
        self._total = len(orders)
        self._folders = {order.results for order in orders}
        self._started = 0
        self._listeners = listeners
        self._tell = tell
        self._slots = slots
        self._limits = limits or Limits()
        self._executor = executor or LocalExecutor()
        self._stopping = False
        self._begun: set[str] = set()
        self._inbox: Inbox = queue.Queue()
        self._jobs: dict[Slot, Job] = {}
        self._spares: dict[Slot, Worker] = {}
        self._records: list[dict[str, Any]] = []
        self.asked_to_stop = False

    def end(self, key: str, status: str, because: str) -> None:
        """End a run that goes on, with this status; for listeners."""
        for job in self._jobs.values():
            if job.order.spec.key == key and not job.ending:
                job.ending, job.because, job.ending_s = status, because, time.monotonic()
                job.worker.terminate()

    def run(self) -> tuple[list[dict[str, Any]], bool]:
        """Execute the orders.

        Returns:
            The records of the runs that were executed here or met on disk, and whether the user
            interrupted.

        Raises:
            OSError: A record cannot be written (a full disk): all workers are ended, what is
                finished is kept.
        """
        with Interruption(self._tell) as interruption:
            try:
                for results in self._folders:
                    sweep(results)
                while self._jobs or (self._waiting and not interruption.asked):
                    if interruption.asked > 1:
                        self._end_all()
                    if interruption.asked:
                        self._withdraw()
                    else:
                        self._fill()
                    self._hear()
                    self._check_limits()
            finally:
                for worker in (*self._spares.values(), *(j.worker for j in self._jobs.values())):
                    worker.dismiss()
                self.asked_to_stop = bool(interruption.asked)
            return self._records, bool(interruption.asked > 1 or self._waiting)

    @property
    def _waiting(self) -> bool:
        return bool(self._pending or self._elsewhere)

    def _withdraw(self) -> None:
        """Take back the orders whose workers have no place yet; start no other."""
        self._stopping = True
        for slot, job in list(self._jobs.items()):
            if not job.worker.waiting:
                continue
            job.worker.dismiss()
            if job.order.spec.key not in self._begun:
                del self._jobs[slot]
                self._pending.append(job.order)
            else:  # listeners were told of it: it is to have an end
                job.ending, job.because = "user", "the user stopped it after its machine was lost"
                self._close(slot, job)

    def _fill(self) -> None:
        """Give every free slot an order, if there is one that no other invocation works on."""
        for slot in self._slots:
            if slot in self._jobs:
                continue
            order = self._next_order()
            if order is None:
                return
            worker = self._worker_for(order, slot)
            now = time.monotonic()
            self._jobs[slot] = Job(order, worker, now, now)
            worker.give(order)

    def _next_order(self) -> Order | None:
        while self._pending:
            order = self._pending.popleft()
            if is_locked(order.lock):
                self._put_aside(order)
            elif not self._is_done(order):
                return order
        for order in list(self._elsewhere):
            if not is_locked(order.lock):
                self._elsewhere.remove(order)
                if not self._is_done(order):
                    return order
        return None

    def _put_aside(self, order: Order) -> None:
        self._elsewhere.append(order)
        self._tell(f"{order.spec.name}: another invocation is running it; waiting for its record.")

    def _is_done(self, order: Order) -> bool:
        """Tell whether another invocation has left a record, and take it over if so."""
        record = finished_elsewhere(order)
        if record is None:
            return False
        self._records.append(record)
        if order.spec.key in self._begun:  # here too, until its machine was lost
            for listener in self._listeners:
                listener.run_finished(order.spec, record)
        else:
            self._total -= 1
        self._tell(f"{order.spec.name}: another invocation has run it: {record['status']}.")
        return True

    def _worker_for(self, order: Order, slot: Slot) -> Worker:
        spare = self._spares.pop(slot, None)
        if spare is not None:
            if spare.backend == order.spec.protocol.backend and spare.returncode is None:
                return spare
            spare.dismiss()
        return self._start(order, slot)

    def _start(self, order: Order, slot: Slot) -> Worker:
        return self._executor.start(order, slot, self._inbox)

    def _hear(self) -> None:
        """Take one message of a worker, if one comes soon."""
        try:
            worker, event = self._inbox.get(timeout=POLL_S)
        except queue.Empty:
            return
        job = self._jobs.get(worker.slot)
        if job is None or job.worker is not worker:
            return  # a spare: that it is ready or has died is seen when it is needed
        if event is None:
            self._close(worker.slot, job)
            return
        job.heard_s = time.monotonic()
        if event["event"] == "begun":
            worker.keep_log(job.order.log)
            self._begin(job)
        elif event["event"] == "busy":  # another invocation took the key between look and order
            worker.dismiss()
            del self._jobs[worker.slot]
            self._put_aside(job.order)
        elif event["event"] not in ("ready", "step"):
            if event.get("stage") == "building the network":
                self._prepare_next(worker.slot)
            for listener in self._listeners:
                listener.event(job.order.spec, event)

    def _begin(self, job: Job) -> None:
        job.begun = True
        if job.order.spec.key in self._begun:
            return  # another attempt at the same run
        self._begun.add(job.order.spec.key)
        self._started += 1
        for listener in self._listeners:
            listener.run_started(job.order.spec, self._started, self._total)

    def _prepare_next(self, slot: Slot) -> None:
        if not self._executor.prepares:
            return
        if slot not in self._spares and len(self._pending) > len(self._spares):
            self._spares[slot] = self._start(self._pending[len(self._spares)], slot)

    def _check_limits(self) -> None:
        now = time.monotonic()
        for job in self._jobs.values():
            if job.ending:
                if now > job.ending_s + GRACE_S:
                    job.worker.kill()
                continue
            if job.worker.waiting:
                job.began_s = job.heard_s = now
            if now > job.began_s + self._limits.run_s:
                self._end(job, f"took longer than {self._limits.run_s:g} s (limits.run_s)")
            elif now > job.heard_s + self._limits.silence_s:
                self._end(
                    job, f"gave no sign for {self._limits.silence_s:g} s (limits.silence_s); "
                    "log.txt says where it stood",
                )  # fmt: skip

    def _end(self, job: Job, because: str) -> None:
        job.ending, job.because, job.ending_s = "timeout", f"the run {because}", time.monotonic()
        job.worker.dump()
        job.worker.terminate()

    def _end_all(self) -> None:
        for job in self._jobs.values():
            if job.ending != "user":
                job.ending, job.because = "user", "the worker was ended by the user"
                job.ending_s = time.monotonic()
                job.worker.kill()

    def _close(self, slot: Slot, job: Job) -> None:
        del self._jobs[slot]
        if job.worker.lost and not job.ending:
            if job.order.attempt < MOST_ATTEMPTS and not self._stopping:
                self._begin_again(job)
                return
            job.ending = "lost"
            job.because = f"{job.worker.lost}; the run was begun {job.order.attempt} times"
        status = {"user": "killed", "lost": "killed"}.get(job.ending, job.ending)
        record = close(
            job.order, job.worker, status=status, because=job.because,
            total_s=time.monotonic() - job.began_s,
        )  # fmt: skip
        if record is None:
            job.worker.dismiss()
            self._put_aside(job.order)
            return
        if not job.begun:  # it died while it started
            self._begin(job)
        self._records.append(record)
        for listener in self._listeners:
            listener.run_finished(job.order.spec, record)

    def _begin_again(self, job: Job) -> None:
        """Have a run whose machine is lost taken up on another, from its last checkpoint here."""
        name = job.order.spec.name
        self._tell(f"{name}: {job.worker.lost}; it is taken up again on another machine.")
        job.worker.dismiss()
        if job.begun:
            for listener in self._listeners:
                stage = {"event": "stage", "stage": "waiting for another machine"}
                listener.event(job.order.spec, stage)
        self._pending.appendleft(replace(job.order, attempt=job.order.attempt + 1))
