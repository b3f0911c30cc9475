from __future__ import annotations

import itertools
import subprocess
import sys
import time

import pytest

from benchmark.timing import (
    Passes,
    Stopwatch,
    summarise_epochs,
    summarise_steps,
    summarise_waits,
    time_passes,
)


def test_first_step_is_compilation_and_warm_up_is_left_out():
    summary = summarise_steps([5.0, 0.9, 0.9, *[0.1] * 99, 0.5], batch_size=8)
    assert summary["step_ms_p50"] == pytest.approx(100)
    assert summary["compile_s"] == pytest.approx(4.9)
    assert summary["step_ms_p99"] == pytest.approx(104, abs=5)
    assert summary["samples_per_s"] == pytest.approx(80)


def test_runs_shorter_than_the_warm_up_are_summarised_as_they_are():
    assert summarise_steps([2.0, 1.0, 1.0], batch_size=1)["step_ms_p50"] == pytest.approx(1000)
    assert summarise_steps([], batch_size=1) == {}


def test_stopwatch_adds_spans_of_the_same_name_even_when_they_fail():
    watch = Stopwatch()

    def fail() -> None:
        with watch.span("a_s"):
            time.sleep(0.01)
            raise RuntimeError

    for _ in range(2):
        with pytest.raises(RuntimeError):
            fail()
    assert 0.02 <= watch.spans["a_s"] < 1


def test_peak_memory_is_the_peak_not_the_present():
    code = (
        "from benchmark.timing import peak_rss_mib\n"
        "import numpy\n"
        "before = peak_rss_mib()\n"
        "block = numpy.ones(200 * 2**17); del block\n"
        "print(peak_rss_mib() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 180 < float(done.stdout) < 260


def test_waits_leave_the_warm_up_out():
    found = summarise_waits([9.0, 1.0, 1.0, 2.0, 2.0, 4.0], [9.0, 0.0, 0.0, 0.2, 0.2, 0.4])
    assert found == {"wait_ms_p50": pytest.approx(200), "wait_share": pytest.approx(0.1)}
    assert summarise_waits([], []) == {}


@pytest.mark.parametrize(
    ("epoch_s", "steps", "expected"),
    [
        ([9.0, 1.1, 1.2, 1.3], [10] * 4, (1.2, 1.2)),
        ([9.0, 1.1, 0.6], [10, 10, 5], (0.85, 1.15)),  # the last epoch was cut by the budget
        ([9.0], [10], (9.0, 9.0)),
    ],
)
def test_epochs_are_held_against_their_steps(epoch_s, steps, expected):
    found = summarise_epochs(epoch_s, steps, step_ms_p50=100.0)
    assert (found["epoch_s"], found["epoch_ratio"]) == pytest.approx(expected)


class Clock:
    """Moves forward by what each call is said to take."""

    def __init__(self, *seconds):
        self.now, self.seconds, self.calls = 0.0, itertools.chain(seconds, itertools.repeat(1)), 0

    def __call__(self):
        return self.now

    def call(self):
        self.calls += 1
        self.now += next(self.seconds)


@pytest.mark.parametrize(
    ("span_s", "warm_up", "timed"),
    [(1000.0, 10, 50), (8.0, 2, 8), (0.1, 1, 5)],
)
def test_rule_passes_are_timed_after_a_warm_up_and_within_a_span(span_s, warm_up, timed):
    clock = Clock()
    assert time_passes(clock.call, Passes(span_s), clock) == [1.0] * timed
    assert clock.calls == warm_up + timed


def test_a_slow_first_pass_is_not_timed():
    clock = Clock(30)
    assert set(time_passes(clock.call, Passes(8.0), clock)) == {1.0}
