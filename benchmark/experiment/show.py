"""The plan as a person reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmark.experiment.plan import Plan
from benchmark.experiment.states import PlannedRun

STYLES = {
    "new": "bold", "stale": "magenta", "done": "green", "failed": "red", "kept": "yellow",
    "excluded": "dim",
}  # fmt: skip

# More rows than this do not fit on a screen: folds and seeds are then counted together.
MOST_ROWS = 40

# Changes of a stale run that are written out.
MOST_CHANGES = 2


def show_plan(plan: Plan, console: Console, follows: Sequence[str] = ()) -> None:
    """Print profile, data and every run with its state, expected time and the reason.

    Args:
        plan: What is to be done.
        console: Where to.
        follows: Lines about what follows the runs.
    """
    show_header(plan, console)
    for line in follows:
        console.print(f"  {line}", markup=False, soft_wrap=True)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("run", "source", "net", "state", "time", "reason"):
        table.add_column(column, overflow="fold", justify="right" if column == "time" else "left")
    rows = _rows(plan)
    if len(rows) > MOST_ROWS:
        rows = _gathered(rows)
    for name, source, net, state, expected, reason in rows:
        table.add_row(name, source, net, f"[{STYLES[state]}]{state}[/]", expected, escape(reason))
    console.print(table)


def show_header(plan: Plan, console: Console, *, slots: int = 1) -> None:
    """Print which profile runs on which data and why, how much is to be done, and warnings.

    Args:
        plan: What is to be done.
        console: Where to.
        slots: Runs that go on at once, which share the expected time.
    """
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
    beside = [f"{len(plan.excluded)} excluded"] if plan.excluded else []
    beside += [f"{plan.left_out} left out by --only"] if plan.left_out else []
    number = f"{len(plan.runs)} run{'s' * (len(plan.runs) != 1)}"
    console.print(f"  {number}: {told}" + (f" ({', '.join(beside)})" if beside else ""))
    if plan.pending:
        console.print(f"  expected time: {_total(plan, slots)}")
    for warning in plan.warnings:
        console.print(f"  warning: {warning}", style="yellow", markup=False, soft_wrap=True)


def about(seconds: float) -> str:
    """Return a duration as people estimate it: ``40 s``, ``9 min``, ``3 h 20 min``."""
    if seconds < 59.5:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _total(plan: Plan, slots: int) -> str:
    seconds, complete = plan.expected
    # No shorter than the longest of them.
    longest = max((run.expected_s or 0.0 for run in plan.pending), default=0.0)
    seconds = max(seconds / slots, longest)
    unknown = sum(run.expected_s is None for run in plan.pending)
    if unknown == len(plan.pending):
        return "unknown, nothing like these runs has finished on this device yet"
    if complete:
        return f"about {about(seconds)}"
    return f"at least {about(seconds)}, unknown for {unknown} of {len(plan.pending)} runs"


Row = tuple[str, str, str, str, str, str]


def _rows(plan: Plan) -> list[Row]:
    names = _names(plan.runs)
    rows = [
        (
            name,
            run.spec.source,
            f"{run.spec.dims}D",
            run.state,
            "" if not run.pending else "unknown" if run.expected_s is None
            else about(run.expected_s),
            _reason(run),
        )
        for name, run in zip(names, plan.runs, strict=True)
    ]  # fmt: skip
    return rows + [(run.name, "", "", "excluded", "", run.reason) for run in plan.excluded]


def _reason(run: PlannedRun) -> str:
    """Return the reason as far as it fits on a line."""
    if len(run.changes) > MOST_CHANGES:
        left = len(run.changes) - MOST_CHANGES
        return f"{'; '.join(run.changes[:MOST_CHANGES])}; and {left} more (--json)"
    return run.reason


def _names(runs: Sequence[PlannedRun]) -> list[str]:
    """Return the runs' names, with the options in which runs of one name differ."""
    alike: dict[str, list[PlannedRun]] = {}
    for run in runs:
        alike.setdefault(run.spec.name, []).append(run)
    names = []
    for run in runs:
        rivals = [other.spec for other in alike[run.spec.name]]
        options = {key: None for spec in rivals for key in spec.options}
        told = [
            f"{key}={run.spec.options[key]}" for key in options
            if key in run.spec.options
            and any(spec.options.get(key) != run.spec.options[key] for spec in rivals)
        ]  # fmt: skip
        names.append(f"{run.spec.name} ({', '.join(told)})" if told else run.spec.name)
    return names


def _gathered(rows: Sequence[Row]) -> list[Row]:
    """Return one row for all runs that differ in fold and seed only and have the same state."""
    alike: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        network = "·".join(row[0].split("·")[:2]) + " tuned" * ("·tuned" in row[0])
        alike.setdefault((network, row[1], row[2], row[3]), []).append(row)
    gathered = []
    for (network, source, net, state), members in alike.items():
        times = {row[4]: None for row in members}
        reasons = {row[5]: None for row in members}
        more = f" (and {len(reasons) - 1} other reasons)" if len(reasons) > 1 else ""
        each = "each " if len(members) > 1 and any(times) else ""
        gathered.append((
            f"{network} × {len(members)}", source, net, state,
            f"{each}{' or '.join(times)}" if len(times) < 3 else "differs",
            f"{next(iter(reasons))}{more}",
        ))  # fmt: skip
    return gathered
