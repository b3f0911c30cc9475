"""Clocks and memory: what is timed, and how it is summarised."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Steps before this one are warm-up: tracing, allocation, autotuning.
WARM_UP_STEPS = 3


class Stopwatch:
    """Named spans of wall time in seconds.

    ```python
    watch = Stopwatch()
    with watch.span("train_s"):
        ...
    watch.spans["train_s"]
    ```
    """

    def __init__(self) -> None:
        self.spans: dict[str, float] = {}

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Add the time spent inside to the span of that name."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.spans[name] = self.spans.get(name, 0.0) + time.perf_counter() - start


def summarise_steps(step_s: Sequence[float], batch_size: int) -> dict[str, float]:
    """Summarise the durations of gradient steps.

    The first step compiles: ``compile_s`` is what it took beyond the median. Percentiles leave out
    the first three steps.

    Args:
        step_s: Duration of each step, including the wait for its batch and the fetch of its loss.
        batch_size: Samples per step.

    Returns:
        ``compile_s``, ``step_ms_p50``, ``step_ms_p90``, ``step_ms_p99``, ``samples_per_s``; empty
        where no step was timed.
    """
    if not step_s:
        return {}
    steady = np.asarray(step_s[WARM_UP_STEPS:] or step_s)
    p50, p90, p99 = (float(value) for value in np.percentile(steady, (50, 90, 99)))
    return {
        "compile_s": max(step_s[0] - p50, 0.0),
        "step_ms_p50": 1e3 * p50,
        "step_ms_p90": 1e3 * p90,
        "step_ms_p99": 1e3 * p99,
        "samples_per_s": batch_size / p50 if p50 > 0 else 0.0,
    }


def summarise_waits(step_s: Sequence[float], wait_s: Sequence[float]) -> dict[str, float]:
    """Summarise how long gradient steps waited for their batches, without the first three.

    Args:
        step_s: Duration of each step.
        wait_s: Part of each that was spent waiting.

    Returns:
        ``wait_ms_p50`` and ``wait_share``, the part of all steps' time; empty without steps.
    """
    if not step_s:
        return {}
    steps, waits = (np.asarray(each[WARM_UP_STEPS:] or each) for each in (step_s, wait_s))
    return {
        "wait_ms_p50": 1e3 * float(np.median(waits)),
        "wait_share": float(waits.sum() / steps.sum()) if steps.sum() > 0 else 0.0,
    }


def summarise_epochs(
    epoch_s: Sequence[float], steps: Sequence[int], step_ms_p50: float
) -> dict[str, float]:
    """Summarise the durations of epochs; the first, which compiles, only where it is the only one.

    Args:
        epoch_s: Duration of each epoch without validation.
        steps: Gradient steps of each.
        step_ms_p50: Median step.

    Returns:
        ``epoch_s``, the median epoch, and ``epoch_ratio``, the median of what an epoch took over
        what its steps would have taken at the median: 1 where nothing lies between steps and no
        step waits for its batch.
    """
    if not epoch_s:
        return {}
    later = slice(1 if len(epoch_s) > 1 else 0, None)
    seconds, counts = np.asarray(epoch_s)[later], np.asarray(steps)[later]
    ideal = 1e-3 * step_ms_p50 * counts
    return {
        "epoch_s": float(np.median(seconds)),
        "epoch_ratio": float(np.median(seconds / ideal)) if (ideal > 0).all() else 0.0,
    }


@dataclass(frozen=True)
class Passes:
    """How often and how long something is done to be timed.

    First it is done until ``warm_up`` times or a quarter of ``span_s`` are over, then timed until
    ``timed`` times or ``span_s`` are over, but at least ``least`` times.
    """

    span_s: float
    warm_up: int = 10
    timed: int = 50
    least: int = 5


def time_passes(
    call: Callable[[], object], passes: Passes, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Return the seconds that each of the timed calls took.

    Args:
        call: Ends when its result is on the host.
        passes: How often it is called.
        clock: Seconds.
    """
    begin = clock()
    for _ in range(passes.warm_up):
        call()
        if clock() - begin >= passes.span_s / 4:
            break
    seconds: list[float] = []
    begin = clock()
    while len(seconds) < passes.timed:
        started = clock()
        call()
        ended = clock()
        seconds.append(ended - started)
        if ended - begin >= passes.span_s and len(seconds) >= passes.least:
            break
    return seconds


def peak_rss_mib() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) / 1024
    except OSError:
        pass  # no procfs: ask the C library, whose unit differs between systems
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
