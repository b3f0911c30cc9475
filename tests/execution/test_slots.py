"""How a machine is shared."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmark.errors import BenchmarkError
from benchmark.execution import slots
from benchmark.execution.slots import Slot, make_slots


@pytest.fixture(autouse=True)
def _four_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(slots, "gpu_names", list)


def test_without_a_gpu_runs_go_one_by_one():
    assert make_slots() == [Slot()]
    assert make_slots()[0].environment == {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}


def test_processors_are_shared_without_overlap():
    assert [slot.cpus for slot in make_slots(3)] == [(0, 3), (1,), (2,)]
    assert make_slots(2)[1].environment["BENCHMARK_CPUS"] == "1,3"


def test_every_gpu_has_a_slot(monkeypatch):
    monkeypatch.setattr(slots, "gpu_names", lambda: ["NVIDIA X"] * 2)
    assert [slot.gpu for slot in make_slots()] == ["0", "1"]
    assert [slot.gpu for slot in make_slots(3)] == ["0", "1", "0"]
    assert make_slots(1) == [Slot()]  # one run may see them all
    shared = [slot.environment.get("XLA_PYTHON_CLIENT_PREALLOCATE") for slot in make_slots(3)]
    assert shared == ["false"] * 3
    assert "XLA_PYTHON_CLIENT_PREALLOCATE" not in make_slots(2)[0].environment


def test_a_run_of_several_devices_has_a_slot_of_several_gpus(monkeypatch):
    monkeypatch.setattr(slots, "gpu_names", lambda: ["NVIDIA X"] * 5)
    assert [slot.gpu for slot in make_slots(devices=2)] == ["0,1", "2,3"]  # the fifth is left over
    assert make_slots(devices=2)[1].environment["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert make_slots(devices=4) == [Slot()]  # which sees them all
    assert [slot.shared for slot in make_slots(3, devices=2)] == [True] * 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,GPU-a,3,1")
    assert [slot.gpu for slot in make_slots(devices=2)] == ["7,GPU-a", "3,1"]


@pytest.mark.parametrize("gpus", [0, 1, 3])
def test_fewer_gpus_than_one_run_takes_are_refused(monkeypatch, gpus):
    monkeypatch.setattr(slots, "gpu_names", lambda: ["NVIDIA X"] * gpus)
    with pytest.raises(BenchmarkError, match=f"devices: 4: expected as many GPUs .* found {gpus}"):
        make_slots(devices=4)


def test_a_processor_that_poses_as_several_devices_has_one_slot(monkeypatch):
    monkeypatch.setenv("BENCHMARK_VIRTUAL_DEVICES", "4")
    assert make_slots(devices=4) == [Slot()]
    monkeypatch.setenv("BENCHMARK_VIRTUAL_DEVICES", "many")
    with pytest.raises(BenchmarkError, match="expected a number of devices from 1 on, got 'many'"):
        make_slots(devices=2)


@pytest.mark.parametrize(
    ("visible", "gpus"), [("3,5", ["3", "5"]), ("GPU-a", [None]), ("", [None])]
)
def test_the_users_choice_of_gpus_holds(monkeypatch, visible, gpus):
    monkeypatch.setattr(slots, "gpu_names", lambda: ["NVIDIA X"] * 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [slot.gpu for slot in make_slots()] == gpus


@pytest.mark.parametrize("jobs", [5, 0, -1])
def test_more_runs_than_processors_are_refused(jobs):
    with pytest.raises(BenchmarkError, match=f"--jobs {jobs}: expected 1 to 4"):
        make_slots(jobs)


def test_a_worker_stays_on_its_processors():
    code = (
        "import os; from benchmark.execution.slots import stay_on_own_processors\n"
        "stay_on_own_processors(); print(sorted(os.sched_getaffinity(0)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        env={**os.environ, "BENCHMARK_CPUS": "0"},
    )  # fmt: skip
    assert done.stdout.strip() == "[0]", done.stderr
