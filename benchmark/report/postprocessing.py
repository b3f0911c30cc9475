"""Where keeping the largest piece of a class earned its place, and by how much."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.report import style
from benchmark.report.cells import Cell, Column, Table
from benchmark.report.groups import Group, row_title
from benchmark.report.numerals import number

DIGITS = 4  # what cleaning changes often lies in the fourth decimal
NOTE = (
    "Validation Dice of whole cases without and with keeping only the largest piece of a class, "
    "averaged over the runs that could tell. A run cleans a class of its test cases only if its "
    "own validation Dice rose."
)


def table(group: Group) -> Table:
    """Per architecture and class in how many runs it was applied, and both validation means.

    Runs that decided nothing, such as failed ones and those whose protocol has no post-processing,
    have no part in it.
    """
    rows: list[tuple[Cell, ...]] = []
    breaks = []
    for name in group.names:
        decided = [
            run.postprocessing["classes"] for run in group.of(name) if run.ok and run.postprocessing
        ]
        breaks.append(len(rows))
        for label in group.classes:
            verdicts = [classes[label] for classes in decided if label in classes]
            if verdicts:
                texts = (
                    row_title(*name),
                    style.words(label),
                    f"{sum(bool(one['applied']) for one in verdicts)} of {len(verdicts)}",
                    *(
                        number(_mean(one[f"validation_dice_{how}"] for one in verdicts), DIGITS)
                        for how in ("without", "with")
                    ),
                )
                rows.append(tuple(Cell(text) for text in texts))
    columns = (
        *(Column("Architecture", "left"), Column("Class", "left"), Column("Applied in runs")),
        *(Column("Validation Dice without"), Column("Validation Dice with")),
    )
    return Table(columns, tuple(rows), frozenset(breaks) - {0})


def _mean(values: Iterable[float | None]) -> float:
    """The mean of what is known; a record has null where no validation case shows the class."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")
