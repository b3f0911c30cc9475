"""Processes that draw beside this one."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

# What draws a sheet and returns its files; it can be sent to another process.
Sheet = Callable[[], list[Path]]

_PATIENCE_S = 1.0
_MOST_HELPERS = 3  # more would have nothing to do by the time they have imported matplotlib


def usual_crew(processors: int) -> Crew:
    """A crew for some processors, of which this process takes one itself."""
    return Crew(min(processors - 1, _MOST_HELPERS))


class Crew:
    """Helpers that draw while this process does something else, and then draws with them.

    They import what drawing needs as soon as the crew is made. They end with this process, however
    it ends, after the sheet they are at. When the block of a crew is left for an error they are
    killed, whatever they do.

    Attributes:
        helpers: the processes.
        failures: how many sheets were given back by a helper that failed, and drawn here.
    """

    def __init__(self, helpers: int = 0) -> None:
        """Start helpers; without any, all is drawn here."""
        self.helpers: list[subprocess.Popen[bytes]] = []
        self.failures = 0
        self._threads: list[Thread] = []
        with suppress(OSError):  # of a machine that has no room for one more; it can do without
            for _ in range(helpers):
                self.helpers.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "benchmark.report.figures.helper"],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        # What can be imported here can be imported there.
                        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                        start_new_session=True,  # Ctrl-C is for this process, which kills them
                    )
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            for helper in self.helpers:
                helper.kill()
        for thread in self._threads:
            thread.join()
        for helper in self.helpers:
            for pipe in (helper.stdin, helper.stdout):
                with suppress(BrokenPipeError):
                    pipe.close()  # type: ignore[union-attr]
        for helper in self.helpers:
            try:
                helper.wait(timeout=_PATIENCE_S)  # it ends by itself as its input does
            except subprocess.TimeoutExpired:
                helper.kill()
                helper.wait()

    def begin(self, todo: Sequence[Sheet]) -> Callable[[], list[Path]]:
        """Have the helpers begin with sheets.

        Args:
            todo: the sheets, once for a crew.

        Returns:
            What draws those not yet begun, waits for the others and returns all files in the order
            of the sheets. A sheet that a helper fails to draw, or dies of, is drawn here, where
            its error is raised if it is one of its own.
        """
        waiting = deque(enumerate(todo))
        done: dict[int, list[Path]] = {}
        for helper in self.helpers:
            thread = Thread(target=self._employ, args=(helper, waiting, done), daemon=True)
            thread.start()
            self._threads.append(thread)

        def finish() -> list[Path]:
            while len(done) < len(todo):
                for number, sheet in _taken(waiting.pop):
                    done[number] = sheet()
                for thread in self._threads:
                    thread.join()
                if not waiting and len(done) < len(todo):
                    raise RuntimeError("a sheet was lost; its error was raised before")
            return [path for _, paths in sorted(done.items()) for path in paths]

        return finish

    def _employ(
        self,
        helper: subprocess.Popen[bytes],
        waiting: deque[tuple[int, Sheet]],
        done: dict[int, list[Path]],
    ) -> None:
        """Give a helper one sheet after the other until there is none, or one fails."""
        assert helper.stdin is not None
        assert helper.stdout is not None
        for number, sheet in _taken(waiting.popleft):
            try:
                pickle.dump(sheet, helper.stdin)
                helper.stdin.flush()
                done[number] = pickle.load(helper.stdout)
            except Exception:  # of the way there, the sheet or the helper: see `begin`
                helper.kill()  # that it writes no more to what is drawn again
                self.failures += 1
                waiting.append((number, sheet))
                return
        helper.stdin.close()  # it may end


def _taken(take: Callable[[], tuple[int, Sheet]]) -> Iterator[tuple[int, Sheet]]:
    """What can still be taken; others take, too."""
    while True:
        try:
            one = take()
        except IndexError:
            return
        yield one
