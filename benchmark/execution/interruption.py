"""What Ctrl-C means: once, finish the current runs and stop; twice, stop now.

A system that asks this process to end (SIGTERM of a job scheduler, SIGHUP of a terminal that is
gone) gives it seconds: that means the same as Ctrl-C twice.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class Interruption:
    """Counts how often the user has asked to stop, for as long as it is entered.

    Args:
        tell: Shows a sentence to the user.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.asked = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1 if number == signal.SIGINT else 2
        if self.asked == 1:
            self._tell("Finishing what runs now, then stopping. Ctrl-C again stops at once.")
