"""What a user sees while runs go on: live lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmark.execution.state import Running, State
from benchmark.experiment.spec import RunSpec


class ProgressDisplay:
    """Shows every running run: number, stage, epoch, loss, validation Dice, memory, time left.

    Args:
        console: Where to write.
        state: What is shown; it must hear of every event before the display does.
    """

    def __init__(self, console: Console, state: State) -> None:
        self.console = console
        self._state = state
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> ProgressDisplay:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def run_started(self, spec: RunSpec, number: int, total: int) -> None:
        """Show the run that begins."""
        title = f"run {number}/{total} {spec.name}"
        self._tasks[spec.key] = self._progress.add_task(title, total=1.0, detail="starting")

    def event(self, spec: RunSpec, event: dict[str, Any]) -> None:
        """Show what has changed; off a terminal, an epoch is a line."""
        run = self._state.running[spec.key]
        detail = run.stage
        if event["event"] == "epoch":
            detail = self._epoch(run)
        elif event["event"] == "resumed":
            detail = f"goes on after epoch {run.epoch}"
        elif event["event"] == "checkpoint_rejected":
            detail = f"{event['file']} is set aside: {event['reason']}"
        self._progress.update(self._tasks[spec.key], completed=run.share, detail=detail)
        lasting = {"resumed", "checkpoint_rejected"}
        if not self.console.is_terminal:
            lasting.add("epoch")
        if event["event"] in lasting:
            self._line(run.number, spec, detail)

    def run_finished(self, spec: RunSpec, record: dict[str, Any]) -> None:
        """Print one lasting line about the run."""
        self._progress.remove_task(self._tasks.pop(spec.key))
        ended = self._state.ended[-1]
        if ended.status == "ok":
            score = "validation Dice" if spec.evaluate == "validation" else "Dice"
            what = f"ok  {score} {ended.dice:.3f}  {ended.seconds:.0f} s"
        else:
            what = f"{ended.status}: {ended.error}"
        self._line(ended.number, spec, what)

    def _epoch(self, run: Running) -> str:
        parts = [
            f"epoch {run.epoch}/{run.epochs}" if run.epochs else f"{run.share:.0%} of its budget",
            f"loss {run.loss:.3f}",
            f"Dice {run.validation_dice:.3f}",
        ]
        if run.device_mib is not None:
            parts.append(f"GPU {run.device_mib:.0f} MiB")
        left = self._state.left_s()
        if left is not None:
            parts.append(f"left {clock(left)}")
        return "  ".join(parts)

    def _line(self, number: int, spec: RunSpec, text: str) -> None:
        self.console.print(
            f"[{number}/{self._state.total}] {spec.name} ({spec.source})  {text}",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


def clock(seconds: float) -> str:
    """Seconds as ``4:50`` or ``3:20:05``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
