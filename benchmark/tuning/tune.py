"""The whole search: from a plan of one run to a recipe that ``run`` takes."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmark import reporting
from benchmark.execution.locks import locked
from benchmark.execution.progress import ProgressDisplay
from benchmark.execution.state import State
from benchmark.execution.status import StatusFile
from benchmark.experiment.plan import Plan
from benchmark.experiment.sources import ensure_phantoms
from benchmark.tuning.space import axes_for, study_name
from benchmark.tuning.study import Outcome, Study, failing, search
from benchmark.tuning.trials import Objective
from benchmark.tuning.winner import override_path, show, write_override


def tune_plan(
    plan: Plan,
    results: Path,
    console: Console,
    *,
    trials: int,
    timeout_s: float | None = None,
    options: Sequence[str] = (),
) -> int:
    """Search for the recipe of the one run of a plan, and write it as an override.

    Args:
        plan: A matrix of one.
        results: Results folder; made if absent.
        console: Where progress and trials are shown.
        trials: How many the study shall have in all.
        timeout_s: Seconds after which no further trial is begun.
        options: With which `run` finds the same files and profile.

    Returns:
        0 if a recipe was found, 1 if none was or trials fail one after the other, 130 if the user
        interrupted.

    Raises:
        BenchmarkError: Nothing is declared to be searched, or the study cannot be opened.
    """
    begin = time.monotonic()
    spec = dataclasses.replace(plan.runs[0].spec, evaluate="validation")
    axes = axes_for(plan.experiment, spec.architecture)
    section = plan.experiment.tuning
    assert section is not None
    name = study_name(spec, axes)
    target = override_path(results, name)
    command = shlex.join(
        ["python", "-m", "benchmark", "run", str(plan.path), *options, "--override", str(target)]
    )
    with Study(results, name, axes, section) as study:
        left = study.left(trials)
        _say(console, f"{study.store}: {len(study.tried())} trials so far, {left} to be made")
        outcomes: list[Outcome] = []
        interrupted = False
        if left:
            with console.status("writing phantoms"), locked(results / ".locks" / "phantoms"):
                ensure_phantoms(plan.experiment, plan.sources, results)
            outcomes, interrupted = _search(
                plan, results, console, study,
                trials=trials, left=left,
                until_s=float("inf") if timeout_s is None else begin + timeout_s,
                target=target,
            )  # fmt: skip
        tried, cost_s = study.tried(), study.cost_s
        with locked(results / ".locks" / f"tuning-{name}"):
            found = write_override(target, name, spec, tried, cost_s, command=command)
    if tried:
        show(tried, cost_s, console)
    for outcome in outcomes:
        if outcome.status in ("error", "timeout", "refused"):
            _say(console, f"{outcome.status}: {outcome.key}: {outcome.error}", style="red")
    if found:
        _say(
            console,
            f"Recipe: {target}. Run it beside the others with `{command}`.",
        )
    if interrupted:
        _say(console, "Interrupted: the study is kept, the same command goes on from here.")
        return 130
    if failing(outcomes):
        _say(console, "Stopped: trials fail one after the other.", style="red")
        return 1
    return 0 if found else 1


def _search(
    plan: Plan,
    results: Path,
    console: Console,
    study: Study,
    *,
    trials: int,
    left: int,
    until_s: float,
    target: Path,
) -> tuple[list[Outcome], bool]:
    """Make trials; return what came of them, and whether the user interrupted."""
    from benchmark.tracking.live import Tracker

    def tell(text: str) -> None:
        _say(console, text, style="yellow")

    tracker = Tracker(plan, results, lambda text: reporting.warn(console, text), study=study.name)
    state = State(left)
    interrupted = True
    outcomes: list[Outcome] = []
    try:
        with (
            StatusFile(results, f"tune {study.name}", plan.profile, state) as status,
            ProgressDisplay(console, state) as display,
        ):
            objective = Objective(
                plan, results, [state, status, display, tracker],
                total=left, before=tracker.take, tell=tell,
            )  # fmt: skip

            def until() -> bool:
                return objective.asked_to_stop or time.monotonic() > until_s

            outcomes = search(study, objective, trials=trials, until=until)
            interrupted = objective.asked_to_stop
    except KeyboardInterrupt:
        pass  # between two trials; one that was asked for is made again by the next call
    finally:
        tracker.finish([target] if target.exists() else [], interrupted=interrupted)
    return outcomes, interrupted


def _say(console: Console, text: str, *, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, soft_wrap=True)
