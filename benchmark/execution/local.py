"""A worker process on this machine."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil

from benchmark.execution.executor import Inbox
from benchmark.execution.order import Order
from benchmark.execution.slots import Slot, make_slots

ROOT = Path(__file__).resolve().parent.parent.parent
HOST = socket.gethostname()

_numbers = itertools.count()


class WorkerProcess:
    """Starts a worker, which imports its framework at once, and gives it an order later.

    The worker lives in a session of its own: Ctrl-C in the terminal reaches the scheduler only,
    which decides what becomes of the run.

    Args:
        backend: Keras backend that the worker imports.
        results: Results folder; the log of a worker without an order lies there.
        slot: Share of the machine the worker is bound to.
        inbox: Receives what the worker says.
    """

    # It starts at once, and where it is gone so is the scheduler.
    waiting = False
    lost = ""

    def __init__(self, backend: str, results: Path, slot: Slot, inbox: Inbox) -> None:
        self.backend = backend
        self.slot = slot
        self._inbox = inbox
        self.log = spare_log(results)
        environment = {
            "TF_CPP_MIN_LOG_LEVEL": "2",
            **os.environ,
            **slot.environment,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join(
                [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
            "PYTHONUNBUFFERED": "1",
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmark.execution.worker", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        threading.Thread(target=self._listen, name="worker events", daemon=True).start()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status of the worker; negative for a signal, None while it runs."""
        return self._process.poll()

    def give(self, order: Order) -> None:
        """Give the worker its order."""
        assert self._process.stdin is not None
        # A worker that died before it could listen says why by its exit code and its log.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write((order.to_json() + "\n").encode())
        self._close_input()

    def keep_log(self, path: Path) -> None:
        """Make the worker's log this file; the worker goes on writing to it.

        That of an earlier attempt stays beside it.
        """
        self.log = keep_log(self.log, path)

    def dump(self) -> None:
        """Have the worker write to its log where each of its threads is."""
        self._signal(signal.SIGUSR1)

    def terminate(self) -> None:
        """Ask the worker to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the worker now, with all processes it has started."""
        self._signal(signal.SIGKILL)

    def dismiss(self) -> None:
        """End a worker; the log of one that worked on no run is removed."""
        self.kill()
        self._close_input()
        self._process.wait()
        remove_spare(self.log)

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            if number == signal.SIGKILL:
                os.killpg(self._process.pid, number)  # its session is its own
            else:
                self._process.send_signal(number)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as events:
            for line in events:
                if line.endswith(b"\n"):  # else the worker was killed while speaking
                    self._inbox.put((self, json.loads(line)))
        self._process.wait()
        self._inbox.put((self, None))


class LocalExecutor:
    """Starts workers on this machine."""

    prepares = True

    def slots(self, jobs: int | None, *, devices: int = 1) -> list[Slot]:
        """Return the shares of this machine: one for each GPU, and one where there is none."""
        return make_slots(jobs, devices=devices)

    def start(self, order: Order, slot: Slot, inbox: Inbox) -> WorkerProcess:
        """Start a worker for such an order; what it says goes to the inbox."""
        return WorkerProcess(order.spec.protocol.backend, order.results, slot, inbox)


def spare_log(results: Path) -> Path:
    """Return a file for what a worker prints before it begins to work on a run."""
    log = results / "runs" / f".spare-{HOST}-{os.getpid()}-{next(_numbers)}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return log


def keep_log(log: Path, path: Path) -> Path:
    """Give a log its name in the folder of its run; that of an earlier attempt stays beside it.

    A worker that was dismissed before it had a place has no log any more: the one of the attempt
    before keeps its name.
    """
    if log.exists() and log != path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.replace(path.with_suffix(".earlier.txt"))
        log.rename(path)
    return path


def remove_spare(log: Path) -> None:
    """Remove the log of a worker that worked on no run."""
    if log.name.startswith(".spare"):
        log.unlink(missing_ok=True)


def sweep(results: Path) -> None:
    """Remove the logs of spare workers whose invocation on this host was killed."""
    for log in (results / "runs").glob(f".spare-{HOST}-*.log"):
        if not psutil.pid_exists(int(log.name.split("-")[-2])):
            log.unlink(missing_ok=True)
