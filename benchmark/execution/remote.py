"""A worker on another machine, as the scheduler sees it.

The key is locked here, where the results are, before anything is sent. Then the order travels with
the checkpoints that are here and the runs that it builds on; events and log come back as they
arise, checkpoints after epochs, and at the end the run's folder: neither side sees the other's
disk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Protocol

from benchmark.errors import BenchmarkError
from benchmark.execution import local
from benchmark.execution.away import phantom_of
from benchmark.execution.executor import Inbox
from benchmark.execution.folder import RECORD, clear, pack, unpack
from benchmark.execution.locks import try_lock
from benchmark.execution.node import Heard
from benchmark.execution.order import Order, finished_elsewhere
from benchmark.execution.slots import Slot
from benchmark.records import SUMS, WEIGHTS, write_atomic
from benchmark.training.checkpoint import NAME, prune

# How long a machine is listened to at a time.
LISTEN_S = 2.0
# Of the time, the part that may go by with fetching checkpoints.
CHECKPOINT_SHARE = 0.05
# What a killed worker is given to be gone before its whole machine is given up.
GRACE_S = 5.0
# What the folder of a killed worker is given to arrive, which may hold gigabytes.
COLLECT_S = 600.0
# Of a run that another builds on: what `benchmark.trained.open_run` and its network read.
BUILT_ON = (RECORD, SUMS, "*.csv", WEIGHTS)


class Lost(Exception):
    """The machine is gone; the message says how that was noticed."""


class Unreachable(Exception):
    """The machine does not answer now; it may do so later."""


class Failed(Exception):
    """What was called there has raised an error; the message names it."""


class OutOfMemory(Exception):
    """The machine has ended the run because its memory ran out; the message says so."""


class Seat(Protocol):
    """A place for one run, with a :class:`benchmark.execution.node.Station` in it."""

    def place(self, wait_s: float) -> str:
        """Return the machine's name, or nothing while there is no place.

        Raises:
            Lost: The machine is gone.
            Failed: The station cannot be made there.
            OutOfMemory: It was ended for want of memory.
        """

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the station and return its result.

        Raises:
            Lost: The machine is gone.
            Unreachable: It does not answer.
            Failed: The method has raised an error.
            OutOfMemory: The station was ended for want of memory.
        """

    def send(self, method: str, *arguments: Any) -> None:
        """Call a method of the station and wait for nothing."""

    def give_up(self) -> None:
        """End all that runs at the seat, and leave it."""


class RemoteWorker:
    """Has an order carried out at a seat.

    Args:
        seat: Where; it may have to be waited for.
        order: What for; the scheduler gives it a little later.
        slot: The slot it fills.
        inbox: Receives what the worker says.
    """

    def __init__(self, seat: Seat, order: Order, slot: Slot, inbox: Inbox) -> None:
        self.backend = order.spec.protocol.backend
        self.slot = slot
        self.waiting = True
        self.lost = ""
        self.returncode: int | None = None
        self.log = local.spare_log(order.results)
        self._printed = self.log.open("wb", buffering=0)
        self._seat = seat
        self._inbox = inbox
        self._host = ""
        self._checkpoint = ""
        self._next_checkpoint_s = 0.0
        self._killed_s: float | None = None
        self._ended = False  # the worker has; its folder is on the way
        self._dismissed = False
        self._thread: threading.Thread | None = None

    def give(self, order: Order) -> None:
        """Give the worker its order."""
        self._thread = threading.Thread(
            target=self._follow, args=(order,), name="remote worker", daemon=True
        )
        self._thread.start()

    def keep_log(self, path: Path) -> None:
        """Make the worker's log this file; that of an earlier attempt stays beside it."""
        self.log = local.keep_log(self.log, path)

    def dump(self) -> None:
        """Have the worker write to its log where each of its threads is."""
        self._seat.send("signal", "dump")

    def terminate(self) -> None:
        """Ask the worker to end."""
        self._seat.send("signal", "terminate")

    def kill(self) -> None:
        """End the worker now; where it does not end, its seat is given up.

        One that has ended is given time to send its folder: the newest checkpoint is in it.
        """
        now = time.monotonic()
        if self._killed_s is None:
            self._killed_s = now
            self._seat.send("signal", "kill")
        elif now > self._killed_s + (COLLECT_S if self._ended else GRACE_S):
            self._dismissed = True
            self._seat.give_up()

    def dismiss(self) -> None:
        """End the worker; the log of one that worked on no run is removed."""
        self._dismissed = True
        self._seat.give_up()
        if self._thread is None:
            self._printed.close()
        else:
            self._thread.join(GRACE_S)
        local.remove_spare(self.log)

    def _follow(self, order: Order) -> None:
        try:
            self._work(order)
        except Lost as error:
            if not self._dismissed:
                self.lost = f"{self._host or 'its machine'} was lost ({error})"
        except OutOfMemory as error:  # it would run out again: not lost, and begun nowhere else
            self._fail(f"out of memory: {error}", -signal.SIGKILL)
        except (Failed, BenchmarkError, OSError) as error:
            self._fail(str(error))
        except Exception:  # an error of ours: of this run alone, and the record will name it
            self._fail(traceback.format_exc().rstrip())
        finally:
            self._seat.give_up()
            self._printed.close()
            self._inbox.put((self, None))

    def _fail(self, why: str, returncode: int = 1) -> None:
        self.returncode = returncode
        with contextlib.suppress(OSError):  # the disk is full: the record will say so
            self._printed.write(f"{why}\n".encode())

    def _ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the station, again and again while its machine does not answer."""
        while True:
            try:
                return self._seat.call(method, *arguments)
            except Unreachable as error:
                if self._dismissed:
                    raise Lost(str(error)) from None
                time.sleep(1.0)

    def _work(self, order: Order) -> None:
        while not (self._host or self._dismissed):
            self._host = self._seat.place(LISTEN_S)
        if self._dismissed:
            return
        self.waiting = False
        lock = try_lock(order.lock)
        if lock is None:
            self._inbox.put((self, {"event": "busy"}))
            return
        with lock:
            if finished_elsewhere(order) is not None:
                self._inbox.put((self, {"event": "busy"}))
                return
            clear(order.folder)
            away = dataclasses.replace(
                order, root=order.root.absolute(), phantom=phantom_of(order.root)
            )
            parcels = {key: pack(order.folder.with_name(key), *BUILT_ON) for key in order.beside}
            parcels[order.spec.key] = pack(order.folder, "checkpoint-*.bin")
            self._ask("start", away.to_json(), parcels)
            returncode = self._listen(order)
            unpack(self._ask("collect"), order.folder)
            self.returncode = returncode
            # All of it is here: what becomes of the machine now is no concern of the run.
            with contextlib.suppress(Lost, Unreachable, Failed):
                self._seat.call("leave")

    def _listen(self, order: Order) -> int | None:
        """Pass on what the worker says until it has ended; return its exit status."""
        events = log = 0
        while True:
            heard: Heard = self._ask("listen", events, log, LISTEN_S)
            events, log = events + len(heard.events), log + len(heard.log)
            self._printed.write(heard.log)
            for event in heard.events:
                self._inbox.put((self, event))
            self._ended = heard.ended
            if heard.ended and not heard.log:
                return heard.returncode
            if any(event["event"] == "epoch" for event in heard.events):
                self._fetch_checkpoint(order)

    def _fetch_checkpoint(self, order: Order) -> None:
        begin = time.monotonic()
        if begin < self._next_checkpoint_s:
            return
        found = self._ask("checkpoint", self._checkpoint)
        if found is not None:
            self._checkpoint, content = found
            if not NAME.fullmatch(self._checkpoint):  # it becomes a path here
                raise Failed(f"expected a checkpoint, {self._host} sent {self._checkpoint!r}")
            write_atomic(order.folder / self._checkpoint, content)
            prune(order.folder)
            now = time.monotonic()
            self._next_checkpoint_s = now + (now - begin) / CHECKPOINT_SHARE
