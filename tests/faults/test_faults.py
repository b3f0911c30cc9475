"""After every fault: nothing finished is lost, nothing is run twice, the exit code is as stated."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import textwrap
import time
from dataclasses import replace

import pandas as pd
import psutil
import pytest

from benchmark.execution.order import Order
from benchmark.execution.scheduler import Limits, Scheduler
from benchmark.experiment.plan import make_plan

pytestmark = pytest.mark.faults


def workers(process: psutil.Process) -> list[psutil.Process]:
    return [
        child for child in process.children(recursive=True)
        if "benchmark.execution.worker" in " ".join(child.cmdline())
    ]  # fmt: skip


def orders(matrix, **changes):
    plan = make_plan(
        matrix.file, results=matrix.results, data_root=None, profile="smoke", mode=None
    )
    found = []
    for run in plan.pending:
        source = plan.sources[run.spec.dataset]
        spec = replace(run.spec, protocol=replace(run.spec.protocol, **changes))
        found.append(Order(spec, "smoke", source.root, matrix.results, source.release))
    return found


def occupied(folder) -> int:
    """Bytes that a folder takes on a disk of 4 KiB blocks."""
    return sum(4096 * (1 + path.stat().st_size // 4096) for path in folder.rglob("*"))


class AtTraining:
    """Harms the worker of the first run when it begins to train."""

    def __init__(self, harm):
        self.harm = harm
        self.done = False

    def run_started(self, spec, number, total):
        pass

    def event(self, spec, event):
        if event.get("stage") == "training" and not self.done:
            self.done = True
            first = min(workers(psutil.Process()), key=lambda worker: worker.create_time())
            self.harm(first)

    def run_finished(self, spec, record):
        pass


def execute(matrix, listener=None, limits=None, **changes):
    listeners = [listener] if listener else []
    return Scheduler(orders(matrix, **changes), listeners, print, limits=limits).run()[0]


def test_out_of_memory(fresh):
    def starve(worker):
        room = worker.memory_info().vms + 64 * 2**20
        resource.prlimit(worker.pid, resource.RLIMIT_AS, (room, room))

    records = execute(fresh, AtTraining(starve), batch_size_2d=64, patch_2d=(256, 256))
    assert [record["status"] for record in records] == ["oom", "ok"], records


def test_loss_that_is_not_finite(fresh):
    records = execute(fresh, optimizer="sgd", learning_rate=1e30)
    assert {record["status"] for record in records} == {"diverged"}
    assert "loss became" in records[0]["error"]


def test_a_worker_that_stands_still(fresh):
    limits = Limits(silence_s=15)
    records = execute(fresh, AtTraining(lambda worker: worker.suspend()), limits)
    assert [record["status"] for record in records] == ["timeout", "ok"]
    assert "no sign" in records[0]["error"]
    again = fresh.call()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "1 done, 1 failed" in again.stdout


def test_a_full_disk(prepared, tmp_path):
    """Room for one run but not for two: what is finished stays, the rest goes on later."""
    disk = tmp_path / "disk"
    disk.mkdir()
    base = occupied(prepared.results / "phantoms") + occupied(prepared.results / "cache")
    size = base + int(0.75 * occupied(prepared.results / "runs"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk needs the right to mount")
    try:
        matrix = type(prepared)(prepared.file, disk / "results")
        for part in ("phantoms", "cache"):
            shutil.copytree(prepared.results / part, matrix.results / part)
        done = matrix.call(MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db")
        assert done.returncode in (1, 2), done.stdout + done.stderr
        assert "No space left" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        kept = matrix.stamps()
        ok = [record["key"] for record in matrix.records if record["status"] == "ok"]
        subprocess.run(["mount", "-o", f"remount,size={4 * size}", str(disk)], check=True)
        again = matrix.call(MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db")
        assert again.returncode == 0, again.stdout + again.stderr
        assert all(matrix.stamps()[key] == kept[key] for key in ok)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("name", ["record.json", "cases.csv"])
def test_a_corrupt_record(finished, name):
    before = finished.stamps()
    harmed = finished.results / "runs" / min(before) / name
    content = bytearray(harmed.read_bytes())
    content[len(content) // 2] ^= 4
    harmed.write_bytes(content)
    done = finished.call()
    assert done.returncode == 0, done.stdout + done.stderr
    after = finished.stamps()
    assert [key for key in before if after[key] != before[key]] == [min(before)]
    assert len(pd.read_csv(finished.results / "report" / "leaderboard.csv")) == 1


def test_two_invocations_at_once(fresh):
    with fresh.start() as first, fresh.start() as second:
        outputs = [process.communicate(timeout=600) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert [record["status"] for record in fresh.records] == ["ok", "ok"]
    said = "".join(out for out, _ in outputs)
    assert said.count(" ok  Dice ") == 2  # each run has one line, in one of the two
    assert len(pd.read_csv(fresh.results / "report" / "leaderboard.csv")) == 1


def test_an_invocation_that_is_killed_takes_its_workers_along(fresh):
    with fresh.start() as process:
        parent = psutil.Process(process.pid)
        while not (children := workers(parent)):
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    again = fresh.call()
    assert again.returncode == 0, again.stdout + again.stderr


def test_a_clock_that_goes_backwards(fresh, tmp_path):
    """Every look at the clock shows an earlier hour, in the parent and in its workers."""
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent("""
            import itertools, time
            _looks, _real = itertools.count(), time.time
            time.time = lambda: _real() - 3600 * next(_looks)
        """)
    )
    done = fresh.call(PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert done.returncode == 0, done.stdout + done.stderr
    for record in fresh.records:
        assert record["status"] == "ok"
        assert all(value >= 0 for value in record["timing"].values() if value is not None)
    assert "Nothing to run" in fresh.call().stdout
