"""A scheduler with real processes and without a framework: the worker's work is replaced."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import textwrap

import pytest

from benchmark.execution import local
from benchmark.execution.order import Order
from benchmark.execution.scheduler import Scheduler
from benchmark.execution.slots import Slot

FAKE = """
import json, os, pathlib, signal, sys, time
from benchmark.execution.locks import try_lock
from benchmark.execution.order import Order
from benchmark.records import write_record
def emit(**event):
    print(json.dumps(event), flush=True)
emit(event="ready")
order = Order.from_json(sys.stdin.readline())
seed, spec = order.spec.seed, order.spec
def write(status, **record):
    record = {{"error": None, "summary": {{"dice": 0.5}}, "finished_utc": "now", **record}}
    write_record(order.folder, {{"key": spec.key, "name": spec.name, "spec": spec.to_dict(),
                                "status": status, **record}})
lock = try_lock(order.lock)
if lock is None:
    emit(event="busy")
    sys.exit()
emit(event="begun")
{body}
"""


@pytest.fixture
def replace_work(monkeypatch):
    """Have workers do one body of Python per seed in place of their work."""
    original = subprocess.Popen

    def replace(*bodies):
        by_seed = "\n".join(
            f"if seed == {seed}:\n{textwrap.indent(textwrap.dedent(body), '    ')}"
            for seed, body in enumerate(bodies)
        )

        def popen(command, **options):
            if "benchmark.execution.worker" in command:
                command = [sys.executable, "-c", FAKE.format(body=by_seed)]
            return original(command, **options)

        monkeypatch.setattr(local.subprocess, "Popen", popen)

    return replace


@pytest.fixture
def execute(replace_work, tmp_path, spec):
    """Run one body of Python per order, in order; returns records and whether interrupted."""

    def run(
        *bodies, listeners=(), tell=lambda text: None, slots=None, limits=None, seen="",
        executor=None,
    ):  # fmt: skip
        replace_work(*bodies)
        orders = [
            Order(dataclasses.replace(spec, seed=seed), "smoke", tmp_path, tmp_path, seen=seen)
            for seed in range(len(bodies))
        ]
        return Scheduler(
            orders, listeners, tell, slots=slots or [Slot()], limits=limits, executor=executor
        ).run()

    return run


class Recorder:
    """A listener that writes down what it hears."""

    def __init__(self):
        self.events = []

    def run_started(self, spec, number, total):
        self.events.append(("started", spec.seed, number, total))

    def event(self, spec, event):
        self.events.append((event["event"], spec.seed))

    def run_finished(self, spec, record):
        self.events.append(("finished", spec.seed, record["status"]))


@pytest.fixture
def recorder():
    return Recorder()
