"""One evaluation that follows a run: what decides its result, and where its record lies."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.evaluation import corruption
from benchmark.experiment.spec import RunSpec, digest


@dataclass(frozen=True)
class CrossTest:
    """A test on files that the run was not trained on.

    Attributes:
        site: The place's name in the experiment file, such as ``camus``.
        dataset: The dataset whose layout and labels the files have.
        source: ``real`` or ``phantom``.
        release: What the files are if not the official release.
        fingerprint: Digest of their cases.
        classes: Class of the files by the class of the model that is compared with it.
        root: Folder of the release.
    """

    site: str
    dataset: str
    source: str
    release: str
    fingerprint: str
    classes: Mapping[str, str]
    root: Path

    @property
    def place(self) -> str:
        """Its folder inside the run's."""
        return f"on/{self.site}"

    @property
    def title(self) -> str:
        """What is done, in words."""
        return f"on {self.site}"

    def identity(self) -> dict[str, Any]:
        """Return all that decides the result beside the run itself."""
        return {
            "kind": "test_on",
            "site": self.site,
            "dataset": self.dataset,
            "source": self.source,
            "release": self.release,
            "fingerprint": self.fingerprint,
            "classes": dict(self.classes),
        }


@dataclass(frozen=True)
class Robustness:
    """A test on corrupted images of the run's own test cases.

    Attributes:
        corruptions: Kinds of corruption.
        severities: How strong, beside the images as they are.
        cases: How many test cases, at most.
        root: Folder of the release that the run was trained on.
    """

    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    cases: int
    root: Path

    @property
    def place(self) -> str:
        """Its folder inside the run's."""
        return "robustness"

    @property
    def title(self) -> str:
        """What is done, in words."""
        return "on corrupted images"

    def identity(self) -> dict[str, Any]:
        """Return all that decides the result beside the run itself."""
        return {
            "kind": "robustness",
            "corruptions": [name for name in corruption.CORRUPTIONS if name in self.corruptions],
            "severities": sorted(self.severities),
            "cases": self.cases,
            "version": corruption.VERSION,
        }


Task = CrossTest | Robustness


def to_plain(task: Task) -> dict[str, Any]:
    """Return JSON types, for an order."""
    return task.identity() | {"root": str(task.root)}


def from_plain(plain: Mapping[str, Any]) -> Task:
    """Read back what :func:`to_plain` wrote."""
    root = Path(plain["root"])
    if plain["kind"] == "robustness":
        kinds, severities = tuple(plain["corruptions"]), tuple(plain["severities"])
        return Robustness(kinds, severities, plain["cases"], root)
    names = ("site", "dataset", "source", "release", "fingerprint", "classes")
    return CrossTest(**{name: plain[name] for name in names}, root=root)


def new_record(spec: RunSpec, run: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Return what every record of a task holds, whatever becomes of it.

    Its ``spec`` is that of the run with the dataset that is tested in place of the one that was
    trained on, so that a report reads it as it reads a run; ``of`` says what it follows.

    Args:
        spec: The run.
        run: Its record.
        task: What is done.
    """
    plain, identity = spec.to_dict(), task.identity()
    if isinstance(task, CrossTest):
        plain |= {name: identity[name] for name in ("dataset", "source", "fingerprint")}
    return {
        "key": f"{spec.key}-{task.place.replace('/', '-')}",
        "name": f"{spec.name} {task.title}",
        "status": "error",
        "error": None,
        "task": identity,
        "of": followed(run),
        "spec": plain,
        "protocol_hash": digest([run["protocol_hash"], identity])[:8],
        "profile": run.get("profile") or "",
        "release": task.release if isinstance(task, CrossTest) else run.get("release") or "",
        "started_utc": now(),
    }


def followed(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a task's record says of the run it follows."""
    spec = run["spec"]
    return {
        "key": run["key"],
        "finished_utc": run.get("finished_utc"),
        "dataset": spec["dataset"],
        "source": spec["source"],
        "release": run.get("release") or "",
        "fingerprint": spec["fingerprint"],
        "protocol_hash": run["protocol_hash"],
    }


def is_of(record: Mapping[str, Any], run: Mapping[str, Any], task: Task) -> bool:
    """Tell whether a task's record is of this task after this very training of the run."""
    return record.get("task") == task.identity() and record.get("of") == followed(run)


def now() -> str:
    """Return the time as records have it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
