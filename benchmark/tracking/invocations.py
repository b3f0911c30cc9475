"""``results/invocations``: who was asked to do which runs, and whether they still do.

Each call of ``run`` that executes something is a parent run of MLflow. What that parent says is
kept here too, so that the store can be completed, or made anew, without the process that ran.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmark.execution.locks import is_locked, try_lock
from benchmark.experiment.plan import Plan
from benchmark.records import write_json

FOLDER = "invocations"


@dataclass(frozen=True)
class Invocation:
    """One call of ``run``.

    Attributes:
        id: Its name: time, host and process.
        experiment: Name of the experiment.
        profile: Name of the profile.
        source: Whether it ran on real files, phantoms or both.
        models: ``none``, or ``best`` where the best network of each dataset is wanted in MLflow.
        file: Name of the experiment file.
        text: Its content.
        plan: The plan, as ``plan --json`` shows it.
        keys: All runs of the plan.
        orders: Those that were to be executed.
        started_utc: When it began.
        finished_utc: When it ended; empty while it runs, or if it died.
        interrupted: Whether it ended early; true until it has ended.
        study: Name of the study whose trials it made; empty for a call of ``run``.
    """

    id: str
    experiment: str
    profile: str
    source: str
    models: str
    file: str
    text: str
    plan: dict[str, Any]
    keys: tuple[str, ...]
    orders: tuple[str, ...]
    started_utc: str
    finished_utc: str = ""
    interrupted: bool = True
    study: str = ""

    @classmethod
    def of(cls, plan: Plan, *, study: str = "") -> Invocation:
        """Return the invocation that executes a plan now, or makes trials around its run."""
        now = datetime.datetime.now(datetime.UTC)
        return cls(
            id=f"{now:%Y%m%dT%H%M%S}.{now.microsecond:06d}-{socket.gethostname()}-{os.getpid()}",
            experiment=plan.experiment.name,
            profile=plan.profile,
            source="+".join(sorted({found.source for found in plan.sources.values()})),
            models=plan.experiment.tracking.models,
            file=plan.path.name,
            text=plan.path.read_text(encoding="utf-8"),
            plan=plan.to_dict(),
            keys=() if study else tuple(run.spec.key for run in plan.runs),
            orders=() if study else tuple(run.spec.key for run in plan.pending),
            started_utc=now.isoformat(timespec="seconds"),
            study=study,
        )

    @property
    def title(self) -> str:
        """Its name for people."""
        return f"tune: {self.study}" if self.study else f"{self.experiment} {self.profile}"

    def taking(self, key: str) -> Invocation:
        """Return the invocation with one more run to do."""
        keys = tuple(dict.fromkeys([*self.keys, key]))
        return dataclasses.replace(self, keys=keys, orders=keys)

    def ended(self, *, interrupted: bool) -> Invocation:
        """Return the invocation as it is when it ends now."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return dataclasses.replace(self, finished_utc=now, interrupted=interrupted)

    def write(self, results: Path) -> None:
        """Write it down, atomically."""
        write_json(_path(results, self.id), dataclasses.asdict(self))

    def hold(self, results: Path) -> IO[bytes] | None:
        """Say that it runs, until the returned file is closed or this process ends."""
        return try_lock(_lock(results, self.id))


def release(results: Path, invocation: Invocation, lock: IO[bytes] | None) -> None:
    """Say that an invocation writes no more."""
    _lock(results, invocation.id).unlink(missing_ok=True)
    if lock is not None:
        lock.close()


def is_alive(results: Path, identity: str) -> bool:
    """Tell whether the process of an invocation still runs, on whichever host."""
    return is_locked(_lock(results, identity))


def known(results: Path) -> list[str]:
    """Return the names of all invocations on these results, oldest first."""
    return sorted(path.stem for path in (results / FOLDER).glob("*.json"))


def read_invocations(results: Path) -> list[Invocation]:
    """Return all invocations on these results, oldest first."""
    found = []
    for identity in known(results):
        plain = json.loads(_path(results, identity).read_text(encoding="utf-8"))
        plain |= {name: tuple(plain[name]) for name in ("keys", "orders")}
        found.append(Invocation(**plain))
    return found


def claim(invocations: Sequence[Invocation], record: dict[str, Any]) -> Invocation | None:
    """Return the invocation that made a record: the last before it that had it to do."""
    return next(
        (
            each
            for each in reversed(invocations)
            if record["key"] in each.orders and each.started_utc <= record["started_utc"]
        ),
        None,
    )


def _path(results: Path, identity: str) -> Path:
    return results / FOLDER / f"{identity}.json"


def _lock(results: Path, identity: str) -> Path:
    return results / FOLDER / f"{identity}.lock"
