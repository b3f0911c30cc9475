"""A real MLflow server, and ones that are away, slow, mute or die: no run waits for them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.tracking import live
from benchmark.tracking.sync import catch_up

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def patience(monkeypatch):
    """Half a second takes the place of the five that a user would wait."""
    assert live.PATIENCE_S == 5.0
    monkeypatch.setattr(live, "PATIENCE_S", 0.5)
    return 0.5


def track(work):
    """Call the command, in a process that has no connection of ours."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "track", "--results", str(work.results)],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def of(work, contents):
    return {run.spec.key: contents.get(run.spec.key, []) for run in work.plan.runs}


@pytest.mark.faults
def test_a_server_holds_the_same_as_a_file(make_work, server, monkeypatch):
    work, local = (make_work(name, fingerprint="a" * 16) for name in ("served", "local"))
    local.execute()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    work.execute()
    deadline = time.monotonic() + 20
    while any(len(runs) != 1 for runs in of(work, work.contents(server)).values()):
        assert time.monotonic() < deadline
        catch_up(work.results, work.warnings.append)
    assert of(work, work.contents(server)) == of(work, local.contents())


@pytest.mark.faults
@pytest.mark.parametrize("limit", [20])
def test_a_server_that_dies_midway_is_completed_once(make_work, server, front, monkeypatch, limit):
    work = make_work(fingerprint=f"{limit:016d}")
    local = make_work("local", fingerprint=f"{limit:016d}")
    local.execute()
    address, passed = front(limit=limit)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    tracker = work.execute()
    tracker._thread.join(20)
    assert len(passed) > limit
    assert len(work.warnings) == 1
    assert "python -m benchmark track" in work.warnings[0]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    assert "2 runs were complete" not in track(work)
    once = of(work, work.contents(server))
    assert once == of(work, local.contents())
    assert "nothing to do; 2 runs were complete" in track(work)
    assert of(work, work.contents(server)) == once


def test_a_slow_server_is_waited_for_no_longer_than_told(
    make_work, server, front, monkeypatch, patience
):
    address, _ = front(delay_s=5.0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    work = make_work(fingerprint="b" * 16)
    begin = time.monotonic()
    tracker = work.execute()
    assert time.monotonic() - begin < patience + 1.0
    assert "did not answer" in work.warnings[0]
    assert not tracker.complete


def test_a_server_that_is_away_costs_nothing(make_work, monkeypatch, patience):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    work = make_work()
    begin = time.monotonic()
    work.execute()
    assert time.monotonic() - begin < patience + 1.0
    assert len(work.warnings) == 1


MUTE = """
import pathlib, sys, threading, time
from benchmark.experiment.plan import Plan
from benchmark.tracking import live
from benchmark.tracking.invocations import Invocation
class Run: pass
live.PATIENCE_S = 0.5
live.Invocation.of = lambda plan, study=None: Invocation(
    "one", "heart", "smoke", "phantom", "none", "e.yaml", "", {}, (), (),
    "2026-01-01T00:00:00+00:00")
tracker = live.Tracker(Run(), pathlib.Path(sys.argv[1]), print)
time.sleep(0.1)
tracker.finish([], interrupted=False)
assert tracker._thread.is_alive(), "the writer was meant to hang"
print(time.time())
"""


def test_a_writer_that_hangs_does_not_keep_the_process(tmp_path, front):
    address, _ = front(delay_s=60.0)
    done = subprocess.run(
        [sys.executable, "-c", MUTE, str(tmp_path)], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "MLFLOW_TRACKING_URI": address}, timeout=60,
    )  # fmt: skip
    ended = time.time()
    assert done.returncode == 0, done.stderr
    said, stamp = done.stdout.splitlines()
    assert "did not answer" in said
    assert ended - float(stamp) < 2.0
