"""Where invocations stand, for whoever asks from another terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmark.errors import BenchmarkError
from benchmark.execution.locks import is_locked, try_lock
from benchmark.execution.state import State
from benchmark.experiment.spec import RunSpec
from benchmark.records import write_json

# What every status file says.
KEYS = frozenset(
    {"host", "pid", "experiment", "profile", "started_utc", "total", "left_s", "running", "ended"}
)
# A file a second is enough for a reader, and nothing beside a run.
EVERY_S = 1.0


class StatusFile:
    """Writes ``results/status/<host>-<pid>.json`` for as long as it is entered.

    Args:
        results: Results folder.
        experiment: Name of the experiment.
        profile: Name of the profile.
        state: What is written; it must hear of every event before this does.
    """

    def __init__(self, results: Path, experiment: str, profile: str, state: State) -> None:
        self._path = results / "status" / f"{socket.gethostname()}-{os.getpid()}.json"
        self._state = state
        self._head = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "experiment": experiment,
            "profile": profile,
            "started_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        self._written_s = float("-inf")

    def __enter__(self) -> StatusFile:
        for path in self._path.parent.glob(f"{socket.gethostname()}-*.json"):
            if not is_locked(path.with_suffix(".lock")):  # its process was killed
                path.unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)
        self._lock = try_lock(self._path.with_suffix(".lock"))
        self._write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._path.unlink(missing_ok=True)
        self._path.with_suffix(".lock").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()

    def run_started(self, spec: RunSpec, number: int, total: int) -> None:
        """Write that a run begins."""
        self._write()

    def event(self, spec: RunSpec, event: dict[str, Any]) -> None:
        """Write what has changed, at most once a second."""
        if time.monotonic() - self._written_s > EVERY_S:
            self._write()

    def run_finished(self, spec: RunSpec, record: dict[str, Any]) -> None:
        """Write how a run ended."""
        self._write()

    def _write(self) -> None:
        self._written_s = time.monotonic()
        now = self._state.clock()
        running = [
            {**dataclasses.asdict(run), "seconds": now - run.began_s}
            for run in self._state.running.values()
        ]
        for run in running:
            del run["began_s"]
        content = {
            **self._head,
            "total": self._state.total,
            "left_s": self._state.left_s(),
            "running": running,
            "ended": [dataclasses.asdict(run) for run in self._state.ended],
        }
        # A convenience must not end runs; where the disk is full, records and checkpoints say so.
        with contextlib.suppress(OSError):
            write_json(self._path, content)


def read_status(results: Path) -> list[dict[str, Any]]:
    """Return what every invocation on a results folder last said of itself, oldest first.

    Each has ``alive``: whether its process still runs. On a file system of several hosts that is
    known through the lock it holds, not through its number.
    """
    found = []
    for path in sorted((results / "status").glob("*.json")):
        try:
            status = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue  # it ended while we were reading
        except (OSError, ValueError) as error:
            raise BenchmarkError(
                f"{path}: expected what a running benchmark writes, found it damaged ({error}). "
                "Delete the file."
            ) from None
        if not isinstance(status, dict) or not set(status) >= KEYS:
            raise BenchmarkError(
                f"{path}: expected {', '.join(sorted(KEYS))}, as a running benchmark writes them. "
                "Delete the file."
            )
        status["alive"] = is_locked(path.with_suffix(".lock"))
        found.append(status)
    return sorted(found, key=lambda status: str(status["started_utc"]))
