"""A worker process on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.execution.worker import Order

ROOT = Path(__file__).resolve().parent.parent.parent


class WorkerProcess:
    """Starts a worker, which imports its framework at once, and gives it one order later.

    The worker lives in a session of its own: Ctrl-C in the terminal reaches the scheduler only,
    which decides what becomes of the run.

    Args:
        order: What the worker will be asked to do.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        order.folder.mkdir(parents=True, exist_ok=True)
        environment = {
            "TF_CPP_MIN_LOG_LEVEL": "2",
            **os.environ,
            "KERAS_BACKEND": order.spec.protocol.backend,
            "PYTHONPATH": os.pathsep.join(
                [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
            "PYTHONUNBUFFERED": "1",
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmark.execution.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    @property
    def log(self) -> Path:
        """File that receives everything the worker prints."""
        return self.order.folder / "log.txt"

    def run(self) -> Iterator[dict[str, Any]]:
        """Give the order and yield events until the worker has ended."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write((self.order.to_json() + "\n").encode())
            process.stdin.close()
        except BrokenPipeError:
            pass  # it died before it could listen; its exit code and log say why
        with process.stdout as events:
            for line in events:
                yield json.loads(line)
        process.wait()

    @property
    def returncode(self) -> int | None:
        """Exit status of the worker; negative for a signal, None while it runs."""
        return self._process.poll()

    def dismiss(self) -> None:
        """End a worker that will get no order."""
        self._process.kill()
        self._process.communicate()

    def kill(self) -> None:
        """End the worker now."""
        self._process.kill()
