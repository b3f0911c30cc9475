"""Clocks and memory: what is timed, and how it is summarised."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
