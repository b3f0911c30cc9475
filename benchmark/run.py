"""The whole job: from a plan to records, MLflow and the report."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmark.errors import BenchmarkError
from benchmark.execution.locks import locked
from benchmark.execution.progress import ProgressDisplay
from benchmark.execution.scheduler import Limits, Scheduler
from benchmark.execution.slots import Slot, make_slots
from benchmark.execution.state import State
from benchmark.execution.status import StatusFile
from benchmark.execution.worker import Order
from benchmark.experiment.plan import Plan
from benchmark.experiment.show import show_header
from benchmark.experiment.sources import ensure_phantoms
from benchmark.records import (
    cases_frame,
    clinical_frame,
    epochs_frame,
    mixed_versions,
    read_external,
    read_records,
    write_json,
)

# Beside the report: the records it was made from.
MADE_FROM = "made_from.json"


def run_plan(plan: Plan, results: Path, console: Console, *, jobs: int | None = None) -> int:
    """Execute what is pending, write the report, and return the exit code.

    Args:
        plan: What is to be done.
        results: Results folder; made if absent.
        console: Where progress and the leaderboard are shown.
        jobs: Runs that go on at once; by default one for each GPU, and one without.

    Returns:
        0 if every run of the plan is ok, 1 if some failed, 130 if the user interrupted.
    """
    begin = time.monotonic()
    show_header(plan, console)
    interrupted = False
    if plan.pending:
        interrupted = _execute(plan, results, console, make_slots(jobs))
    else:
        console.print("Nothing to run: every run of the plan has its record.")
        records = _records(plan, results)
        if _made_from([*records, *read_external(results)]) != _noted(results):
            _write_report(plan, results)
        _show(records, results, console)
    console.print(f"{time.monotonic() - begin:.0f} s in all.")
    if interrupted:
        return 130
    return _exit_code(plan, _records(plan, results))


def report_plan(plan: Plan, results: Path, console: Console) -> int:
    """Write tables and figures from the records of a plan; return the exit code.

    Raises:
        BenchmarkError: There is no record yet.
    """
    _, records = _write_report(plan, results)
    if not records:
        raise BenchmarkError(
            f"{results}: expected records of {plan.path} with profile {plan.profile}, found none. "
            "Run `python -m benchmark run` with the same options first."
        )
    _show(records, results, console)
    return _exit_code(plan, records)


def _execute(plan: Plan, results: Path, console: Console, slots: Sequence[Slot]) -> bool:
    from benchmark.tracking import Tracker

    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchmarkError(
            f"--results {results}: expected a folder that can be written: {error.strerror}."
        ) from None
    with console.status("writing phantoms"), locked(results / ".locks" / "phantoms"):
        ensure_phantoms(plan.experiment, plan.sources, results)

    def tell(text: str) -> None:
        console.print(text, style="yellow", markup=False, soft_wrap=True)

    tracker = Tracker(plan, results, lambda text: tell(f"warning: {text}"))
    orders = []
    for run in plan.pending:
        source = plan.sources[run.spec.dataset]
        orders.append(Order(run.spec, plan.profile, source.root, results, source.release))
    files: list[Path] = []
    interrupted = True
    try:
        state = State(len(orders), len(slots))
        with (
            StatusFile(results, plan.experiment.name, plan.profile, state) as status,
            ProgressDisplay(console, state) as display,
        ):
            executed, interrupted = Scheduler(
                orders, [state, status, display, tracker], tell,
                slots=slots, limits=Limits(**plan.experiment.limits.model_dump()),
            ).run()  # fmt: skip
        files, records = _write_report(plan, results)
    finally:
        tracker.finish(files, interrupted=interrupted)
    _show(records, results, console)
    failed = [record for record in executed if record["status"] != "ok"]
    for record in failed:
        console.print(
            f"{record['status']}: {record['name']}: {record['error']} "
            f"(log: {record['path'] / 'log.txt'})",
            style="red",
            markup=False,
            soft_wrap=True,
        )
    if interrupted:
        console.print("Interrupted: finished runs are kept, the same command goes on from here.")
    return interrupted


def _write_report(plan: Plan, results: Path) -> tuple[list[Path], list[dict[str, Any]]]:
    from benchmark.report import write_report

    records = _records(plan, results)
    if not records:
        return [], []
    shown = [*records, *read_external(results)]
    frames = (cases_frame(shown), epochs_frame(shown), clinical_frame(shown))
    with locked(results / ".locks" / "report"):  # two invocations may end at once
        files = write_report(results, shown, *frames)
        write_json(results / "report" / MADE_FROM, _made_from(shown))
    return files, records


def _records(plan: Plan, results: Path) -> list[dict[str, Any]]:
    return read_records(results, [run.spec.key for run in plan.runs])


def _made_from(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {record["key"]: record.get("finished_utc") or "" for record in records}


def _noted(results: Path) -> Any:
    """Return which records the report on disk was made from, or None where that is unknown."""
    try:
        return json.loads((results / "report" / MADE_FROM).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _show(records: Sequence[dict[str, Any]], results: Path, console: Console) -> None:
    from benchmark.report.terminal import clinical_table, leaderboard_table

    if records:
        shown = [*records, *read_external(results)]
        console.print(leaderboard_table(shown, cases_frame(shown)))
        clinical = clinical_frame(shown)
        if len(clinical):
            console.print(clinical_table(shown, clinical))
        if warning := mixed_versions(records):
            console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
        console.print(f"Report: {results / 'report'}", soft_wrap=True, markup=False)


def _exit_code(plan: Plan, records: Sequence[dict[str, Any]]) -> int:
    finished = sum(record["status"] == "ok" for record in records)
    return 0 if finished == len(plan.runs) else 1
