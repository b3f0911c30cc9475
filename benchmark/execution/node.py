"""What happens on another machine: a worker process serves one order there, and is listened to.

Nothing here knows who calls. Whatever is asked twice is answered twice, so that a caller whose
connection broke can ask again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import shutil
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from benchmark.execution.executor import Inbox
from benchmark.execution.folder import pack, unpack
from benchmark.execution.local import WorkerProcess
from benchmark.execution.locks import is_locked, locked, try_lock
from benchmark.execution.order import Order
from benchmark.execution.slots import Slot

# The most of a log that is sent at once.
PIECE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Heard:
    """What a worker has said.

    Attributes:
        events: Its events.
        log: What it has printed.
        ended: Whether it has ended; there may be more of its log all the same.
        returncode: Its exit status, None while it runs.
    """

    events: list[dict[str, Any]]
    log: bytes
    ended: bool
    returncode: int | None


class Station:
    """Carries out one order on this machine.

    Args:
        scratch: Folder of this machine that is kept from run to run.
        cpus: Processors of the run; fewer than there are become its own.
        gpus: GPUs of the run; without one it sees none.
    """

    def __init__(self, scratch: Path, *, cpus: int, gpus: int) -> None:
        self._scratch = scratch
        self._processors, self._held = take_processors(scratch / "processors", cpus)
        self._slot = Slot(gpu=None if gpus else "", cpus=self._processors)
        self._inbox: Inbox = queue.Queue()
        self._events: list[dict[str, Any]] = []
        self._ended = False
        self._starting = threading.Lock()
        self._worker: WorkerProcess
        self._order: Order  # these two from `start` on

    def start(self, line: str, parcels: Mapping[str, bytes]) -> None:
        """Start the worker of an order.

        Args:
            line: The order, as JSON.
            parcels: By key, as :func:`pack` makes them: the checkpoints of earlier attempts, and
                the runs that it needs beside it.
        """
        with self._starting:  # a caller whose connection broke may ask while the first goes on
            if not hasattr(self, "_worker"):
                self._start(line, parcels)

    def listen(self, events: int, log: int, wait_s: float) -> Heard:
        """Return what the worker has said, as soon as it says something.

        Args:
            events: Number of its events that are known already.
            log: Bytes of its log that are known already.
            wait_s: Longest time to wait for an event.
        """
        if len(self._events) == events and not self._ended:
            with contextlib.suppress(queue.Empty):
                self._take(self._inbox.get(timeout=wait_s))
        with contextlib.suppress(queue.Empty):
            while True:
                self._take(self._inbox.get_nowait())
        ended = self._ended  # before its log is read: the log of one that has ended is whole
        with self._worker.log.open("rb") as file:
            file.seek(log)
            piece = file.read(PIECE)
        return Heard(self._events[events:], piece, ended, self._worker.returncode)

    def checkpoint(self, known: str) -> tuple[str, bytes] | None:
        """Return name and content of the newest checkpoint, None where that is known already."""
        for path in sorted(self._order.folder.glob("checkpoint-*.bin"), reverse=True):
            if path.name <= known:
                break
            with contextlib.suppress(FileNotFoundError):  # newer ones have taken its place
                return path.name, path.read_bytes()
        return None

    def collect(self) -> bytes:
        """Return the folder of the run."""
        return pack(self._order.folder)

    def signal(self, what: str) -> None:
        """Ask the worker where it stands (``dump``), to end (``terminate``), or end it (``kill``).

        One that is not there yet cannot be asked.
        """
        worker = getattr(self, "_worker", None)
        if worker is not None:
            {"dump": worker.dump, "terminate": worker.terminate, "kill": worker.kill}[what]()

    def leave(self) -> None:
        """End the worker and remove its folder."""
        if hasattr(self, "_worker"):
            self._worker.dismiss()
            shutil.rmtree(self._order.results, ignore_errors=True)
        for file in self._held:
            file.close()

    def _start(self, line: str, parcels: Mapping[str, bytes]) -> None:
        order = Order.from_json(line)
        results = self._own_folder()
        self._order = dataclasses.replace(order, results=results, scratch=self._scratch)
        for key, parcel in parcels.items():
            unpack(parcel, results / "runs" / key)
        backend = order.spec.protocol.backend
        self._worker = WorkerProcess(backend, results, self._slot, self._inbox)
        self._worker.give(self._order)

    def _take(self, message: tuple[Any, dict[str, Any] | None]) -> None:
        event = message[1]
        if event is None:
            self._ended = True
        else:
            self._events.append(event)

    def _own_folder(self) -> Path:
        """Make a results folder for this order alone; remove those whose process has died."""
        folders = self._scratch / "attempts"
        with locked(self._scratch / "attempts.lock"):
            for folder in folders.glob("*"):
                if not is_locked(folder / "alive"):
                    shutil.rmtree(folder, ignore_errors=True)
            mine = folders / uuid.uuid4().hex
            lock = try_lock(mine / "alive")
            assert lock is not None
        self._held.append(lock)
        return mine


def take_processors(folder: Path, count: int) -> tuple[tuple[int, ...], list[IO[bytes]]]:
    """Take processors of this machine for as long as the returned files are open.

    Runs that share a machine otherwise lengthen each other's steps.

    Args:
        folder: Where their locks lie.
        count: How many.

    Returns:
        Their numbers, and locks. None of both where that is all there are, or where others hold
        more of them than was promised.
    """
    all_of_them = sorted(os.sched_getaffinity(0))
    numbers: list[int] = []
    locks: list[IO[bytes]] = []
    if count < len(all_of_them):
        for number in all_of_them:
            if len(numbers) < count and (lock := try_lock(folder / str(number))) is not None:
                numbers.append(number)
                locks.append(lock)
    if len(numbers) == count:
        return tuple(numbers), locks
    for lock in locks:
        lock.close()
    return (), []
