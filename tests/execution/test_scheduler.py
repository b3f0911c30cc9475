"""What becomes of runs whose workers die, hang or are wanted twice."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from benchmark.execution.closing import close
from benchmark.execution.local import HOST, keep_log
from benchmark.execution.locks import try_lock
from benchmark.execution.order import Order
from benchmark.execution.scheduler import Limits, Scheduler
from benchmark.execution.slots import Slot
from benchmark.records import read_record

OK = """
    emit(event="stage", stage="building the network")
    emit(event="epoch", epoch=1)
    write("ok")
"""
CRASH = "raise SystemExit('no such luck')"
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
SEGFAULT = "os.kill(os.getpid(), signal.SIGSEGV)"
WATCHED = "print('node: out of memory', file=sys.stderr, flush=True); " + KILL
LONG_AGO = "print('out of memory, no failure\\nepoch 2', file=sys.stderr, flush=True); " + KILL
BAD_ALLOC = "print('terminate: std::bad_alloc', file=sys.stderr, flush=True); os.abort()"
# Deaf to a polite request, and busy forever.
HUNG = (
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); emit(event='stage', stage='x'); time.sleep(60)"
)


def statuses(records):
    return [record["status"] for record in records]


def test_one_runs_death_does_not_take_another_with_it(execute, recorder, tmp_path):
    records, interrupted = execute(OK, CRASH, KILL, OK, listeners=[recorder])
    assert statuses(records) == ["ok", "error", "killed", "ok"]
    assert not interrupted
    assert recorder.events[0] == ("started", 0, 1, 4)
    assert [event for event in recorder.events if event[0] == "finished"] == [
        ("finished", 0, "ok"), ("finished", 1, "error"), ("finished", 2, "killed"),
        ("finished", 3, "ok"),
    ]  # fmt: skip
    assert not list((tmp_path / "runs").glob(".spare*"))


def test_death_is_recorded_with_its_reason(execute):
    crashed, killed, broken, starved = execute(CRASH, KILL, SEGFAULT, BAD_ALLOC)[0]
    assert "status 1: no such luck" in crashed["error"]
    assert "SIGKILL" in killed["error"]
    assert "SIGSEGV" in broken["error"]
    assert starved["status"] == "oom"
    assert "bad_alloc" in starved["error"]
    for record in (crashed, killed, broken, starved):
        on_disk = read_record(record["path"])
        assert on_disk["error"] == record["error"]
        assert on_disk["spec"]["dataset"] == "acdc"
        assert (record["path"] / "log.txt").exists()


def test_who_kills_for_want_of_memory_says_so_last(execute):
    watched, other = execute(WATCHED, LONG_AGO)[0]
    assert (watched["status"], other["status"]) == ("oom", "killed")
    assert watched["error"] == "memory ran out (SIGKILL): node: out of memory"


def test_interrupt_finishes_the_current_run_and_starts_no_other(execute, recorder):
    before = signal.getsignal(signal.SIGINT)  # ignored, where a shell started this beside itself
    recorder.event = lambda spec, event: os.kill(os.getpid(), signal.SIGINT)
    told = []
    records, interrupted = execute(
        "emit(event='epoch'); write('ok')", OK, OK, listeners=[recorder], tell=told.append
    )
    assert interrupted
    assert statuses(records) == ["ok"]
    assert "Ctrl-C again" in told[0]
    assert signal.getsignal(signal.SIGINT) is before


def test_second_interrupt_stops_the_current_run(execute, recorder):
    def twice(spec, event):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    recorder.event = twice
    records, interrupted = execute(HUNG, OK, listeners=[recorder])
    assert interrupted
    assert statuses(records) == ["killed"]
    assert "by the user" in records[0]["error"]


@pytest.mark.parametrize("limits", [Limits(run_s=1.0), Limits(silence_s=1.0)])
def test_hung_worker_is_ended_and_says_where_it_stood(execute, monkeypatch, limits):
    from benchmark.execution import scheduler

    monkeypatch.setattr(scheduler, "GRACE_S", 0.2)
    dump = "import faulthandler; faulthandler.register(signal.SIGUSR1)\n" + HUNG
    records, interrupted = execute(dump, OK, limits=limits)
    assert not interrupted
    assert statuses(records) == ["timeout", "ok"]
    assert "limits." in records[0]["error"]
    assert "most recent call first" in (records[0]["path"] / "log.txt").read_text()


def test_a_listener_ends_a_run_with_a_status_of_its_own(execute, recorder, monkeypatch, tmp_path):
    """As a search does that prunes: the epochs stay, checkpoints go, the next run begins."""
    made = []
    begin = Scheduler.__init__
    monkeypatch.setattr(
        Scheduler, "__init__", lambda self, *a, **k: made.append(self) or begin(self, *a, **k)
    )

    def prune(spec, event):
        if spec.seed == 0:
            made[0].end(spec.key, "pruned", "below the median")

    recorder.event = prune
    slow = """
        (order.folder / "checkpoint-000001.bin").write_bytes(b"x")
        emit(event="epoch", epoch=1); time.sleep(60)
    """
    begin_s = time.monotonic()
    records, interrupted = execute(slow, OK, listeners=[recorder])
    assert time.monotonic() - begin_s < 30
    assert statuses(records) == ["pruned", "ok"]
    assert records[0]["error"] == "below the median"
    assert not interrupted
    assert not made[0].asked_to_stop
    assert not list(tmp_path.glob("runs/*/checkpoint-*"))


def test_slots_work_at_once_and_on_their_own_processors(execute, monkeypatch, tmp_path):
    """The first run ends only when the second has begun."""
    wait = f"""
        other = pathlib.Path({str(tmp_path)!r}) / "second"
        while not other.exists(): time.sleep(0.02)
        write("ok", cpus=os.environ["BENCHMARK_CPUS"])
    """
    come = f"""
        (pathlib.Path({str(tmp_path)!r}) / "second").touch()
        write("ok", cpus=os.environ["BENCHMARK_CPUS"], gpu=os.environ["CUDA_VISIBLE_DEVICES"])
    """
    slots = [Slot(0, 2, "0", (0,)), Slot(1, 2, "1", (1,))]
    records, _ = execute(wait, come, OK, slots=slots)
    assert statuses(records) == ["ok"] * 3
    by_seed = {record["spec"]["seed"]: record for record in records}
    assert (by_seed[0]["cpus"], by_seed[1]["cpus"], by_seed[1]["gpu"]) == ("0", "1", "1")


def test_a_run_of_another_invocation_is_waited_for_and_not_repeated(
    execute, spec, tmp_path, recorder
):
    """The lock's holder writes a record for one key and dies without one for the other.

    A failure of theirs is a record, too: the run was done.
    """
    orders = [
        Order(dataclasses.replace(spec, seed=seed), "s", tmp_path, tmp_path) for seed in (0, 1)
    ]
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from benchmark.execution.locks import try_lock\n"
        "from benchmark.records import write_record\n"
        "held = [try_lock(Path(p) / 'lock') for p in sys.argv[1:]]\n"
        "print('held', flush=True); time.sleep(1.5)\n"
        "write_record(Path(sys.argv[1]), {'status': 'diverged', 'key': 'theirs', 'spec': {'a': 1},"
        " 'finished_utc': 'meanwhile'})\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, *(str(order.folder) for order in orders)],
        stdout=subprocess.PIPE,
    )
    with other:
        assert other.stdout.readline() == b"held\n"
        told = []
        records, interrupted = execute(OK, OK, OK, tell=told.append, listeners=[recorder])
    assert not interrupted
    assert [record["key"] for record in records].count("theirs") == 1
    assert sorted(statuses(records)) == ["diverged", "ok", "ok"]
    assert records[0]["spec"]["seed"] == 2  # the free one went first
    assert sum("is running it" in text for text in told) == 2
    assert sum("has run it: diverged" in text for text in told) == 1
    starts = [event[1:] for event in recorder.events if event[0] == "started"]
    assert starts == [(2, 1, 3), (1, 2, 2)]  # nobody heard of a run that was not begun here


def test_a_run_that_another_invocation_took_meanwhile_keeps_its_folder(spec, tmp_path):
    """A worker that died while it started leaves log and record of the other as they are."""
    order = Order(spec, "smoke", tmp_path, tmp_path)
    order.folder.mkdir(parents=True)
    order.log.write_text("theirs")
    with try_lock(order.lock):
        worker = SimpleNamespace(returncode=-9, keep_log=lambda path: path.write_text("ours"))
        assert close(order, worker, status="killed", because="x", total_s=1.0) is None
    assert order.log.read_text() == "theirs"
    assert read_record(order.folder) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_system_that_asks_to_end_is_obeyed_at_once(execute, recorder, number):
    recorder.event = lambda spec, event: os.kill(os.getpid(), number)
    records, interrupted = execute(HUNG, OK, listeners=[recorder])
    assert interrupted
    assert statuses(records) == ["killed"]


def test_what_a_killed_invocation_left_is_swept_up(execute, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    gone = runs / f".spare-{HOST}-999999999-0.log"
    other = runs / ".spare-elsewhere-999999999-0.log"
    gone.touch()
    other.touch()
    execute(OK)
    assert [path.name for path in runs.glob(".spare*")] == [other.name]


def test_the_log_of_an_earlier_attempt_stays(execute):
    (first,), _ = execute("print('first', file=sys.stderr, flush=True); raise SystemExit(3)")
    (second,), _ = execute(
        "print('second', file=sys.stderr, flush=True); raise SystemExit(3)",
        seen=first["finished_utc"],
    )
    assert second["path"] == first["path"]
    assert "second" in (second["path"] / "log.txt").read_text()
    assert "first" in (second["path"] / "log.earlier.txt").read_text()


@pytest.mark.parametrize(
    ("name", "earlier"),
    [("log.txt", "log.earlier.txt"), ("tasks.log.txt", "tasks.log.earlier.txt")],
)
def test_every_log_has_an_earlier_one_of_its_own(tmp_path, name, earlier):
    for text in ("first", "second"):
        (tmp_path / ".spare.log").write_text(text)
        assert keep_log(tmp_path / ".spare.log", tmp_path / name) == tmp_path / name
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {name: "second", earlier: "first"}


def test_a_damaged_record_is_a_failure_of_its_run_alone(execute):
    damage = """
        write("ok")
        path = order.folder / "record.json"
        path.write_text(path.read_text().replace("0.5", "0.9"))
    """
    records, _ = execute(damage, OK)
    assert statuses(records) == ["error", "ok"]
    assert "SHA256SUMS" in records[0]["error"]
    assert read_record(records[0]["path"])["status"] == "error"


def test_a_full_disk_ends_everything_and_says_which_file(execute, monkeypatch):
    from benchmark.execution import closing

    def full(folder, record):
        raise OSError(28, "No space left on device", str(folder / "record.json"))

    monkeypatch.setattr(closing, "write_record", full)
    begin = time.monotonic()
    with pytest.raises(OSError, match=r"No space left on device.*record\.json"):
        execute(CRASH, HUNG, slots=[Slot(0, 2), Slot(1, 2)])
    assert time.monotonic() - begin < 30  # the hung one was ended, not waited for
