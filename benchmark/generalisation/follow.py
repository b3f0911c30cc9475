"""Has workers do what follows finished runs, and tells the user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.status import Status

from benchmark.execution.order import Order
from benchmark.execution.scheduler import Limits, Scheduler
from benchmark.execution.slots import Slot
from benchmark.experiment.spec import RunSpec
from benchmark.generalisation.agenda import Item, items, note, note_inapplicable, orders
from benchmark.generalisation.tasks import from_plain
from benchmark.records import SUMS


class FollowDisplay:
    """Shows which run is evaluated where, and prints a line for each result.

    Args:
        console: Where to write.
        total: How many tasks there are.
    """

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._done = 0
        self._status: Status | None = None

    def __enter__(self) -> FollowDisplay:
        if self._console.is_terminal:
            self._status = self._console.status("evaluating")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def run_started(self, spec: RunSpec, number: int, total: int) -> None:
        """Nothing to say yet."""

    def event(self, spec: RunSpec, event: dict[str, Any]) -> None:
        """Show how far a task is, or how it ended."""
        if event["event"] == "progress" and self._status is not None:
            self._status.update(f"{spec.name} {event['stage']} {event['done']}/{event['total']}")
        elif event["event"] == "followed":
            self._done += 1
            dice = event["summary"].get("dice")
            ended = f"Dice {dice:.3f}" if event["status"] == "ok" else event["error"]
            self._console.print(
                f"[{self._done}/{self._total}] {spec.name} ({spec.source}) {event['title']}  "
                f"{event['status']}  {ended}",
                markup=False, highlight=False, soft_wrap=True,
            )  # fmt: skip

    def run_finished(self, spec: RunSpec, record: dict[str, Any]) -> None:
        """All tasks of the run have been told of."""


def follow(
    found: Sequence[Item],
    results: Path,
    console: Console,
    *,
    slots: Sequence[Slot],
    limits: Limits,
) -> tuple[bool, bool]:
    """Do the tasks that are to be done.

    Args:
        found: The tasks, from :func:`benchmark.generalisation.agenda.agenda`.
        results: Results folder.
        console: Where progress is shown.
        slots: Shares of the machine.
        limits: How long all tasks of one run may take.

    Returns:
        Whether every task of a finished run is done, and whether the user interrupted.
    """
    note_inapplicable(found, results)
    asked = orders(found, results)
    interrupted = False
    if asked:
        for order in asked:
            _clear(order)

        def tell(text: str) -> None:
            console.print(text, style="yellow", markup=False, soft_wrap=True)

        with FollowDisplay(console, sum(len(order.tasks) for order in asked)) as display:
            _, interrupted = Scheduler(asked, [display], tell, slots=slots, limits=limits).run()
    keys = {order.spec.key for order in asked}
    well = True
    for item in found:
        (after,) = items(item.spec, [item.task], results)
        if item.spec.key in keys and item.pending and after.state in ("new", "stale"):
            if interrupted:
                continue
            # Its worker died: out of memory, of time, or killed.
            log = results / "runs" / item.spec.key / "tasks.log.txt"
            note(
                item, results, status="killed",
                error=f"the worker ended before it was done (log: {log})",
            )  # fmt: skip
            well = False
        well = well and after.state not in ("failed", "kept")
    return well, interrupted


def _clear(order: Order) -> None:
    """Remove the records that are to be made again: what is there afterwards is new."""
    for task in order.tasks:
        folder = order.folder / from_plain(task).place
        for name in ("record.json", SUMS):
            (folder / name).unlink(missing_ok=True)
