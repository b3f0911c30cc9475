"""Where an invocation stands: what runs, how far it is, what has ended, how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmark.experiment.spec import RunSpec


@dataclass
class Running:
    """A run that goes on.

    Attributes:
        name: Its name.
        source: ``real`` or ``phantom``.
        number: It is the number-th that was started, from 1.
        epochs: Epochs it may take; 0 where its budget is not counted in epochs.
        began_s: When it began, on the clock of the state.
        stage: What it does, in words.
        epoch: Epochs done.
        share: Part of the training's budget that is used.
        share_before: Part of it that earlier attempts had used.
        loss: Mean loss of the last epoch.
        validation_dice: Dice of the last epoch.
        rss_mib: Memory of the worker.
        device_mib: Peak memory of the GPU, None on a CPU.
        trained_s: When its last epoch ended, on the clock of the state.
    """

    name: str
    source: str
    number: int
    epochs: int
    began_s: float
    stage: str = "starting"
    epoch: int = 0
    share: float = 0.0
    share_before: float = 0.0
    loss: float | None = None
    validation_dice: float | None = None
    rss_mib: float | None = None
    device_mib: float | None = None
    trained_s: float | None = None


@dataclass(frozen=True)
class Ended:
    """A run that has ended: its seconds, those after its last epoch, and its Dice if it is ok."""

    name: str
    source: str
    number: int
    status: str
    error: str | None
    dice: float | None
    seconds: float
    after_s: float


@dataclass
class State:
    """Listens to the scheduler.

    Attributes:
        total: Runs that will be executed.
        slots: How many go on at once.
        clock: Monotonic seconds.
        running: The runs that go on, by key.
        ended: The runs that have ended, in order.
    """

    total: int
    slots: int = 1
    clock: Callable[[], float] = time.monotonic
    running: dict[str, Running] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)

    def run_started(self, spec: RunSpec, number: int, total: int) -> None:
        """Note that a run begins."""
        self.total = total
        self.running[spec.key] = Running(
            spec.name,
            spec.source,
            number,
            spec.protocol.epochs if spec.protocol.track in ("epochs", "target") else 0,
            self.clock(),
        )

    def event(self, spec: RunSpec, event: dict[str, Any]) -> None:
        """Note a stage, the number of prepared cases, or an epoch."""
        run = self.running[spec.key]
        if event["event"] == "stage":
            run.stage = event["stage"]
        elif event["event"] == "progress":
            run.stage = f"{event['stage']} {event['done']}/{event['total']}"
        elif event["event"] == "resumed":
            run.epoch = int(event["epoch"])
            run.share = run.share_before = event["share"]
        elif event["event"] == "epoch":
            run.epoch, run.share = int(event["epoch"]), event["share"]
            run.loss, run.validation_dice = event["loss"], event["validation_dice"]
            run.trained_s = self.clock()
            run.rss_mib, run.device_mib = event.get("rss_mib"), event.get("device_mib")

    def run_finished(self, spec: RunSpec, record: dict[str, Any]) -> None:
        """Note how a run ended."""
        run = self.running.pop(spec.key)
        summary = record.get("summary", {})
        self.ended.append(
            Ended(
                run.name, run.source, run.number, record["status"], record["error"],
                summary.get("dice", summary.get("validation_dice")), self.clock() - run.began_s,
                0.0 if run.trained_s is None else self.clock() - run.trained_s,
            )
        )  # fmt: skip

    def left_s(self) -> float | None:
        """Estimate the seconds until the last run ends, or None while nothing is known.

        A running run takes as much longer as its budget is left, and for its evaluation what those
        that ended well took; a run to come takes the mean of these and of what is expected of
        those that run.
        """
        now = self.clock()
        well = [run for run in self.ended if run.status == "ok"]
        after_s = sum(run.after_s for run in well) / len(well) if well else 0.0
        expected = {
            key: (run.trained_s - run.began_s)
            * (1 - run.share_before)
            / (run.share - run.share_before)
            + after_s
            for key, run in self.running.items()
            if run.trained_s is not None and run.share > run.share_before
        }
        known = [run.seconds for run in well] + list(expected.values())
        if not known:
            return None
        mean = sum(known) / len(known)
        going = sum(
            max(0.0, expected.get(key, mean) - (now - run.began_s))
            for key, run in self.running.items()
        )
        waiting = self.total - len(self.ended) - len(self.running)
        return (going + waiting * mean) / self.slots
