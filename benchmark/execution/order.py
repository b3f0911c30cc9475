"""What the scheduler asks of a worker, and what every answer holds."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.experiment.spec import RunSpec
from benchmark.records import Damaged, read_record


@dataclass(frozen=True)
class Order:
    """What the scheduler asks a worker to do.

    Attributes:
        spec: The run.
        profile: Name of the profile, for the record only.
        root: Folder of the dataset's release.
        results: Results folder.
        release: What the files are if not the official release, for the record.
        seen: When the record that the plan knows was finished; empty where it knows none.
        attempt: It is the attempt-th, from 1: those before lost the machine they were on.
        scratch: On a machine that shares no disk with the scheduler: where prepared cases and
            phantoms are kept from run to run. None where the order is carried out at home.
        phantom: Patients and seed of the phantom at `root`, for a machine that lacks it.
        tasks: What is to be done with the weights of the run, which has finished, instead of
            running it; see :mod:`benchmark.generalisation.tasks`.
    """

    spec: RunSpec
    profile: str
    root: Path
    results: Path
    release: str = ""
    seen: str = ""
    attempt: int = 1
    scratch: Path | None = None
    phantom: tuple[int, int] | None = None
    tasks: tuple[dict[str, Any], ...] = ()

    @property
    def beside(self) -> tuple[str, ...]:
        """Keys of finished runs whose folders the worker reads: they travel along."""
        return (self.spec.init_from["run"],) if self.spec.init_from else ()

    @property
    def cache(self) -> Path:
        """Where prepared cases lie."""
        return (self.scratch or self.results) / "cache"

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.results / "runs" / self.spec.key

    @property
    def lock(self) -> Path:
        """The file that the worker locks while it works in the run's folder."""
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        """What the worker printed."""
        return self.folder / ("tasks.log.txt" if self.tasks else "log.txt")

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(
            {
                "spec": self.spec.to_dict(),
                "profile": self.profile,
                "root": str(self.root),
                "results": str(self.results),
                "release": self.release,
                "seen": self.seen,
                "attempt": self.attempt,
                "scratch": str(self.scratch) if self.scratch else None,
                "phantom": self.phantom,
                "tasks": self.tasks,
            }
        )

    @classmethod
    def from_json(cls, line: str) -> Order:
        """Read back what :meth:`to_json` wrote."""
        plain = json.loads(line)
        return cls(
            RunSpec.from_dict(plain["spec"]),
            plain["profile"],
            Path(plain["root"]),
            Path(plain["results"]),
            plain["release"],
            plain["seen"],
            plain["attempt"],
            Path(plain["scratch"]) if plain["scratch"] else None,
            tuple(plain["phantom"]) if plain["phantom"] else None,
            tuple(plain["tasks"]),
        )


def finished_elsewhere(order: Order) -> dict[str, Any] | None:
    """Return the record that another invocation has left since the plan was made, or None.

    Whatever its status, the run has been done: nothing is run twice.
    """
    try:
        record = read_record(order.folder)
    except Damaged:
        return None
    if record is None or str(record.get("finished_utc") or "") == order.seen:
        return None
    return record


def new_record(order: Order, started: datetime.datetime) -> dict[str, Any]:
    """Return what every record holds, whatever becomes of its run."""
    spec = order.spec
    return {
        "key": spec.key,
        "name": spec.name,
        "status": "error",
        "error": None,
        "spec": spec.to_dict(),
        "protocol_hash": spec.protocol_hash,
        "profile": order.profile,
        "release": order.release,
        "attempts": order.attempt,
        "started_utc": started.isoformat(timespec="seconds"),
    }
