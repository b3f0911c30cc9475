"""From the records of a plan to the report on disk and the leaderboard on the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmark.environment import available_processors
from benchmark.errors import BenchmarkError
from benchmark.execution.locks import locked
from benchmark.experiment.plan import Plan
from benchmark.records import (
    cases_frame,
    clinical_frame,
    epochs_frame,
    is_trial,
    mixed_versions,
    read_external,
    read_followers,
    read_records,
    write_atomic,
    write_json,
)

if TYPE_CHECKING:
    from benchmark.report.columns import Printing
    from benchmark.report.material import Material

Records = list[dict[str, Any]]

# Beside the report: the records it was made from.
MADE_FROM = "made_from.json"


def report_plan(
    plan: Plan,
    results: Path,
    console: Console,
    *,
    mix_protocols: bool = False,
    width: str = "two",
    printing: Printing | None = None,
) -> int:
    """Write tables and figures from the records of a plan; return the exit code.

    Args:
        plan: Whose records are reported.
        results: Results folder.
        console: Where the leaderboard is shown.
        mix_protocols: Report the runs of other protocols on the plan's datasets beside them.
        width: Of figures, as in `write_report`.
        printing: Columns and decimals of the leaderboard, likewise.

    Raises:
        BenchmarkError: There is no record yet, or no such column.
    """
    records = plan_records(plan, results, console)
    if mix_protocols:
        records += _other_protocols(plan, results, console)
    if not records:
        raise BenchmarkError(
            f"{results}: expected records of {plan.path} with profile {plan.profile}, found none. "
            "Run `python -m benchmark run` with the same options first."
        )
    material, _ = write(
        records, results, console, mix_protocols=mix_protocols, width=width, printing=printing
    )
    show(material, console)
    return exit_code(plan, records)


def plan_records(plan: Plan, results: Path, console: Console) -> Records:
    """Return the records that the runs of a plan have; the user is told of damaged ones."""
    keys = [run.spec.key for run in plan.runs]
    return read_records(results, keys, lambda text: warn(console, text))


def gather(
    records: Records, results: Path, console: Console, *, mix_protocols: bool = False
) -> Material:
    """Compare some records, and all external entries beside them, to be shown.

    The user is told of damaged entries.
    """
    from benchmark.report import material

    external = read_external(results, lambda text: warn(console, text)) if records else []
    shown = [*records, *external]
    return material.gather(
        results, shown, cases_frame(shown), epochs_frame(shown), clinical_frame(shown),
        mix_protocols=mix_protocols,
    )  # fmt: skip


def write(
    records: Records,
    results: Path,
    console: Console,
    *,
    mix_protocols: bool = False,
    width: str = "two",
    printing: Printing | None = None,
) -> tuple[Material, list[Path]]:
    """Compare some records and write the report; return what was compared, and the files.

    Without a record there are none.
    """
    from benchmark.report import write_report
    from benchmark.report.figures.crew import usual_crew
    from benchmark.report.tables import EVERYTHING

    if not records:
        return gather(records, results, console), []
    # Helpers import what drawing needs while the tables of the runs are read and compared.
    with usual_crew(available_processors()) as crew:
        material = gather(records, results, console, mix_protocols=mix_protocols)
        with locked(results / ".locks" / "report"):  # two invocations may end at once
            noted = results / "report" / MADE_FROM
            former = noted.read_text(encoding="utf-8") if noted.exists() else None
            if not mix_protocols:
                noted.unlink(missing_ok=True)  # until the report is whole
            try:
                files = write_report(
                    material, width=width, printing=printing, mlflow=_mlflow(results, console),
                    crew=crew,
                )  # fmt: skip
            except BenchmarkError:  # before anything was written
                if former is not None:
                    write_atomic(noted, former)
                raise
            # Of other columns, decimals or sizes than usual nothing is noted: a later run makes
            # the usual report.
            if not mix_protocols and printing in (None, EVERYTHING) and width == "two":
                write_json(noted, _finished([*material.records.values(), *material.followers]))
    if crew.failures:
        warn(console, f"{crew.failures} processes that drew figures failed; others drew theirs.")
    return material, files


def _mlflow(results: Path, console: Console) -> dict[str, str]:
    """Return where the UI shows each run; of a store elsewhere that is not known here."""
    import sqlite3

    from benchmark.tracking.address import own_store
    from benchmark.tracking.sqlite import run_pages

    store = own_store(results)
    try:
        return run_pages(store) if store else {}
    except sqlite3.Error as error:  # a report needs no sink
        warn(
            console,
            f"{store}: expected the store of MLflow, could not read it ({error}); the page links "
            "to no run of it. Report again later, or see what `python -m benchmark track` says.",
        )
        return {}


def is_up_to_date(records: Records, results: Path) -> bool:
    """Tell whether the report on disk was made from these records and today's external entries."""
    try:
        noted = json.loads((results / "report" / MADE_FROM).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(noted == made_from([*records, *read_external(results, _silent)]))


def show(material: Material, console: Console, *, written: bool = True) -> None:
    """Print the leaderboard, the clinical agreement, and where the report lies if there is one."""
    from benchmark.report.terminal import clinical_table, leaderboard_table

    if not material.records:
        return
    console.print(leaderboard_table(material))
    if len(material.clinical):
        console.print(clinical_table(material))
    if warning := mixed_versions(material.records.values()):
        warn(console, warning)
    if written:
        console.print(f"Report: {material.folder}", soft_wrap=True, markup=False)


def exit_code(plan: Plan, records: Sequence[dict[str, Any]]) -> int:
    """Return 0 if every run of the plan is ok, else 1."""
    ok = {record["key"] for record in records if record["status"] == "ok"}
    return 0 if all(run.spec.key in ok for run in plan.runs) else 1


def warn(console: Console, text: str) -> None:
    """Print a warning."""
    console.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)


def _silent(text: str) -> None:
    """Say nothing: `gather` tells of damaged entries, and the next run makes followers again."""


def _other_protocols(plan: Plan, results: Path, console: Console) -> Records:
    """Return the newest records of the plan's datasets that were made under other protocols."""
    from benchmark.report.protocols import newest

    datasets = {run.spec.dataset for run in plan.runs}
    protocols = {run.spec.protocol_hash for run in plan.runs}
    return newest(
        [
            record
            for record in read_records(results, on_damage=lambda text: warn(console, text))
            if record["spec"]["dataset"] in datasets
            and record["protocol_hash"] not in protocols
            and not is_trial(record)
        ]
    )


def made_from(records: Records) -> dict[str, str]:
    """Return when each run, and what followed it, was finished, by its key.

    It is what a report is known again by.
    """
    return _finished([*records, *read_followers(records, _silent)])


def _finished(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {record["key"]: record.get("finished_utc") or "" for record in records}
