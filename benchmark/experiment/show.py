"""The plan as a person reads it."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmark.experiment.plan import Plan

STYLES = {"new": "bold", "done": "green", "failed": "red", "kept": "yellow"}


def show_plan(plan: Plan, console: Console) -> None:
    """Print profile, data and every run with its state and the reason."""
    show_header(plan, console)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("run", "source", "net", "state", "reason"):
        table.add_column(column, overflow="fold")
    for run in plan.runs:
        table.add_row(
            run.spec.name,
            run.spec.source,
            f"{run.spec.dims}D",
            f"[{STYLES[run.state]}]{run.state}[/]",
            escape(run.reason),
        )
    console.print(table)


def show_header(plan: Plan, console: Console) -> None:
    """Print which profile runs on which data and why, and how many runs are to be done."""
    console.print(
        f"[bold]{plan.experiment.name}[/]  profile [bold]{plan.profile}[/] ({plan.profile_reason})"
    )
    for name, source in plan.sources.items():
        release = f" ({source.release}, not the official release)" if source.release else ""
        files = f"{source.cases} cases, " if source.cases else ""
        console.print(
            f"  {name}: [bold]{source.source}[/]{release}, {files}{source.patients} patients, "
            f"from {escape(str(source.root))}",
            soft_wrap=True,
        )
    counts = Counter(run.state for run in plan.runs)
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    console.print(f"  {len(plan.runs)} runs: {told}")
