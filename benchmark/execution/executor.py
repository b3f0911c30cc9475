"""What the scheduler knows of workers, wherever they are."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any, Protocol

from benchmark.execution.order import Order
from benchmark.execution.slots import Slot

# What a worker says, or None when it has ended and will say no more.
Message = tuple["Worker", dict[str, Any] | None]
Inbox = queue.Queue[Message]


class Worker(Protocol):
    """Works on one order in a process of its own."""

    @property
    def backend(self) -> str:
        """Keras backend that it imports."""

    @property
    def slot(self) -> Slot:
        """The slot that it fills."""

    @property
    def log(self) -> Path:
        """File with what it prints."""

    @property
    def returncode(self) -> int | None:
        """Exit status; negative for a signal, None while it runs or where it is not known."""

    @property
    def waiting(self) -> bool:
        """Whether it has no place yet: no limit of time holds for it so far."""

    @property
    def lost(self) -> str:
        """What became of the machine it was on, in words; empty unless that is gone."""

    def give(self, order: Order) -> None:
        """Give the worker its order."""

    def keep_log(self, path: Path) -> None:
        """Make its log this file; that of an earlier attempt stays beside it."""

    def dump(self) -> None:
        """Have it write to its log where each of its threads is."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it now; may be called again where it does not end."""

    def dismiss(self) -> None:
        """End it and forget it; the log of one that worked on no run is removed."""


class Executor(Protocol):
    """Starts workers."""

    @property
    def prepares(self) -> bool:
        """Whether a worker may start up beside the one whose slot it is going to fill."""

    def slots(self, jobs: int | None, *, devices: int = 1) -> list[Slot]:
        """Return the shares that run one worker each.

        Args:
            jobs: How many; by default as many as there is room for.
            devices: The most devices that one of the runs takes.

        Raises:
            BenchmarkError: There cannot be as many.
        """

    def start(self, order: Order, slot: Slot, inbox: Inbox) -> Worker:
        """Start a worker for such an order; what it says goes to the inbox."""
