"""What is to be done about every run of a plan: its own record and earlier ones decide."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.experiment.history import Changes, Durations, read_past, to_past
from benchmark.experiment.selection import RESULTS
from benchmark.experiment.spec import RunSpec
from benchmark.records import Damaged, mixed_versions, read_record

PENDING = ("new", "stale", "failed")


@dataclass(frozen=True)
class PlannedRun:
    """One run and what is to be done about it.

    Attributes:
        spec: The run.
        state: ``new``, ``stale`` (an earlier result was made otherwise) and ``failed`` are
            executed; ``done`` and ``kept`` (a failure that stays as it is) are not.
        reason: One sentence for the user.
        changes: What differs from the earlier result, if the run is stale.
        expected_s: How long it will take, where that is known.
        seen: When the record that decided this was finished; empty where there is none.
    """

    spec: RunSpec
    state: str
    reason: str
    changes: tuple[str, ...] = ()
    expected_s: float | None = None
    seen: str = ""

    @property
    def pending(self) -> bool:
        """Whether the run will be executed."""
        return self.state in PENDING


def look_up(
    specs: Sequence[RunSpec],
    results: Path,
    *,
    profile: str,
    retry: Collection[str],
    device: Callable[[], str],
) -> tuple[tuple[PlannedRun, ...], tuple[str, ...]]:
    """Read the records and return the state of every run, and what the user should know of them.

    Records of other runs are read only if something is to be executed.

    Args:
        specs: The runs of the plan.
        results: Results folder.
        profile: Name of the profile.
        retry: Statuses of failed runs that are run again.
        device: Says what would be computed on.
    """
    states, mine = [], {}
    for spec in specs:
        try:
            record = read_record(results / "runs" / spec.key)
        except Damaged as error:
            states.append(PlannedRun(spec, "failed", f"damaged record, runs again: {error}"))
            continue
        seen = str(record.get("finished_utc") or "") if record else ""
        states.append(replace(_state(spec, record, retry), seen=seen))
        if record is not None:
            mine[spec.key] = record
    warnings = [mixed_versions(mine.values())]
    if any(run.pending for run in states):
        others, damaged = read_past(results, skip={spec.key for spec in specs})
        finished = [to_past(key, record) for key, record in mine.items()]
        durations = Durations([*others, *finished], profile, device())
        states = _with_past(states, Changes(others, profile), durations)
        if damaged:
            warnings.append(
                f"{len(damaged)} record(s) of other runs cannot be read, such as "
                f"{damaged[0]}; they count for nothing here."
            )
    return tuple(states), tuple(text for text in warnings if text)


def _with_past(
    runs: Sequence[PlannedRun], stale: Changes, durations: Durations
) -> list[PlannedRun]:
    """Return the runs with what earlier records say of those that are to be executed."""
    result = []
    for run in runs:
        if run.pending:
            changes = stale.of(run.spec) if run.state == "new" else ()
            run = replace(run, expected_s=durations.of(run.spec), changes=changes)
            if changes:
                run = replace(run, state="stale", reason="; ".join(changes))
        result.append(run)
    return result


def _state(spec: RunSpec, record: Mapping[str, Any] | None, retry: Collection[str]) -> PlannedRun:
    if record is None:
        return PlannedRun(spec, "new", "no record yet")
    status, error = record["status"], record.get("error") or "no reason recorded"
    if status == "ok":
        return PlannedRun(spec, "done", f"mean Dice {record['summary']['dice']:.3f}")
    if status in retry:
        return PlannedRun(spec, "failed", f"{status} last time, runs again: {error}")
    if status in RESULTS:
        return PlannedRun(spec, "kept", f"{status} is a result of the method: {error}")
    return PlannedRun(spec, "kept", f"{status} last time, not among --retry: {error}")
