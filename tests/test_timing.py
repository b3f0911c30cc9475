from __future__ import annotations

import subprocess
import sys
import time

import pytest

from benchmark.timing import Stopwatch, summarise_steps


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
