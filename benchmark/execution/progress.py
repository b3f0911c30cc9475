"""What a user sees while runs go on: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmark.experiment.spec import RunSpec


class ProgressDisplay:
    """Shows run i of n, stage, epoch, loss, validation Dice and the time left.

    Time left is estimated from the epochs of this run and the runs finished before it.

    Args:
        console: Where to write.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=1.0, detail="")
        self._number, self._total = 0, 0
        self._begin = time.monotonic()
        self._run_begin = self._begin

    def __enter__(self) -> ProgressDisplay:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def run_started(self, spec: RunSpec, number: int, total: int) -> None:
        """Show the name of the run that begins."""
        self._number, self._total = number, total
        self._run_begin = time.monotonic()
        self._show(spec, 0.0, "starting")

    def event(self, spec: RunSpec, event: dict[str, Any]) -> None:
        """Show a stage, the number of prepared cases, or an epoch."""
        kind = event["event"]
        if kind == "stage":
            self._show(spec, None, event["stage"])
        elif kind == "data":
            self._show(spec, None, f"preparing data {event['done']}/{event['total']}")
        elif kind == "epoch":
            done, epochs = int(event["epoch"]), spec.protocol.epochs
            share = done / epochs
            detail = (
                f"epoch {done}/{epochs}  loss {event['loss']:.3f}  "
                f"Dice {event['validation_dice']:.3f}  left {self._left(share)}"
            )
            self._show(spec, share, detail)
            if not self.console.is_terminal:
                self._line(spec, detail)

    def run_finished(self, spec: RunSpec, record: dict[str, Any]) -> None:
        """Print one lasting line about the run."""
        seconds = time.monotonic() - self._run_begin
        if record["status"] == "ok":
            what = f"ok  Dice {record['summary']['dice']:.3f}  {seconds:.0f} s"
        else:
            what = f"{record['status']}: {record['error']}"
        self._line(spec, what)

    def _line(self, spec: RunSpec, text: str) -> None:
        self.console.print(
            f"[{self._number}/{self._total}] {spec.name} ({spec.source})  {text}",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip

    def _show(self, spec: RunSpec, share: float | None, detail: str) -> None:
        self._progress.update(
            self._task,
            description=f"run {self._number}/{self._total} {spec.name}",
            detail=detail,
            completed=share,
        )

    def _left(self, share: float) -> str:
        now = time.monotonic()
        this_run = (now - self._run_begin) / share
        finished = self._number - 1
        per_run = (self._run_begin - self._begin + this_run) / (finished + 1)
        seconds = this_run * (1 - share) + per_run * (self._total - self._number)
        return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
