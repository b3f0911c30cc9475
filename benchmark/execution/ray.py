"""Runs on the machines of a Ray cluster. Only this file knows Ray.

Every run has an actor of its own, which asks for the run's processors and GPUs and starts the same
worker process there as a run at home has. Ray restarts nothing and repeats nothing: what becomes of
a run whose node is lost is the scheduler's to decide, so that no key runs twice.

The code does not travel as Ray's runtime environment: that would clash with the one of `ray job
submit`, and Ray puts the driver's folder first on the path of its workers, so that another version
of this project at the same place on a node would be run instead.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmark.errors import BenchmarkError
from benchmark.execution.executor import Inbox
from benchmark.execution.luggage import pack_code
from benchmark.execution.order import Order
from benchmark.execution.remote import Failed, Lost, OutOfMemory, RemoteWorker, Unreachable
from benchmark.execution.shares import Node, Share, share_out
from benchmark.execution.slots import Slot

# How long the cluster's port may take to answer.
KNOCK_S = 5.0
# Ray reads them when it is imported. No statistics are sent to its makers; and it would send the
# whole folder of a driver that was started by `uv run`, results and scans included.
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}


@contextmanager
def connected(
    address: str | None, *, cpus: int | None = None, gpus: int | None = None
) -> Iterator[RayExecutor]:
    """Connect to a cluster for as long as it is entered.

    Args:
        address: ``HOST:PORT`` of its head; None or ``auto`` finds the one this machine belongs to.
        cpus: Processors of a run; see :func:`benchmark.execution.shares.share_out`.
        gpus: GPUs of a run.

    Raises:
        BenchmarkError: Ray is not installed, no cluster answers, or no node has as much.
    """
    if importlib.util.find_spec("ray") is None:
        raise BenchmarkError(
            "--executor ray: expected the package ray, it is not installed. Install it here and "
            "on the nodes: `uv sync --extra ray`."
        )
    os.environ.update(ENVIRONMENT)
    address = address or os.environ.get("RAY_ADDRESS") or "auto"
    _knock(address)
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (
        ConnectionError,
        RuntimeError,
        ValueError,
        ImportError,
        ray.exceptions.RayError,
    ) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise _no_cluster(address, first) from None
    try:
        nodes = [
            Node(int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
            for node in ray.nodes()
            if node["Alive"]
        ]
        yield RayExecutor(share_out(nodes, cpus=cpus, gpus=gpus))
    finally:
        ray.shutdown()


class RayExecutor:
    """Has runs carried out on the nodes of the cluster that this process is connected to.

    Args:
        share: What a run asks for.
    """

    # A worker that starts up early would hold a place that another run could have.
    prepares = False

    def __init__(self, share: Share) -> None:
        import ray

        self.share = share
        self._code = ray.put(pack_code())
        self._actor: Any = ray.remote(_bootstrap()).options(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=2,  # a signal has to come through while a worker is listened to
        )

    def slots(self, jobs: int | None, *, devices: int = 1) -> list[Slot]:
        """Return one slot for each run that finds a place now.

        More may be asked for: what finds no place waits in Ray, for nodes that are still to come.
        """
        if jobs is not None and jobs < 1:
            raise BenchmarkError(f"--jobs {jobs}: expected 1 or more.")
        if devices > max(1, self.share.gpus):
            raise BenchmarkError(
                f"devices: {devices}: expected as many GPUs for each run, it asks for "
                f"{self.share.gpus}. Use --gpus {devices}."
            )
        count = jobs or self.share.places
        return [Slot(number, count) for number in range(count)]

    def start(self, order: Order, slot: Slot, inbox: Inbox) -> RemoteWorker:
        """Ask for a seat for such an order; what its worker says goes to the inbox."""
        actor = self._actor.remote(self._code, cpus=self.share.cpus, gpus=self.share.gpus)
        return RemoteWorker(RaySeat(actor), order, slot, inbox)


class RaySeat:
    """An actor, and the errors of Ray in words that the rest of the project knows.

    Args:
        actor: From :func:`_bootstrap`.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._placed = actor.open.remote()

    def place(self, wait_s: float) -> str:
        """Return the node's name, or nothing while there is no place."""
        import ray

        ready, _ = ray.wait([self._placed], timeout=wait_s)
        return str(self._get(self._placed)) if ready else ""

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the station and return its result."""
        return self._get(self._actor.call.remote(method, *arguments))

    def send(self, method: str, *arguments: Any) -> None:
        """Call a method of the station and wait for nothing."""
        self._actor.call.remote(method, *arguments)

    def give_up(self) -> None:
        """End the actor; the worker beside it ends with it."""
        import ray

        ray.kill(self._actor)

    def _get(self, reference: Any) -> Any:
        import ray
        from ray import exceptions

        try:
            return ray.get(reference)
        except exceptions.ActorUnavailableError as error:
            raise Unreachable(_first_line(error)) from None
        except exceptions.OutOfMemoryError as error:  # by Ray's watch over the node's memory
            raise OutOfMemory(_first_line(error)) from None
        except exceptions.RayTaskError as error:
            raise Failed(str(error)) from None
        except exceptions.RayError as error:
            raise Lost(_first_line(error)) from None


def _bootstrap() -> type:
    """Return the class of the actors.

    It is made inside a function so that Ray sends it whole: a node need not have our code before.
    """

    class Seat:
        def __init__(self, code: bytes, *, cpus: int, gpus: int) -> None:
            self._code, self._cpus, self._gpus = code, cpus, gpus

        def open(self) -> str:
            """Unpack the code, make the station, and return the node's name."""
            import contextlib
            import os
            import pathlib
            import socket
            import stat
            import sys
            import tempfile

            scratch = pathlib.Path(tempfile.gettempdir()) / f"cardiac-benchmark-{os.getuid()}"
            with contextlib.suppress(FileExistsError):
                scratch.mkdir(mode=0o700)
            found = scratch.lstat()  # others may write beside it: a link could lead anywhere
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                raise PermissionError(
                    f"{scratch} on {socket.gethostname()}: expected a folder of our own, found a "
                    "link, a file, or another user's. Set TMPDIR to another place before "
                    "`ray start`."
                )
            place = self._unpack(scratch)
            # The folder that Ray was started in may hold another version of this project.
            os.chdir(place)
            sys.path.insert(0, str(place))
            from benchmark.execution.node import Station

            self._station = Station(scratch, cpus=self._cpus, gpus=self._gpus)
            return socket.gethostname()

        def _unpack(self, scratch: Any) -> Any:
            """Return the folder with the code; remove those that no actor uses."""
            import fcntl
            import hashlib
            import io
            import shutil
            import zipfile

            codes = scratch / "code"
            codes.mkdir(exist_ok=True)
            place = codes / hashlib.sha256(self._code).hexdigest()[:16]
            with (scratch / "code.lock").open("ab") as guard:
                fcntl.flock(guard, fcntl.LOCK_EX)
                if not place.exists():
                    fresh = codes / ".fresh"
                    shutil.rmtree(fresh, ignore_errors=True)  # of one that was killed here
                    zipfile.ZipFile(io.BytesIO(self._code)).extractall(fresh)
                    fresh.rename(place)
                self._used = (place / "used").open("ab")  # for as long as this process lives
                fcntl.flock(self._used, fcntl.LOCK_SH)
                for other in (each for each in codes.iterdir() if each.is_dir()):
                    with (other / "used").open("ab") as used:
                        try:
                            fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        except BlockingIOError:  # it is; so is ours, by ourselves
                            continue
                    shutil.rmtree(other, ignore_errors=True)
            return place

        def call(self, method: str, *arguments: Any) -> Any:
            """Call a method of the station."""
            return getattr(self._station, method)(*arguments)

    return Seat


def _knock(address: str) -> None:
    """Refuse an address where no cluster answers; Ray itself would try for minutes.

    Ray speaks gRPC, whose two sides begin with a SETTINGS frame (RFC 9113, section 3.4).

    Raises:
        BenchmarkError: Nothing answers within seconds, or something else.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdecimal()):
        return  # a word such as "auto", which Ray judges at once
    try:
        with socket.create_connection((host.strip("[]"), int(port)), KNOCK_S) as there:
            if os.environ.get("RAY_USE_TLS") == "1":
                return
            there.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            answer = there.recv(9)
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from None
    if answer[3:4] != b"\x04":
        raise _no_cluster(address, "what answers there is none")


def _no_cluster(address: str, why: str) -> BenchmarkError:
    return BenchmarkError(
        f"--address {address}: expected a Ray cluster that this machine is part of: "
        f"{why.rstrip('.')}. Start one (`ray start --head`), or join it "
        "(`ray start --address HOST:PORT --num-cpus 0`)."
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
