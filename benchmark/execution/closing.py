"""How a run ended: the record its worker wrote, or the one it could no longer write."""

from __future__ import annotations

import datetime
import signal
from pathlib import Path
from typing import Any

from benchmark import environment
from benchmark.execution.executor import Worker
from benchmark.execution.locks import try_lock
from benchmark.execution.order import Order, new_record
from benchmark.records import Damaged, read_record, write_record
from benchmark.training import checkpoint

# What allocators print before they abort the process.
_OUT_OF_MEMORY = ("bad_alloc", "out of memory", "cannot allocate memory", "resource_exhausted")


def close(
    order: Order, worker: Worker, *, status: str = "", because: str = "", total_s: float
) -> dict[str, Any] | None:
    """Return the record of a run whose worker has ended; write it where the worker could not.

    Where another invocation has taken the run meanwhile nothing is written and None returned.

    Args:
        order: The run.
        worker: Its worker, ended.
        status: ``timeout``, ``pruned`` or ``killed`` where the scheduler ended it; else empty.
        because: The reason in that case.
        total_s: Seconds from the order to now.

    Raises:
        OSError: The record cannot be written.
    """
    lock = try_lock(order.lock)
    if lock is None:
        return None
    with lock:
        worker.keep_log(order.log)
        return _close(order, worker, status, because, total_s)


def _close(
    order: Order, worker: Worker, status: str, because: str, total_s: float
) -> dict[str, Any]:
    damage = ""
    try:
        record = read_record(order.folder)
        # A worker that was ended just after its record was written has finished all the same.
        if record is not None and (worker.returncode == 0 or record["status"] == "ok"):
            return record
    except Damaged as error:
        damage = str(error)
    record = new_record(order, datetime.datetime.now(datetime.UTC))
    if status:
        record.update(status=status, error=because)
    else:
        status, because = _reason(worker)
        record.update(status=status, error=damage or because)
    record["timing"] = {"total_s": total_s}
    record["environment"] = environment.describe()
    record["finished_utc"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_record(order.folder, record)
    if status == "pruned":  # nobody goes on with it
        checkpoint.remove(order.folder)
    record["path"] = order.folder
    return record


def _reason(worker: Worker) -> tuple[str, str]:
    """Return status and reason of a worker that died by itself or by another's hand."""
    code, tail = worker.returncode, _tail(worker.log)
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        # An allocator aborts after some more words; who watches over a machine's memory kills, and
        # what came before its own word may be a warning of long ago.
        said = {-signal.SIGABRT: tail, -signal.SIGKILL: _last_line(tail)}.get(code, "")
        if any(sign in said.lower() for sign in _OUT_OF_MEMORY):
            return "oom", f"memory ran out ({name}): {_last_line(tail)}"
        hint = ", as the system does when memory runs out" if code == -signal.SIGKILL else ""
        return "killed", f"the worker was ended by signal {name}{hint}"
    return "error", f"the worker exited with status {code}: {_last_line(tail)}"


def _tail(log: Path, size: int = 4096) -> str:
    with log.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - size))
        return file.read().decode(errors="replace").strip()


def _last_line(text: str) -> str:
    return text.splitlines()[-1] if text else "no message"
