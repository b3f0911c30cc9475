"""Which columns of the leaderboard are printed, in which order, and with how many decimals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.errors import BenchmarkError, nearest
from benchmark.report.cells import COST_NAMES, SCORE_NAMES, Table
from benchmark.report.leaderboard import DIGITS

ROW = "architecture"
LEAST_DECIMALS, MOST_DECIMALS = 2, 5


@dataclass(frozen=True)
class Printing:
    """How the leaderboard is printed; its CSV file always has everything.

    Attributes:
        columns: Names of columns in their order; none for all.
        decimals: Of Dice, IoU and NSD. Ranks, bold and underlined follow the rule of the
            leaderboard (three decimals) whatever is printed.

    Raises:
        BenchmarkError: That many decimals are not offered.
    """

    columns: tuple[str, ...] = ()
    decimals: int = DIGITS

    def __post_init__(self) -> None:
        if not LEAST_DECIMALS <= self.decimals <= MOST_DECIMALS:
            raise BenchmarkError(
                f"--precision {self.decimals}: expected {LEAST_DECIMALS} to {MOST_DECIMALS} "
                "decimals."
            )

    def notes(self) -> tuple[str, ...]:
        """What has to be said where other decimals are printed than those that decide."""
        if self.decimals == DIGITS:
            return ()
        return (
            f"Ranks, bold and underlined are decided on {DIGITS} decimals, not on the "
            f"{self.decimals} printed.",
        )


def check(names: Iterable[str], tables: Iterable[Table]) -> None:
    """Refuse columns that no table could have.

    Args:
        names: What was asked for.
        tables: Every table of the leaderboard with all of its columns.

    Raises:
        BenchmarkError: A name is unknown; the message lists those that there are.
    """
    there = [column.name for table in tables for column in table.columns]
    # What no run has measured is a column all the same, of nothing.
    known = dict.fromkeys([*there, *SCORE_NAMES, *COST_NAMES])
    for name in names:
        if name not in known:
            raise BenchmarkError(
                f"--columns: expected names among {', '.join(known)}; received {name!r}."
                f"{nearest(name, known)}"
            )


def choose(table: Table, names: Sequence[str]) -> Table | None:
    """Return the columns of a table that were asked for, in that order.

    A row is nothing without its name: where that was not asked for, it comes first.

    Returns:
        The table as it is for no names, and None where it has no other column of those.
    """
    if not names:
        return table
    places = {column.name: place for place, column in enumerate(table.columns)}
    wanted = dict.fromkeys(names if ROW in names else (ROW, *names))
    chosen = [places[name] for name in wanted if name in places]
    if len(chosen) < 2:
        return None
    return Table(
        tuple(table.columns[place] for place in chosen),
        tuple(tuple(row[place] for place in chosen) for row in table.rows),
        table.breaks,
    )
