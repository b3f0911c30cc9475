"""The whole job: from a plan to records, MLflow and the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmark import reporting
from benchmark.errors import BenchmarkError
from benchmark.execution.executor import Executor
from benchmark.execution.local import LocalExecutor
from benchmark.execution.locks import locked
from benchmark.execution.order import Order
from benchmark.execution.progress import ProgressDisplay
from benchmark.execution.scheduler import Limits, Scheduler
from benchmark.execution.slots import Slot
from benchmark.execution.state import State
from benchmark.execution.status import StatusFile
from benchmark.experiment.plan import Plan
from benchmark.experiment.show import show_header
from benchmark.experiment.sources import ensure_phantoms
from benchmark.generalisation.agenda import agenda
from benchmark.generalisation.follow import follow


def run_plan(
    plan: Plan,
    results: Path,
    console: Console,
    *,
    jobs: int | None = None,
    executor: Executor | None = None,
    report: bool = True,
) -> int:
    """Execute what is pending, write the report, and return the exit code.

    Args:
        plan: What is to be done.
        results: Results folder; made if absent.
        console: Where progress and the leaderboard are shown.
        jobs: Runs that go on at once; by default as many as the executor finds room for.
        executor: Where they are carried out; by default on this machine.
        report: Write the report; else the runs are only shown, and the one on disk is left alone.

    Returns:
        0 if every run of the plan is ok, 1 if some failed, 130 if the user interrupted.
    """
    begin = time.monotonic()
    executor = executor or LocalExecutor()
    devices = max((run.spec.protocol.devices for run in plan.pending), default=1)
    slots = executor.slots(jobs, devices=devices)
    at_home = jobs if isinstance(executor, LocalExecutor) else None
    show_header(plan, console, slots=len(slots))
    if plan.pending:
        code = _execute(plan, results, console, executor, slots, at_home, report=report)
    else:
        console.print("Nothing to run: every run of the plan has its record.")
        well, interrupted = _follow(plan, results, console, at_home)
        records = reporting.plan_records(plan, results, console)
        if report and not reporting.is_up_to_date(records, results):
            material, _ = reporting.write(records, results, console)
        else:
            material = reporting.gather(records, results, console)
        reporting.show(material, console, written=report)
        code = 130 if interrupted else max(reporting.exit_code(plan, records), not well)
    console.print(f"{time.monotonic() - begin:.0f} s in all.")
    return code


def _execute(
    plan: Plan,
    results: Path,
    console: Console,
    executor: Executor,
    slots: Sequence[Slot],
    at_home: int | None,
    *,
    report: bool,
) -> int:
    from benchmark.tracking.live import Tracker

    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchmarkError(
            f"--results {results}: expected a folder that can be written: {error.strerror}."
        ) from None
    with console.status("writing phantoms"), locked(results / ".locks" / "phantoms"):
        ensure_phantoms(plan.experiment, plan.sources, results)

    tracker = Tracker(plan, results, lambda text: reporting.warn(console, text))
    files: list[Path] = []
    interrupted = True
    try:
        executed, interrupted = _schedule(plan, results, console, executor, slots, tracker)
        well = True
        if not interrupted:
            well, interrupted = _follow(plan, results, console, at_home)
        records = reporting.plan_records(plan, results, console)
        if report:
            material, files = reporting.write(records, results, console)
        else:
            material = reporting.gather(records, results, console)
    finally:
        tracker.finish(files, interrupted=interrupted)
    if plan.experiment.tracking.models == "best" and tracker.complete:
        from benchmark.tracking.models import log_best_models

        with console.status("logging the best models"):
            log_best_models(results, lambda text: reporting.warn(console, text))
    reporting.show(material, console, written=report)
    for record in executed:
        if record["status"] != "ok":
            console.print(
                f"{record['status']}: {record['name']}: {record['error']} "
                f"(log: {record['path'] / 'log.txt'})",
                style="red",
                markup=False,
                soft_wrap=True,
            )
    if interrupted:
        console.print("Interrupted: finished runs are kept, the same command goes on from here.")
        return 130
    return max(reporting.exit_code(plan, records), not well)


def _schedule(
    plan: Plan,
    results: Path,
    console: Console,
    executor: Executor,
    slots: Sequence[Slot],
    tracker: Any,
) -> tuple[list[dict[str, Any]], bool]:
    """Execute what is pending; return the records met, and whether the user interrupted."""
    orders = []
    for run in plan.pending:
        source = plan.sources[run.spec.dataset]
        orders.append(Order(run.spec, plan.profile, source.root, results, source.release, run.seen))

    def tell(text: str) -> None:
        console.print(text, style="yellow", markup=False, soft_wrap=True)

    state = State(len(orders), len(slots))
    limits = Limits(**plan.experiment.limits.model_dump())
    with (
        StatusFile(results, plan.experiment.name, plan.profile, state) as status,
        ProgressDisplay(console, state) as display,
    ):
        listeners = [state, status, display, tracker]
        return Scheduler(
            orders, listeners, tell, slots=slots, limits=limits, executor=executor
        ).run()


def _follow(plan: Plan, results: Path, console: Console, jobs: int | None) -> tuple[bool, bool]:
    """Evaluate finished runs as the file asks; return whether all is well, and interrupted.

    This is done at home, wherever the runs were made: their weights and the results are here.
    """
    found = agenda(plan, results)
    if any(item.pending for item in found):
        with locked(results / ".locks" / "phantoms"):
            ensure_phantoms(plan.experiment, plan.sources, results)
    return follow(
        found, results, console,
        slots=LocalExecutor().slots(jobs),
        limits=Limits(**plan.experiment.limits.model_dump()),
    )  # fmt: skip
