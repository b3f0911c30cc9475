"""One trial: a run in a worker process that ends with its training, or is pruned on the way."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import architectures
import datasets
from benchmark.execution.order import Order
from benchmark.execution.scheduler import Limits, Listener, Scheduler
from benchmark.experiment.matrix import with_recipe
from benchmark.experiment.matrix_rules import Cell
from benchmark.experiment.plan import Plan
from benchmark.experiment.spec import RunSpec
from benchmark.records import Damaged, read_record
from benchmark.tuning.space import Values, as_recipe
from benchmark.tuning.study import Outcome

if TYPE_CHECKING:
    import optuna


class Objective:
    """Carries out trials around the one run of a plan.

    A trial whose run has a record already costs nothing, whoever has made it.

    Args:
        plan: A matrix of one.
        results: Results folder.
        listeners: Are told of every event of a trial.
        total: Trials that this process will make at most.
        before: Called with the key of a run before it is executed.
        tell: Shows a sentence to the user.
    """

    def __init__(
        self,
        plan: Plan,
        results: Path,
        listeners: Sequence[Listener],
        *,
        total: int,
        before: Callable[[str], None],
        tell: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._results = results
        self._listeners = listeners
        self._total = total
        self._before = before
        self._tell = tell
        self._number = 0
        self.asked_to_stop = False

    def __call__(self, trial: optuna.Trial, values: Values) -> Outcome:
        """Train with these values unless it has been done; report every epoch to the trial."""
        spec = self.spec_of(values)
        try:
            classes = len(datasets.info(spec.dataset).classes) + 1
            architectures.check(spec.architecture, (*spec.patch, 1), classes, spec.options)
        except architectures.ArchitectureError as error:
            return Outcome(spec.key, "refused", error=str(error))
        curve = Curve(trial)
        record = self._earlier(spec)
        if record is not None and record["status"] == "pruned":
            because = curve.follow(_epochs(record["path"]))
            if because:
                return self._known(outcome_of(record, because))
        if record is None or record["status"] not in ("ok", "oom", "diverged"):
            record = self._execute(spec, curve, str((record or {}).get("finished_utc") or ""))
        else:
            self._known(outcome_of(record))
        if record is None:  # stopped before it began
            return Outcome(spec.key, "killed")
        curve.report(_epochs(record["path"]))
        return outcome_of(record)

    def spec_of(self, values: Mapping[str, Any]) -> RunSpec:
        """Return the run that tries some values."""
        base = self._plan.runs[0].spec
        cell = Cell(base.architecture, base.dataset, base.fold, base.seed)
        spec = with_recipe(self._plan.experiment, cell, base, *as_recipe(values))
        return dataclasses.replace(spec, evaluate="validation")

    def _earlier(self, spec: RunSpec) -> dict[str, Any] | None:
        try:
            return read_record(self._results / "runs" / spec.key)
        except Damaged:
            return None

    def _known(self, outcome: Outcome) -> Outcome:
        self._tell(f"Trial {outcome.key} has its record already: {outcome.status}.")
        return outcome

    def _execute(self, spec: RunSpec, curve: Curve, seen: str) -> dict[str, Any] | None:
        self._number += 1
        self._before(spec.key)
        source = self._plan.sources[spec.dataset]
        order = Order(spec, self._plan.profile, source.root, self._results, source.release, seen)
        follower = Follower(self._listeners, curve, self._number, self._total)
        limits = Limits(**self._plan.experiment.limits.model_dump())
        scheduler = Scheduler([order], [follower], self._tell, limits=limits)
        follower.end = scheduler.end
        records, _ = scheduler.run()
        self.asked_to_stop |= scheduler.asked_to_stop
        return records[0] if records else None


class Curve:
    """The validation Dice of a trial by epoch, each reported once."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial
        self._epochs: set[int] = set()

    def report(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Report epochs."""
        for row in rows:
            epoch = int(row["epoch"])
            if epoch not in self._epochs:
                self._epochs.add(epoch)
                self._trial.report(float(row["validation_dice"]), epoch)

    def follow(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """Report epochs until the trial is to be pruned; return the reason, or nothing."""
        for row in rows:
            self.report([row])
            if self._trial.should_prune():
                return (
                    f"below the median of earlier trials after epoch {int(row['epoch'])}: "
                    f"validation Dice {float(row['validation_dice']):.3f}"
                )
        return ""


class Follower:
    """Listens to the run of a trial, and has it ended when it is to be pruned.

    Args:
        listeners: Are told of everything, with the number of the trial.
        curve: The curve of the trial.
        number: The trial is the number-th of this process.
        total: Trials that this process will make at most.
    """

    def __init__(
        self, listeners: Sequence[Listener], curve: Curve, number: int, total: int
    ) -> None:
        self._listeners = listeners
        self._curve = curve
        self._number = number
        self._total = total
        self.end: Callable[[str, str, str], None] = lambda key, status, because: None

    def run_started(self, spec: RunSpec, number: int, total: int) -> None:
        """Pass it on as the trial it is."""
        for listener in self._listeners:
            listener.run_started(spec, self._number, self._total)

    def event(self, spec: RunSpec, event: dict[str, Any]) -> None:
        """Pass it on, and look after an epoch whether the trial is worth going on."""
        for listener in self._listeners:
            listener.event(spec, event)
        if event["event"] == "resumed":
            self._curve.report(event["rows"])
        elif event["event"] == "epoch":
            if event["share"] >= 1.0:  # nothing is left to be saved
                self._curve.report([event])
            elif because := self._curve.follow([event]):
                self.end(spec.key, "pruned", because)

    def run_finished(self, spec: RunSpec, record: dict[str, Any]) -> None:
        """Pass it on."""
        for listener in self._listeners:
            listener.run_finished(spec, record)


def outcome_of(record: Mapping[str, Any], because: str = "") -> Outcome:
    """Return what a record says of a trial."""
    elapsed = [float(row["elapsed_s"]) for row in _epochs(record["path"])]
    return Outcome(
        str(record["key"]),
        str(record["status"]),
        dice=record.get("summary", {}).get("validation_dice"),
        # Of a run that was ended the epochs of earlier attempts are in its log alone.
        seconds=max([float(record.get("timing", {}).get("total_s") or 0.0), *elapsed]),
        error=because or str(record.get("error") or ""),
    )


def _epochs(run: Path) -> list[dict[str, str]]:
    try:
        with (run / "epochs.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []
