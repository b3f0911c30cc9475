"""What becomes of a run whose worker dies, without a framework: the worker is replaced."""

from __future__ import annotations

import os
import signal
import textwrap

import pytest

from benchmark.execution import local, scheduler
from benchmark.execution.worker import Order
from benchmark.records import read_record

BEHAVIOURS = {
    "ok": """
        emit(event="epoch", epoch=1)
        write({"status": "ok", "summary": {"dice": 0.5}})
    """,
    "crash": "raise SystemExit('no such luck')",
    "kill": "os.kill(os.getpid(), signal.SIGKILL)",
    "segfault": "os.kill(os.getpid(), signal.SIGSEGV)",
}
FAKE = """
import json, os, pathlib, signal, sys
print(json.dumps({{"event": "ready"}}), flush=True)
order = json.loads(sys.stdin.readline())
from benchmark.experiment.spec import RunSpec
from benchmark.records import write_json
spec = RunSpec.from_dict(order["spec"])
def emit(**event):
    print(json.dumps(event), flush=True)
def write(record):
    folder = pathlib.Path(order["results"]) / "runs" / spec.key
    write_json(folder / "record.json", {{"key": spec.key, "spec": order["spec"], **record}})
{body}
"""


class Recorder:
    def __init__(self):
        self.events = []

    def run_started(self, spec, number, total):
        self.events.append(("started", spec.seed, number, total))

    def event(self, spec, event):
        self.events.append((event["event"], spec.seed))

    def run_finished(self, spec, record):
        self.events.append(("finished", spec.seed, record["status"]))


@pytest.fixture
def execute(monkeypatch, tmp_path, spec):
    import dataclasses
    import subprocess
    import sys

    original = subprocess.Popen

    def run(*behaviours, listeners=()):
        bodies = iter(behaviours)

        def popen(command, **options):
            if command[0] != sys.executable:
                return original(command, **options)
            body = textwrap.dedent(BEHAVIOURS[next(bodies)])
            return original([sys.executable, "-c", FAKE.format(body=body)], **options)

        monkeypatch.setattr(local.subprocess, "Popen", popen)
        orders = [
            Order(dataclasses.replace(spec, seed=seed), "smoke", tmp_path, tmp_path)
            for seed in range(len(behaviours))
        ]
        return scheduler.run_all(orders, listeners)

    return run


def test_one_runs_death_does_not_take_another_with_it(execute):
    recorder = Recorder()
    records, interrupted = execute("ok", "crash", "kill", "ok", listeners=[recorder])
    assert [record["status"] for record in records] == ["ok", "error", "killed", "ok"]
    assert not interrupted
    assert recorder.events[0] == ("started", 0, 1, 4)
    assert [event for event in recorder.events if event[0] == "finished"] == [
        ("finished", 0, "ok"), ("finished", 1, "error"), ("finished", 2, "killed"),
        ("finished", 3, "ok"),
    ]  # fmt: skip


def test_death_is_recorded_with_its_reason(execute):
    crashed, killed, broken = execute("crash", "kill", "segfault")[0]
    assert "status 1: no such luck" in crashed["error"]
    assert "SIGKILL" in killed["error"]
    assert "SIGSEGV" in broken["error"]
    for record in (crashed, killed, broken):
        on_disk = read_record(record["path"])
        assert on_disk is not None
        assert on_disk["error"] == record["error"]
        assert on_disk["spec"]["dataset"] == "acdc"


def test_interrupt_finishes_the_current_run_and_starts_no_other(execute):
    class Interrupter(Recorder):
        def event(self, spec, event):
            os.kill(os.getpid(), signal.SIGINT)

    records, interrupted = execute("ok", "ok", "ok", listeners=[Interrupter()])
    assert interrupted
    assert [record["status"] for record in records] == ["ok"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_second_interrupt_stops_the_current_run(execute, monkeypatch):
    monkeypatch.setitem(BEHAVIOURS, "slow", "emit(event='epoch'); import time; time.sleep(60)")

    class Impatient(Recorder):
        def event(self, spec, event):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    records, interrupted = execute("slow", "ok", listeners=[Impatient()])
    assert interrupted
    assert [record["status"] for record in records] == ["killed"]
    assert "by the user" in records[0]["error"]
