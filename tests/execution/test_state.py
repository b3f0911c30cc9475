"""What is said of runs while they go on: time left, live lines, the file for other terminals."""

from __future__ import annotations

import dataclasses
import io
import json

import pytest
from rich.console import Console

from benchmark.cli import main
from benchmark.execution.progress import ProgressDisplay, clock
from benchmark.execution.state import State
from benchmark.execution.status import StatusFile, read_status

EPOCH = {
    "event": "epoch",
    "epoch": 1,
    "share": 0.5,
    "loss": 0.25,
    "validation_dice": 0.75,
    "rss_mib": 500.0,
}


@pytest.fixture
def specs(spec):
    return [dataclasses.replace(spec, seed=seed) for seed in range(4)]


@pytest.fixture
def clocked():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


def test_time_left(specs, clocked):
    state = State(4, clock=clocked)
    assert state.left_s() is None
    state.run_started(specs[0], 1, 4)
    clocked.now = 5.0
    assert state.left_s() is None  # no epoch has ended yet
    state.event(specs[0], EPOCH)  # one of two epochs: 10 s in all
    assert state.left_s() == pytest.approx(5 + 3 * 10)
    clocked.now = 20.0
    state.run_finished(specs[0], {"status": "ok", "error": None, "summary": {"dice": 0.5}})
    assert state.left_s() == pytest.approx(3 * 20)
    state.run_started(specs[1], 2, 4)
    state.run_finished(specs[1], {"status": "error", "error": "x"})
    assert state.left_s() == pytest.approx(2 * 20)  # a failure says nothing of a run's length


def test_time_left_of_several_at_once(specs, clocked):
    state = State(4, slots=2, clock=clocked)
    state.run_started(specs[0], 1, 4)
    state.run_started(specs[1], 2, 4)
    clocked.now = 10.0
    state.event(specs[0], EPOCH)
    assert state.left_s() == pytest.approx((10 + 10 + 2 * 20) / 2)


def test_time_left_of_a_resumed_run(specs, clocked):
    """An earlier attempt had used half of the budget; another quarter took 10 s."""
    state = State(1, clock=clocked)
    state.run_started(specs[0], 1, 1)
    state.event(specs[0], {"event": "resumed", "epoch": 2, "share": 0.5})
    assert state.left_s() is None
    clocked.now = 10.0
    state.event(specs[0], {**EPOCH, "epoch": 3, "share": 0.75})
    assert state.left_s() == pytest.approx(10)


def test_plain_lines(specs):
    text = io.StringIO()
    state = State(2)
    with ProgressDisplay(Console(file=text, width=200), state) as display:
        for listener in (state, display):
            listener.run_started(specs[0], 1, 2)
        for event in (
            {"event": "checkpoint_rejected", "file": "checkpoint.1", "reason": "it is cut short"},
            {"event": "resumed", "epoch": 1, "share": 0.5}, {"event": "stage", "stage": "training"},
            {**EPOCH, "epoch": 2, "share": 1.0, "device_mib": 900.0},
        ):  # fmt: skip
            for listener in (state, display):
                listener.event(specs[0], event)
        record = {"status": "ok", "error": None, "summary": {"dice": 0.5}}
        for listener in (state, display):
            listener.run_finished(specs[0], record)
    set_aside, first, second, third = text.getvalue().splitlines()
    assert set_aside.endswith("checkpoint.1 is set aside: it is cut short")
    assert first.endswith("goes on after epoch 1")
    assert "[1/2] unet·acdc·f0·s0 (phantom)  epoch 2/2  loss 0.250  Dice 0.750" in second
    assert "GPU 900 MiB" in second
    assert "ok  Dice 0.500" in third


def test_status_from_another_terminal(specs, tmp_path, capsys):
    state = State(3)
    with StatusFile(tmp_path, "heart", "smoke", state) as file:
        for listener in (state, file):
            listener.run_started(specs[0], 1, 3)
            listener.run_finished(specs[0], {"status": "oom", "error": "no memory"})
            listener.run_started(specs[1], 2, 3)
        state.event(specs[1], EPOCH)
        file.run_finished(specs[1], {})  # writes
        assert main(["status", "--results", str(tmp_path)]) == 0
        told = capsys.readouterr().out
        assert "heart (smoke): 0 of 3 ok, 1 failed" in told
        assert (
            "running  unet·acdc·f0·s1 (phantom)  epoch 1, 50% of its budget  loss 0.250  Dice 0.750"
            in told
        )
        assert "oom      unet·acdc·f0·s0 (phantom)  no memory" in told
        assert main(["status", "--results", str(tmp_path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)[0]["running"][0]["epoch"] == 1
    assert read_status(tmp_path) == []
    assert main(["status", "--results", str(tmp_path)]) == 0
    assert "Nothing runs" in capsys.readouterr().out


def test_status_of_an_invocation_that_died(specs, tmp_path, capsys):
    with StatusFile(tmp_path, "heart", "smoke", State(3)) as file:
        left = file._path.read_text()
    file._path.write_text(left)  # as SIGKILL leaves it: the file stays, the lock is gone
    assert [status["alive"] for status in read_status(tmp_path)] == [False]
    main(["status", "--results", str(tmp_path)])
    assert "has died" in capsys.readouterr().out


def test_the_next_invocation_removes_what_a_dead_one_left(specs, tmp_path):
    with StatusFile(tmp_path, "heart", "smoke", State(3)) as file:
        left = file._path.read_text()
    dead = file._path.with_name(file._path.name.replace(str(json.loads(left)["pid"]), "0"))
    dead.write_text(left)
    with StatusFile(tmp_path, "heart", "smoke", State(3)):
        assert len(read_status(tmp_path)) == 1
        assert not dead.exists()


@pytest.mark.parametrize("content", ["{", "{}", "[]", "\xff"])
def test_a_damaged_status_is_one_sentence(tmp_path, capsys, content):
    (tmp_path / "status").mkdir()
    (tmp_path / "status" / "a-1.json").write_text(content, encoding="latin-1")
    assert main(["status", "--results", str(tmp_path)]) == 2
    assert "Delete the file" in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (290, "4:50"), (12005, "3:20:05")])
def test_clock(seconds, text):
    assert clock(seconds) == text
