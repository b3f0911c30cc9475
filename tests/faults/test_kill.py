"""A worker that is killed at any moment, and started again, gives what it would have given."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from benchmark.execution.order import Order
from benchmark.execution.worker import Events, execute
from benchmark.records import read_record
from benchmark.training import checkpoint

ROOT = Path(__file__).resolve().parent.parent.parent
TIMES = ["epoch_s", "validation_s", "elapsed_s", "inference_s"]


@pytest.fixture(scope="module")
def order(spec, tmp_path_factory) -> Order:
    """A short run on three phantom patients."""
    import datasets

    folder = tmp_path_factory.mktemp("kill")
    datasets.write_phantom("acdc", folder, patients=3, seed=0)
    protocol = dataclasses.replace(
        spec.protocol, folds=3, epochs=4, steps_per_epoch=(3, 3), augmentation="standard"
    )
    mine = dataclasses.replace(
        spec, protocol=protocol, options={"filters": 2, "depth": 2, "dropout": 0.2}
    )
    found = datasets.find("acdc", folder)
    assert found is not None
    return Order(mine, "faults", found.root, folder / "results")


@pytest.fixture(scope="module")
def whole(order) -> dict[str, Any]:
    """The record of the run that nobody disturbed."""
    mine = dataclasses.replace(order, results=order.results.with_name("whole"))
    lines = io.StringIO()
    record = work_here(mine, lines)
    assert record["status"] == "ok", record["error"]
    assert not list(mine.folder.glob("checkpoint-*"))
    return {**record, "path": mine.folder, "events": lines.getvalue().count("\n")}


def work_here(order: Order, lines: io.StringIO) -> dict[str, Any]:
    """Do what a worker does, in this process, which has imported the framework already."""
    return execute(order, Events(lines), started_s=time.perf_counter())


def work(order: Order, kill_when: Callable[[dict[str, Any]], float | None]) -> bool:
    """Let a process work on an order; tell whether it was killed.

    Args:
        order: What to do.
        kill_when: Is asked at every event for the seconds after which to send SIGKILL.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark.execution.worker", str(os.getpid())],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    timers = []
    with process.stdout as events, process.stdin as orders:
        orders.write(order.to_json() + "\n")
        orders.flush()
        for line in events:
            delay = kill_when(json.loads(line))
            if delay is not None:
                timers.append(threading.Timer(delay, process.kill))
                timers[-1].start()
    for timer in timers:
        timer.cancel()
    return process.wait() != 0


def assert_as_if_undisturbed(order: Order, whole: dict[str, Any]) -> dict[str, Any]:
    record = read_record(order.folder)
    assert record is not None
    assert record["status"] == "ok", record["error"]
    assert record["summary"] == whole["summary"]
    for name in ("cases.csv", "epochs.csv"):
        one, two = (
            pd.read_csv(each["path"] / name).drop(columns=TIMES, errors="ignore")
            for each in (record, whole)
        )
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    for one, two in zip(arrays(record["path"]), arrays(whole["path"]), strict=True):
        np.testing.assert_array_equal(one, two)
    names = {path.name for path in order.folder.iterdir()}
    assert not {name for name in names if "checkpoint" in name or "partial" in name}
    assert not {name for name in names if name.endswith(".tmp")}
    return record


def arrays(run: Path) -> Iterator[np.ndarray]:
    with h5py.File(run / "best.weights.h5") as file:
        found: list[h5py.Dataset] = []
        file.visititems(lambda _, item: found.append(item) if hasattr(item, "dtype") else None)
        yield from (item[()] for item in found)


def test_rule_killed_run_goes_on_from_its_last_epoch(order, whole):
    assert work(order, lambda event: 0.0 if event.get("epoch") == 2 else None)
    assert read_record(order.folder) is None
    assert list(order.folder.glob("checkpoint-*.bin"))
    (order.folder / ".checkpoint-000009.bin.1.tmp").write_bytes(b"unfinished")
    work_here(order, io.StringIO())
    record = assert_as_if_undisturbed(order, whole)
    assert len(record["resumed"]) == 1
    assert record["resumed"][0] >= 2
    timing = record["timing"]
    assert timing["earlier_s"] > 0
    assert timing["total_s"] > timing["train_s"] > timing["earlier_s"]
    assert timing["checkpoint_s"] > 0
    assert whole["resumed"] == []
    assert whole["budget"]["steps"] == record["budget"]["steps"] == 12


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_killed_at_twenty_random_moments(order, whole):
    """A run that ends before its next kill is compared and begun anew, until there were twenty.

    A moment is a random event of a run and a random time after it, whatever the machine's speed.
    """
    rng = np.random.default_rng(20)
    trained = checkpoint.path_of(order.folder, order.spec.protocol.epochs)
    kills = 0
    resumed: list[int] = []
    while kills < 20 or trained.parent.exists():
        undisturbed = kills == 20 or trained.exists()  # what is trained has little left to lose
        skipped = iter(range(10**6 if undisturbed else int(rng.integers(whole["events"]))))
        delay = float(rng.uniform(0.0, 0.5))
        if work(order, lambda _, rest=skipped, at=delay: at if next(rest, None) is None else None):
            kills += 1
            continue
        resumed += assert_as_if_undisturbed(order, whole)["resumed"]
        shutil.rmtree(order.folder)
    assert len(set(resumed)) > 1
