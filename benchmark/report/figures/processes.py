"""Processes that draw: what drawing imports is imported once, beside what comes before."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

# What draws a sheet and returns its files; it can be sent to another process.
Sheet = Callable[[], list[Path]]

# Where processes can be forked they are, but from a bare one and not from this: it has threads.
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_IMPORTS = (
    "benchmark.report.figures.sheets", "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_svg", "fontTools.subset", "pypdfium2", "seaborn",
)  # fmt: skip


def begin_imports() -> None:
    """Have modules imported in the background that drawing will wait for; may be left out."""
    if _METHOD == "forkserver":
        from multiprocessing import forkserver

        multiprocessing.get_context(_METHOD).set_forkserver_preload(list(_IMPORTS))
        forkserver.ensure_running()


@contextmanager
def started(todo: Sequence[Sheet], processes: int) -> Iterator[Callable[[], list[Path]]]:
    """Draw sheets in other processes while the block goes on.

    Args:
        todo: the sheets.
        processes: how many; below two, all is drawn here when it is asked for.

    Yields:
        What waits for all sheets and returns their files in order; it raises what one raised.
    """
    if processes < 2:
        yield lambda: [path for sheet in todo for path in sheet()]
        return
    begin_imports()
    pool = ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context(_METHOD),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),  # Ctrl-C is for who waits
    )
    try:
        drawn = [pool.submit(sheet) for sheet in todo]
        yield lambda: [path for sheet in drawn for path in sheet.result()]
    finally:
        pool.shutdown(cancel_futures=True)
