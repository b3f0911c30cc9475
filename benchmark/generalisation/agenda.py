"""What is to follow the runs of a plan, and what of it is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.execution.order import Order
from benchmark.experiment.selection import RESULTS
from benchmark.experiment.spec import RunSpec
from benchmark.generalisation.maps import why_not
from benchmark.generalisation.sites import tests_for
from benchmark.generalisation.tasks import (
    CrossTest,
    Robustness,
    Task,
    is_of,
    new_record,
    now,
    to_plain,
)
from benchmark.records import Damaged, read_record, write_record

if TYPE_CHECKING:
    from benchmark.experiment.plan import Plan


@dataclass(frozen=True)
class Item:
    """One task of one run.

    Attributes:
        spec: The run.
        task: What follows it.
        state: ``new``, ``stale`` and ``failed`` are to be done; ``done``, ``kept`` (a failure that
            stays) and ``not applicable`` are not.
        reason: Why, in words.
    """

    spec: RunSpec
    task: Task
    state: str
    reason: str = ""

    @property
    def pending(self) -> bool:
        """Whether it is to be done."""
        return self.state in ("new", "stale", "failed")

    def folder(self, results: Path) -> Path:
        """Return the folder of its record."""
        return results / "runs" / self.spec.key / self.task.place


def agenda(plan: Plan, results: Path) -> list[Item]:
    """Return every task that the plan's file asks for, run by run.

    What follows a run that is not finished is new.
    """
    return [
        item
        for run in plan.runs
        for item in items(run.spec, _tasks(plan, run.spec), results)
    ]  # fmt: skip


def items(spec: RunSpec, tasks: Iterable[Task], results: Path) -> list[Item]:
    """Return the tasks of a run with what has become of each."""
    run = _record(results / "runs" / spec.key)
    return [_item(spec, task, run, results) for task in tasks]


def summary(found: Iterable[Item]) -> list[str]:
    """Return what a plan says of the tasks: their numbers, and each reason why one is not done."""
    listed = list(found)
    if not listed:
        return []
    counts = Counter(item.state for item in listed)
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    lines = [f"{len(listed)} evaluation{'s' * (len(listed) != 1)} that follow: {told}"]
    reasons: dict[str, list[str]] = {}
    for item in listed:
        if item.state in ("not applicable", "kept"):
            name = f"{item.spec.architecture}·{item.spec.dataset} {item.task.title}"
            reasons.setdefault(f"{item.state}: {item.reason}", []).append(name)
    return lines + [
        f"  {', '.join(dict.fromkeys(names))}: {reason}" for reason, names in reasons.items()
    ]


def orders(found: Iterable[Item], results: Path) -> list[Order]:
    """Return an order for each finished run that something is to follow.

    Args:
        found: The tasks.
        results: Results folder.
    """
    by_run: dict[str, list[Item]] = {}
    for item in found:
        if item.pending:
            by_run.setdefault(item.spec.key, []).append(item)
    result = []
    for key, members in by_run.items():
        run = _record(results / "runs" / key)
        if run is not None and run["status"] == "ok":
            spec = members[0].spec
            order = Order(
                spec, str(run.get("profile") or ""), members[0].task.root, results,
                str(run.get("release") or ""), str(run.get("finished_utc") or ""),
                tasks=tuple(to_plain(item.task) for item in members),
            )  # fmt: skip
            result.append(order)
    return result


def note_inapplicable(found: Iterable[Item], results: Path) -> None:
    """Write the records of tasks that cannot be done, so that reports name them with the reason."""
    for item in found:
        if item.state == "not applicable" and isinstance(item.task, CrossTest):
            note(item, results, status="skipped", error=item.reason)


def note(item: Item, results: Path, *, status: str, error: str) -> None:
    """Write the record of a task that no worker did, unless it is there or its run is not ok."""
    run = _record(results / "runs" / item.spec.key)
    if run is None or run["status"] != "ok":
        return
    folder = item.folder(results)
    old = _record(folder)
    if old is None or not is_of(old, run, item.task) or old["error"] != error:
        record = new_record(item.spec, run, item.task)
        folder.mkdir(parents=True, exist_ok=True)
        write_record(folder, record | {"status": status, "error": error, "finished_utc": now()})


def _tasks(plan: Plan, spec: RunSpec) -> list[Task]:
    tasks: list[Task] = [*tests_for(plan.experiment, spec, plan.places)]
    asked = plan.experiment.robustness
    if asked is not None:
        root = plan.sources[spec.dataset].root
        tasks.append(Robustness(asked.corruptions, asked.severities, asked.cases, root))
    return tasks


def _item(spec: RunSpec, task: Task, run: Mapping[str, Any] | None, results: Path) -> Item:
    if isinstance(task, CrossTest) and (reason := why_not(spec, task)):
        return Item(spec, task, "not applicable", reason)
    item = Item(spec, task, "new", "no record yet")
    record = _record(item.folder(results))
    if run is None or record is None:
        return item
    if not is_of(record, run, task):
        return replace(item, state="stale", reason="the run or what is asked has changed")
    error = str(record.get("error") or "")
    if record["status"] == "ok":
        return replace(item, state="done", reason=f"mean Dice {record['summary']['dice']:.3f}")
    if record["status"] == "skipped":
        return replace(item, state="not applicable", reason=error)
    state = "kept" if record["status"] in RESULTS else "failed"
    return replace(item, state=state, reason=f"{record['status']} last time: {error}")


def _record(folder: Path) -> dict[str, Any] | None:
    try:
        return read_record(folder)
    except Damaged:
        return None  # it is done again
