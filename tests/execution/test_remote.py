"""Orders carried out elsewhere: a station in this process stands for another machine."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import threading
import time

import pytest

from benchmark.execution.locks import try_lock
from benchmark.execution.node import Station, take_processors
from benchmark.execution.order import Order
from benchmark.execution.remote import Failed, Lost, OutOfMemory, RemoteWorker, Unreachable
from benchmark.execution.scheduler import Limits, Scheduler
from benchmark.execution.slots import Slot
from benchmark.records import WEIGHTS, read_record

OK = """
    print("hello", file=sys.stderr, flush=True)
    (order.folder / "predictions").mkdir(parents=True)
    (order.folder / "predictions" / "a.npz").write_bytes(b"mask")
    emit(event="stage", stage="building the network")
    emit(event="epoch", epoch=1)
    write("ok", attempts=order.attempt, away=str(order.folder))
"""
# Leaves a checkpoint, then works forever; the second attempt says what it found.
LONG = """
    found = sorted(path.name for path in order.folder.glob("checkpoint-*"))
    if found:
        write("ok", attempts=order.attempt, found=found)
        sys.exit()
    (order.folder / "checkpoint-000001.bin").write_bytes(b"state")
    emit(event="epoch", epoch=1)
    time.sleep(60)
"""
HUNG = (
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); emit(event='stage', stage='x'); time.sleep(60)"
)


class Machine:
    """A seat at a station here. It may be lost after a call, or have no place for a while.

    Args:
        scratch: Its disk.
        lost_after: Name of the call whose answer is the last.
        free: Set when there is a place.
    """

    def __init__(self, scratch, lost_after="", free=None):
        self.scratch, self.lost_after = scratch, lost_after
        self.free = free or threading.Event()
        if free is None:
            self.free.set()
        self.station = None
        self.gone = False
        self.calls = []

    def place(self, wait_s):
        if self.free.wait(0.05) and not self.gone:
            self.station = Station(self.scratch, cpus=1, gpus=0)
            return "there"
        return ""

    def call(self, method, *arguments):
        self.calls.append(method)
        try:
            answer = None if self.gone else getattr(self.station, method)(*arguments)
        except OSError:
            if not self.gone:  # else its disk went with it
                raise
        if self.gone:
            raise Lost("no heartbeat")
        if method == self.lost_after:
            self.give_up()
        return answer

    def send(self, method, *arguments):
        if not self.gone and self.station is not None:
            getattr(self.station, method)(*arguments)

    def give_up(self):
        self.gone = True
        if self.station is not None:
            self.station.leave()


class Cluster:
    """Gives out machines in turn."""

    prepares = False

    def __init__(self, *machines):
        self.machines = list(machines)
        self.given = []

    def start(self, order, slot, inbox):
        self.given.append(self.machines.pop(0))
        return RemoteWorker(self.given[-1], order, slot, inbox)


@pytest.fixture
def machine(tmp_path):
    return lambda **options: Machine(tmp_path / "scratch", **options)


def statuses(records):
    return [record["status"] for record in records]


def test_a_record_comes_back_from_another_disk(execute, recorder, machine, tmp_path):
    cluster = Cluster(machine(), machine())
    records, interrupted = execute(
        OK, "raise SystemExit('no such luck')", executor=cluster, listeners=[recorder]
    )
    assert statuses(records) == ["ok", "error"]
    assert not interrupted
    assert recorder.events[:4] == [("started", 0, 1, 2), ("stage", 0), ("epoch", 0),
                                   ("finished", 0, "ok")]  # fmt: skip
    ok, failed = records
    assert ok["attempts"] == 1
    assert ok["away"].startswith(str(tmp_path / "scratch" / "attempts"))
    assert (ok["path"] / "predictions" / "a.npz").read_bytes() == b"mask"
    assert (ok["path"] / "log.txt").read_text() == "hello\n"
    assert "status 1: no such luck" in failed["error"]
    assert read_record(failed["path"])["status"] == "error"
    assert not list((tmp_path / "runs").glob(".spare*"))
    assert not list((tmp_path / "scratch" / "attempts").iterdir())


def test_a_run_whose_machine_is_lost_goes_on_from_its_checkpoint(execute, recorder, machine):
    told = []
    cluster = Cluster(machine(lost_after="checkpoint"), machine())
    records, _ = execute(LONG, executor=cluster, listeners=[recorder], tell=told.append)
    assert statuses(records) == ["ok"]
    assert records[0]["found"] == ["checkpoint-000001.bin"]
    assert records[0]["attempts"] == 2
    assert "there was lost (no heartbeat); it is taken up again" in told[0]
    starts = [event for event in recorder.events if event[0] == "started"]
    assert starts == [("started", 0, 1, 1)]  # one run, however often it was begun
    assert (records[0]["path"] / "log.earlier.txt").exists()


def test_runs_that_an_order_builds_on_travel_along(replace_work, machine, spec, tmp_path):
    """What their weights are loaded with, and nothing of the gigabytes beside it."""
    replace_work("""
        beside = order.folder.parent / "pretrained"
        write("ok", found=sorted(path.name for path in beside.iterdir()),
              weights=(beside / "best.weights.h5").read_text())
    """)
    other = tmp_path / "runs" / "pretrained"
    (other / "predictions").mkdir(parents=True)
    needed = ["SHA256SUMS", WEIGHTS, "cases.csv", "record.json"]
    for name in (*needed, "checkpoint-000001.bin", "predictions/a.npz"):
        (other / name).write_text(name)
    tuned = dataclasses.replace(spec, init_from={"run": "pretrained", "dataset": "camus"})
    order = Order(tuned, "smoke", tmp_path, tmp_path)
    (record,), _ = Scheduler([order], [], print, executor=Cluster(machine())).run()
    assert record["status"] == "ok"
    assert record["found"] == sorted(needed)
    assert record["weights"] == WEIGHTS


def test_a_run_that_loses_every_machine_ends(execute, machine):
    cluster = Cluster(*(machine(lost_after="start") for _ in range(3)))
    records, _ = execute("time.sleep(60)", executor=cluster)
    assert statuses(records) == ["killed"]
    assert "lost (no heartbeat); the run was begun 3 times" in records[0]["error"]
    assert cluster.machines == []


def test_a_machine_that_does_not_answer_is_asked_again(execute, machine, monkeypatch):
    from benchmark.execution import remote

    monkeypatch.setattr(remote.time, "sleep", lambda seconds: None)
    shaky = machine()
    answer, silences = shaky.call, iter(["start", "listen", "listen", "collect"])
    state = {"next": next(silences)}

    def call(method, *arguments):
        result = answer(method, *arguments)
        if method == state["next"]:  # it was done, and the answer is lost
            state["next"] = next(silences, None)
            raise Unreachable("timeout")
        return result

    shaky.call = call
    records, _ = execute(OK, executor=Cluster(shaky))
    assert statuses(records) == ["ok"]
    assert (records[0]["path"] / "log.txt").read_text() == "hello\n"
    assert state["next"] is None


def test_waiting_for_a_place_is_no_time_of_the_run(execute, machine):
    free = threading.Event()
    late = machine(free=free)
    timer = threading.Timer(1.5, free.set)
    timer.start()
    records, _ = execute("write('ok')", executor=Cluster(late), limits=Limits(1.0, 1.0))
    timer.join()
    assert statuses(records) == ["ok"]


def test_a_hung_run_is_ended_and_its_log_and_checkpoints_come_back(execute, machine, monkeypatch):
    from benchmark.execution import scheduler

    monkeypatch.setattr(scheduler, "GRACE_S", 0.2)
    body = (
        "import faulthandler; faulthandler.register(signal.SIGUSR1)\n"
        "(order.folder / 'checkpoint-000001.bin').write_bytes(b'state')\n" + HUNG
    )
    records, _ = execute(body, executor=Cluster(machine()), limits=Limits(silence_s=1.0))
    assert statuses(records) == ["timeout"]
    folder = records[0]["path"]
    assert "most recent call first" in (folder / "log.txt").read_text()
    assert (folder / "checkpoint-000001.bin").read_bytes() == b"state"


def test_an_interrupt_finishes_what_runs_and_takes_back_what_waits(execute, recorder, machine):
    def once(spec, event):
        if event["event"] == "epoch":
            os.kill(os.getpid(), signal.SIGINT)

    recorder.event = once
    never = machine(free=threading.Event())
    records, interrupted = execute(
        OK, OK, executor=Cluster(machine(), never), listeners=[recorder],
        slots=[Slot(0, 2), Slot(1, 2)],
    )  # fmt: skip
    assert interrupted
    assert statuses(records) == ["ok"]
    assert never.gone
    assert never.calls == []


def test_an_interrupt_ends_a_run_that_waits_for_its_second_machine(execute, recorder, machine):
    never = machine(free=threading.Event())
    place, asked = never.place, []

    def interrupt(wait_s):
        if not asked:
            asked.append(os.kill(os.getpid(), signal.SIGINT))
        return place(wait_s)

    never.place = interrupt
    cluster = Cluster(machine(lost_after="checkpoint"), never)
    records, interrupted = execute(LONG, OK, executor=cluster, listeners=[recorder])
    assert interrupted
    assert statuses(records) == ["killed"]
    assert "the user stopped it after its machine was lost" in records[0]["error"]
    assert recorder.events[-1] == ("finished", 0, "killed")
    folder = records[0]["path"]
    assert (folder / "log.txt").exists()  # of the machine that was lost
    assert (folder / "checkpoint-000001.bin").read_bytes() == b"state"
    assert not list(folder.parent.glob(".spare*"))


def test_a_second_interrupt_closes_runs_as_killed(execute, recorder, machine):
    def twice(spec, event):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    recorder.event = twice
    records, interrupted = execute(HUNG, OK, executor=Cluster(machine()), listeners=[recorder])
    assert interrupted
    assert statuses(records) == ["killed"]


def test_a_key_that_another_invocation_holds_is_sent_nowhere(execute, machine, spec, tmp_path):
    import dataclasses

    order = Order(dataclasses.replace(spec, seed=0), "smoke", tmp_path, tmp_path)
    free = threading.Event()
    late, told = machine(free=free), []
    held = []

    def take():  # between the scheduler's look and the place
        held.append(try_lock(order.lock))
        free.set()

    def tell(text):
        told.append(text)
        held.pop().close()

    timer = threading.Timer(0.5, take)
    timer.start()
    records, _ = execute(OK, executor=Cluster(late, machine()), tell=tell)
    timer.join()
    assert "another invocation is running it" in told[0]
    assert statuses(records) == ["ok"]
    assert late.calls == []


def test_a_station_that_cannot_be_made_is_an_error_of_the_run(execute, machine):
    broken = machine()

    def place(wait_s):
        raise Failed("Traceback …\nModuleNotFoundError: No module named 'psutil'")

    broken.place = place
    begin = time.monotonic()
    records, _ = execute(OK, executor=Cluster(broken))
    assert statuses(records) == ["error"]
    assert "No module named 'psutil'" in records[0]["error"]
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("patient", [True, False])
def test_a_killed_run_is_not_given_up_while_its_folder_arrives(
    execute, machine, monkeypatch, patient
):
    from benchmark.execution import remote

    monkeypatch.setattr(remote, "GRACE_S", -1.0)  # over as soon as it begins
    if not patient:
        monkeypatch.setattr(remote, "COLLECT_S", -1.0)
    slow, cluster = machine(), Cluster()
    cluster.machines.append(slow)
    answer, workers = slow.call, []
    start = cluster.start
    cluster.start = lambda *a: workers.append(start(*a)) or workers[0]

    def call(method, *arguments):
        if method == "collect":
            workers[0].kill()
            workers[0].kill()
        return answer(method, *arguments)

    slow.call = call
    body = """
        (order.folder / "checkpoint-000001.bin").write_bytes(b"state")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    records, _ = execute(body, executor=cluster)
    assert statuses(records) == ["killed" if patient else "error"]
    assert (records[0]["path"] / "checkpoint-000001.bin").exists() is patient


@pytest.mark.parametrize(
    ("error", "status", "why"),
    [
        (OutOfMemory("the node had 1 GB left"), "oom", "memory ran out (SIGKILL): out of memory: "),
        (ZeroDivisionError("by us"), "error", "ZeroDivisionError: by us"),
    ],
)
def test_what_is_not_the_machines_loss_ends_the_run_at_once(execute, machine, error, status, why):
    here = machine()
    answer = here.call

    def call(method, *arguments):
        if method == "listen":
            raise error
        return answer(method, *arguments)

    here.call = call
    (record,), _ = execute("time.sleep(60)", executor=Cluster(here))
    assert (record["status"], record["attempts"]) == (status, 1)
    assert why in record["error"]
    if status == "error":
        assert "Traceback (most recent call last)" in (record["path"] / "log.txt").read_text()


def test_a_checkpoint_of_another_name_is_not_written(execute, machine):
    here = machine()
    answer = here.call
    here.call = lambda method, *arguments: (
        ("../record.json", b"x") if method == "checkpoint" else answer(method, *arguments)
    )
    (record,), _ = execute(LONG, executor=Cluster(here))
    assert record["status"] == "error"
    assert "expected a checkpoint, there sent '../record.json'" in record["error"]
    assert not (record["path"].parent / "record.json").exists()


def test_a_station_that_is_asked_twice_at_once_starts_one_worker(tmp_path, spec, monkeypatch):
    from benchmark.execution import node

    both, made = threading.Barrier(2), []

    class Slow:
        def __init__(self, *arguments):
            made.append(self)
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.5)  # for the other, which must not come

        def give(self, order):
            pass

    monkeypatch.setattr(node, "WorkerProcess", Slow)
    station = Station(tmp_path / "scratch", cpus=99, gpus=0)
    line = Order(spec, "smoke", tmp_path, tmp_path).to_json()
    threads = [threading.Thread(target=station.start, args=(line, {})) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    for file in station._held:
        file.close()


def test_a_full_disk_here_is_an_error_that_names_it(execute, machine, monkeypatch):
    from benchmark.execution import remote

    def full(parcel, folder):
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(remote, "unpack", full)
    records, _ = execute(OK, executor=Cluster(machine()))
    assert statuses(records) == ["error"]
    assert "No space left on device" in records[0]["error"]


def test_what_a_station_left_behind_is_swept_up(tmp_path):
    dead = tmp_path / "attempts" / "dead"
    dead.mkdir(parents=True)
    (dead / "alive").touch()
    with try_lock(tmp_path / "attempts" / "other" / "alive"):
        station = Station(tmp_path, cpus=99, gpus=0)
        mine = station._own_folder()
        assert sorted(path.name for path in (tmp_path / "attempts").iterdir()) == sorted(
            ["other", mine.name]
        )
    station.leave()


def test_runs_on_one_machine_have_processors_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    first, held = take_processors(tmp_path, 3)
    assert first == (0, 1, 2)
    second, none = take_processors(tmp_path, 2)  # more than was promised: it shares
    assert (second, none) == ((), [])
    third, held_too = take_processors(tmp_path, 1)
    assert third == (3,)
    assert take_processors(tmp_path, 4) == ((), [])  # all of them: nothing to keep apart
    for file in (*held, *held_too):
        file.close()
    again, held = take_processors(tmp_path, 3)
    assert again == first
    for file in held:
        file.close()
