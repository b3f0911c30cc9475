"""Completes the store from the records, once: what a server that was down has missed."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException
from requests import RequestException
from sqlalchemy.exc import SQLAlchemyError

from benchmark.errors import BenchmarkError
from benchmark.execution.locks import locked
from benchmark.experiment.spec import RunSpec
from benchmark.records import read_records
from benchmark.tracking import mirror, values
from benchmark.tracking.address import fault
from benchmark.tracking.invocations import Invocation, claim, is_alive, known, read_invocations
from benchmark.tracking.mirror import COMPLETE
from benchmark.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

# The invocation of records that came without one, from another machine.
COLLECTED = "collected"


@dataclass
class Report:
    """What was done to the store.

    Attributes:
        written: Runs that were missing.
        completed: Runs, of invocations too, that were left half written.
        closed: Runs of dead processes without a record, closed as killed.
        deleted: Half-written twins of a run, left by requests that were answered too late.
        complete: Runs that had all before.
        waiting: Records of invocations that still run, which write them themselves.
    """

    written: int = 0
    completed: int = 0
    closed: int = 0
    deleted: int = 0
    complete: int = 0
    waiting: int = 0

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.written + self.completed + self.closed + self.deleted)

    def __str__(self) -> str:
        """Return one sentence."""
        facts = [
            f"{getattr(self, field.name)} {field.name}"
            for field in dataclasses.fields(self)
            if field.name != "complete" and getattr(self, field.name)
        ]
        return f"{', '.join(facts) or 'nothing to do'}; {self.complete} runs were complete."


def close_dead(store: Store, experiment: str, results: Path) -> int:
    """Close the open runs of invocations whose process has died; return how many there were."""
    names = set(known(results))
    count = 0
    for run in store.runs([experiment], "attributes.status = 'RUNNING'"):
        identity = run.data.tags.get("bench.invocation", "")
        if identity in names and _open(run) and not is_alive(results, identity):
            _kill(store, run)
            count += 1
    return count


def catch_up(results: Path, warn: Callable[[str], None]) -> Report:
    """Write to MLflow what it lacks; a second call changes nothing.

    Args:
        results: Results folder.
        warn: Told of damaged records, which are left out.

    Raises:
        BenchmarkError: The store does not work.
    """
    with locked(results / ".locks" / "mlflow-track"):
        try:
            return _CatchUp(results, warn).run()
        except (MlflowException, SQLAlchemyError, sqlite3.Error, RequestException) as error:
            raise BenchmarkError(
                f"{fault(results, error)}. The records are complete; try again when it does."
            ) from None


class _CatchUp:
    def __init__(self, results: Path, warn: Callable[[str], None]) -> None:
        self._results = results
        self._store = Store(results)
        self._report = Report()
        # In this order: whoever wrote one of these records is among the invocations, and those that
        # are not alive now have written all they ever will before the store is looked at.
        records = read_records(results, on_damage=warn)
        invocations = read_invocations(results)
        self._alive = {each.id for each in invocations if is_alive(results, each.id)}
        living = [each for each in invocations if each.id in self._alive]
        self._records: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in records:
            owner = claim(living, record) or claim(invocations, record)
            self._records[owner.id if owner else COLLECTED].append(record)
        if self._records.get(COLLECTED):
            invocations.append(_collected(invocations, self._records[COLLECTED]))
        self._invocations = invocations
        self._experiments = {
            name: self._store.experiment(name)
            for name in dict.fromkeys(each.experiment for each in invocations)
        }
        self._runs: dict[str, list[Run]] = defaultdict(list)
        self._complete: set[tuple[str, str]] = set()
        if self._experiments:
            for run in self._store.runs(list(self._experiments.values())):
                tags = run.data.tags
                self._runs[tags.get("bench.invocation", "")].append(run)
                if COMPLETE in tags and "bench.key" in tags:
                    self._complete.add((tags["bench.key"], tags[COMPLETE]))

    def run(self) -> Report:
        for invocation in self._invocations:
            records = self._records[invocation.id]
            missing = [
                record
                for record in records
                if (record["key"], record["finished_utc"]) not in self._complete
            ]
            self._report.complete += len(records) - len(missing)
            if invocation.id in self._alive:
                self._report.waiting += len(missing)
                continue
            self._one(invocation, missing)
        return self._report

    def _one(self, invocation: Invocation, missing: Sequence[dict[str, Any]]) -> None:
        """Bring one invocation to its end in the store."""
        active = [run for run in self._runs[invocation.id] if _active(run)]
        children = [run for run in active if "bench.key" in run.data.tags]
        half: dict[str, list[Run]] = defaultdict(list)
        for run in children:
            if COMPLETE not in run.data.tags:
                half[run.data.tags["bench.key"]].append(run)
        whole = {run.data.tags["bench.key"] for run in children if COMPLETE in run.data.tags}
        parents = [run for run in active if "bench.key" not in run.data.tags]
        whole_parents = bool(parents) and all(COMPLETE in run.data.tags for run in parents)
        if not missing and (whole_parents or not parents) and not any(map(_open, active)):
            return
        experiment = self._experiments[invocation.experiment]
        parent = self._parent(experiment, invocation, parents, children)
        for record in missing:
            self._write(experiment, invocation, parent, record, half.pop(record["key"], []))
            whole.add(record["key"])
        for key, left in half.items():
            for run in left:
                self._leave(run, written=key in whole)
        if not whole_parents:
            files = _files_of(self._results, invocation)
            mirror.close_parent(self._store, parent, invocation, self._results, files)
            self._report.completed += bool(parents)

    def _parent(
        self,
        experiment: str,
        invocation: Invocation,
        parents: Sequence[Run],
        children: Iterable[Run],
    ) -> str:
        """Return the run of an invocation; of twins the one that has children stays."""
        if not parents:
            return mirror.open_parent(self._store, experiment, invocation)
        used = {run.data.tags.get("mlflow.parentRunId") for run in children}
        first, *others = sorted(parents, key=lambda run: run.info.run_id not in used)
        for run in others:
            self._delete(run)
        mirror.describe_parent(self._store, first.info.run_id, invocation)
        return str(first.info.run_id)

    def _write(
        self,
        experiment: str,
        invocation: Invocation,
        parent: str,
        record: dict[str, Any],
        half: Sequence[Run],
    ) -> None:
        if half:
            run = str(half[0].info.run_id)
            epochs = self._store.epochs(run)
            self._report.completed += 1
        else:
            spec = RunSpec.from_dict(record["spec"])
            tags = values.child_tags(
                spec, invocation.id, parent, record["profile"], record["release"]
            )
            begin_ms = values.milliseconds(record["started_utc"])
            run = mirror.open_child(self._store, experiment, spec, tags, begin_ms)
            epochs = set()
            self._report.written += 1
        mirror.complete_child(self._store, run, record, epochs)
        for twin in half[1:]:
            self._delete(twin)

    def _leave(self, run: Run, *, written: bool) -> None:
        """Close or delete a half-written run for which there is nothing to write."""
        if written:
            self._delete(run)
        elif _open(run):
            _kill(self._store, run)
            self._report.closed += 1

    def _delete(self, run: Run) -> None:
        self._store.delete(run.info.run_id)
        self._report.deleted += 1


def _files_of(results: Path, invocation: Invocation) -> list[Path]:
    """Return what an invocation leaves beside its runs: a report, or what a study has found."""
    if invocation.study:
        found = [results / "tuning" / f"{invocation.study}.yaml"]
    else:
        found = sorted((results / "report").rglob("*"))
    return [path for path in found if path.is_file()]


def _collected(invocations: Sequence[Invocation], records: Sequence[dict[str, Any]]) -> Invocation:
    """Return an invocation for records that no invocation here has made."""
    begin = min(record["started_utc"] for record in records)
    keys = tuple(record["key"] for record in records)
    return Invocation(
        id=COLLECTED,
        experiment=invocations[-1].experiment if invocations else COLLECTED,
        profile="+".join(sorted({record["profile"] for record in records})),
        source="+".join(sorted({record["spec"]["source"] for record in records})),
        models="none",
        file="collected.txt",
        text="Records without an invocation of their own.\n",
        plan={},
        keys=keys,
        orders=keys,
        started_utc=begin,
        finished_utc=max(record["finished_utc"] for record in records),
        interrupted=False,
    )


def _kill(store: Store, run: Run) -> None:
    store.log(run.info.run_id, tags={"bench.status": "killed"})
    store.close(run.info.run_id, "KILLED", mirror.now_ms())


def _open(run: Run) -> bool:
    return _active(run) and run.info.status == "RUNNING"


def _active(run: Run) -> bool:
    return bool(run.info.lifecycle_stage == "active")
