"""A real MLflow server, and ones that are away, slow, mute or die: no run waits for them."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

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


@pytest.fixture
def front(server):
    """Stand before the real server: pass ``limit`` requests on after ``delay_s`` each, then die."""
    fronts = []

    def stand(*, limit=10**6, delay_s=0.0):
        passed = []
        released = threading.Event()

        class Front(BaseHTTPRequestHandler):
            def handle_one(self):
                passed.append(self.path)
                released.wait(delay_s)
                if len(passed) > limit:
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                link = http.client.HTTPConnection(urlsplit(server).netloc, timeout=20)
                keep = ("content-type", "accept")
                headers = {n: v for n, v in self.headers.items() if n.lower() in keep}
                link.request(self.command, self.path, body, headers)
                answer = link.getresponse()
                content = answer.read()
                link.close()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.getheader("Content-Type") or "text/plain")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

            def log_message(self, *arguments):
                pass

        machine = ThreadingHTTPServer(("127.0.0.1", 0), Front)
        machine.daemon_threads = True
        thread = threading.Thread(target=machine.serve_forever, args=(0.05,))
        thread.start()
        fronts.append((machine, thread, released))
        return f"http://127.0.0.1:{machine.server_port}", passed

    yield stand
    for machine, thread, released in fronts:
        released.set()
        machine.shutdown()
        machine.server_close()
        thread.join()


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
live.Invocation.of = lambda plan: Invocation("one", "heart", "smoke", "phantom", "none", "e.yaml",
    "", {}, (), (), "2026-01-01T00:00:00+00:00")
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
