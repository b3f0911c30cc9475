"""What is asked of a plan on the command line: ``--only`` and ``--retry``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from benchmark.errors import BenchmarkError, nearest
from benchmark.experiment.matrix_rules import Cell
from benchmark.experiment.matrix_section import AXES
from benchmark.records import STATUSES

# A run of a plan is never pruned: that is for trials of a search.
FAILURES = tuple(status for status in STATUSES if status not in ("ok", "pruned"))

# Results of the method itself: repeating them would only repeat the cost.
RESULTS = ("oom", "diverged")

# Faults of the machine, or of what surrounds the method: another attempt may end well.
INFRASTRUCTURE = frozenset(FAILURES) - frozenset(RESULTS)

RETRY_WORDS: Mapping[str, frozenset[str]] = {
    "infra": INFRASTRUCTURE,
    "all": frozenset(FAILURES),
    "none": frozenset(),
}


def parse_retry(texts: Sequence[str]) -> frozenset[str]:
    """Return the statuses that ``--retry oom,infra`` names; several options add up.

    Raises:
        BenchmarkError: A name is no status of a failed run.
    """
    statuses: set[str] = set()
    for name in ",".join(texts).split(","):
        name = name.strip()
        if name not in FAILURES and name not in RETRY_WORDS:
            known = (*FAILURES, *RETRY_WORDS)
            raise BenchmarkError(
                f"--retry: expected a list of {', '.join(known)}, got {name!r}."
                + nearest(name, known)
            )
        statuses |= RETRY_WORDS.get(name, frozenset({name}))
    return frozenset(statuses)


def parse_only(texts: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return the values each axis is narrowed to by ``--only architecture=unet|vnet,fold=0``.

    An axis named several times takes all of its values; different axes must hold together.

    Raises:
        BenchmarkError: A part is not ``axis=value``, or there is no such axis.
    """
    chosen: dict[str, frozenset[str]] = {}
    for part in ",".join(texts).split(",") if texts else ():
        axis, sign, values = (piece.strip() for piece in part.partition("="))
        if axis not in AXES:
            raise BenchmarkError(
                f"--only: expected axis=value with an axis among {', '.join(AXES)}, got {part!r}."
                + nearest(axis, AXES)
            )
        if not sign or not values:
            raise BenchmarkError(
                f"--only: expected a value such as {axis}=..., got {part!r}; give alternatives "
                "as a|b."
            )
        asked = frozenset(value.strip() for value in values.split("|"))
        chosen[axis] = chosen.get(axis, frozenset()) | asked
    return chosen


def select(cells: Collection[Cell], only: Mapping[str, Collection[str]]) -> tuple[Cell, ...]:
    """Return the cells that have one of the chosen values on every chosen axis.

    Raises:
        BenchmarkError: The matrix does not have a value, or no run has all of them.
    """
    for axis, values in only.items():
        there = {str(getattr(cell, axis)): None for cell in cells}
        for value in sorted(values):
            if value not in there:
                raise BenchmarkError(
                    f"--only: unknown {axis} {value!r}; the matrix has {', '.join(there)}."
                    + nearest(value, there)
                )
    found = tuple(
        cell for cell in cells
        if all(str(getattr(cell, axis)) in values for axis, values in only.items())
    )  # fmt: skip
    if not any(cell.exclude is None for cell in found):
        told = ", ".join(f"{axis}={'|'.join(sorted(values))}" for axis, values in only.items())
        raise BenchmarkError(
            f"--only {told}: expected at least one run of the matrix, "
            f"{'all of them are excluded' if found else 'found none'}. Leave a condition out."
        )
    return found
