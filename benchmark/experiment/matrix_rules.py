"""Which combinations of the axes are run: the product, the pairs and the rules of the matrix."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmark.experiment.config_types import Fault
from benchmark.experiment.matrix_section import AXES, MatrixSection, plural

# More runs than this are a slip of the pen; planning them would take minutes.
MOST_RUNS = 100_000

Combination: TypeAlias = tuple[int, int, str, str]


@dataclass(frozen=True)
class Cell:
    """One combination of the axes.

    Attributes:
        architecture: Name of the architecture.
        dataset: Name of the dataset.
        fold: Index of the fold.
        seed: Seed of the run.
        include: Number of the entry of ``include`` whose overrides hold, if any.
        exclude: Number of the rule of ``exclude`` that takes the combination out, if any.
    """

    architecture: str
    dataset: str
    fold: int
    seed: int
    include: int | None = None
    exclude: int | None = None


def cells(matrix: MatrixSection) -> tuple[Cell, ...]:
    """Return every combination of the matrix, also those that a rule takes out, in running order.

    Raises:
        Fault: An axis is missing or given twice, pairs do not fit, a rule names no axis, or there
            are no or far too many runs.
    """
    blocks = _blocks(matrix)
    for name, entries in (("exclude", matrix.exclude), ("include", matrix.include)):
        for number, entry in enumerate(entries):
            if not entry.given:
                raise Fault(
                    ("matrix", name, number),
                    f"expected an entry of '{name}' to name at least one of {', '.join(AXES)}.",
                )
    most = math.prod(len(block) for block in blocks) * (1 + len(matrix.include))
    if most > MOST_RUNS:
        raise Fault(
            ("matrix",),
            f"expected at most {MOST_RUNS:,} runs, the matrix has up to {most:,}. Shorten an axis, "
            "or pair axes.",
        )
    product = [_combination(parts) for parts in itertools.product(*blocks)]
    asked = list(_asked(matrix, product))
    wanted: dict[tuple[Combination, int | None], None] = {}
    excluded: dict[Combination, int] = {}
    rules = [rule.given for rule in matrix.exclude]
    named: dict[int | None, Collection[str]] = {None: ()}
    named |= {number: entry.given for number, entry in enumerate(matrix.include)}
    own = {number for number, entry in enumerate(matrix.include) if entry.overrides}
    for combination, include in asked:
        rule = _rule(rules, combination, named=named[include])
        if rule is None:
            wanted[combination, include if include in own else None] = None
        else:
            excluded.setdefault(combination, rule)
    if not wanted:
        raise Fault(("matrix", "exclude"), "expected at least one run, 'exclude' leaves none.")
    found = [_cell(combination, include=include) for combination, include in wanted]
    found += [
        _cell(combination, exclude=rule)
        for combination, rule in excluded.items()
        if (combination, None) not in wanted
    ]
    order = [_positions(values) for values in zip(*(each for each, _ in asked), strict=True)]

    def place(cell: Cell) -> list[int]:
        return [rank[getattr(cell, axis)] for axis, rank in zip(AXES, order, strict=True)]

    return tuple(sorted(found, key=place))


def _positions(values: Iterable[Any]) -> dict[Any, int]:
    return {value: position for position, value in enumerate(dict.fromkeys(values))}


def _blocks(matrix: MatrixSection) -> list[list[Mapping[str, Any]]]:
    """Return the factors of the product: each axis by itself, and the paired ones as one."""
    paired: dict[str, tuple[Any, ...]] = {}
    if matrix.paired is not None:
        paired = {axis: getattr(matrix.paired, plural(axis)) for axis in AXES
                  if getattr(matrix.paired, plural(axis))}  # fmt: skip
        _check_pairs(paired)
    blocks: list[list[Mapping[str, Any]]] = []
    for axis in AXES:
        values = getattr(matrix, plural(axis))
        if axis in paired:
            if values:
                raise Fault(
                    ("matrix", "paired", plural(axis)),
                    f"{plural(axis)!r} is given here and in 'matrix'; keep one of them. A profile "
                    "that lists its own can lay 'paired: null' over this.",
                )
            continue
        if not values and axis in ("architecture", "dataset"):
            raise Fault(("matrix",), f"'matrix.{plural(axis)}' is missing; add it.")
        blocks.append([{axis: value} for value in values or (0,)])
    if paired:
        pairs = zip(*paired.values(), strict=True)
        blocks.append([dict(zip(paired, pair, strict=True)) for pair in pairs])
    return blocks


def _check_pairs(paired: Mapping[str, tuple[Any, ...]]) -> None:
    lengths = {axis: len(values) for axis, values in paired.items()}
    told = ", ".join(f"{plural(axis)} {length}" for axis, length in lengths.items())
    if len(paired) < 2:
        raise Fault(
            ("matrix", "paired"),
            f"expected at least two of {', '.join(map(plural, AXES))} to pair, got "
            f"{told or 'none'}.",
        )
    if len(set(lengths.values())) > 1:
        raise Fault(
            ("matrix", "paired", plural(list(paired)[-1])),
            f"expected paired axes of equal length, got {told}.",
        )
    if len(set(zip(*paired.values(), strict=True))) < next(iter(lengths.values())):
        raise Fault(("matrix", "paired"), "expected every pair once.")


def _combination(parts: tuple[Mapping[str, Any], ...]) -> Combination:
    values: dict[str, Any] = {}
    for part in parts:
        values.update(part)
    return values["seed"], values["fold"], values["dataset"], values["architecture"]


def _asked(
    matrix: MatrixSection, product: list[Combination]
) -> Iterator[tuple[Combination, int | None]]:
    """Yield the product, then what each entry of ``include`` makes of it."""
    for combination in product:
        yield combination, None
    for number, entry in enumerate(matrix.include):
        given = entry.given
        for combination in product:
            seed, fold, dataset, architecture = (
                given.get(axis, value) for axis, value in zip(AXES, combination, strict=True)
            )
            yield (seed, fold, dataset, architecture), number


def _rule(
    rules: Sequence[Mapping[str, Any]], combination: Combination, named: Collection[str]
) -> int | None:
    """Return the number of the first rule that takes a combination out.

    Args:
        rules: The axes and values of each.
        combination: The combination.
        named: Axes that an entry of ``include`` gives itself.
    """
    values = dict(zip(AXES, combination, strict=True))
    for number, rule in enumerate(rules):
        if rule.items() <= values.items() and not rule.keys() <= set(named):
            return number
    return None


def _cell(
    combination: Combination, *, include: int | None = None, exclude: int | None = None
) -> Cell:
    seed, fold, dataset, architecture = combination
    return Cell(architecture, dataset, fold, seed, include, exclude)
