"""Tables of what was measured, for a terminal and as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench import machine
from tests.bench.race import KINDS, Result
from tests.bench.settings import say

GOALS = {"float32": 1.15, "bfloat16": 1.0}
GEMM_SHARE = 0.70  # of U-Net's float32 training
COLUMNS = (
    "network", "input", "precision", "", "ours ms", "peer ms", "ratio (quartiles)", "first step s",
    "peak MiB",
)  # fmt: skip
WIDTHS = (26, 15, 9, 9, 8, 8, 19, 12, 11)


@dataclass(frozen=True)
class Section:
    """A table under a title, and sentences below it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def text(self) -> str:
        """For a terminal."""
        table = [self.columns, *self.rows]
        widths = [max(len(row[i]) for row in table) for i in range(len(self.columns))]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in table
        ]
        return "\n".join(["", self.title, "", *lines, "", *self.notes])

    def markdown(self) -> str:
        """For a document."""
        rows = [self.columns, ["---"] * len(self.columns), *self.rows]
        table = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([f"### {self.title}", "", *table, "", *self.notes, ""])


def cells(result: Result) -> list[str]:
    """One race as a row."""
    middle, low, high = result.ratios
    return [
        result.setting.title,
        result.setting.input,
        result.precision,
        KINDS[result.kind],
        f"{1e3 * statistics.median(result.ours):.0f}",
        f"{1e3 * statistics.median(result.theirs):.0f}",
        f"{middle:.2f} ({low:.2f}–{high:.2f})",
        " / ".join(f"{each:.1f}" for each in result.first),
        " / ".join(f"{each:.0f}" for each in result.peak_mib),
    ]


def line(result: Result) -> str:
    """One race, as soon as it is over."""
    return "  ".join(cell.ljust(width) for cell, width in zip(cells(result), WIDTHS, strict=True))


HEADER = "  ".join(name.ljust(width) for name, width in zip(COLUMNS, WIDTHS, strict=True))


def rates(root: str, peer_python: str) -> dict[str, float]:
    """The machine's rate of matrix products by library; printed as well."""
    found = machine.measure(root, peer_python)
    say(f"float32 products of {machine.SIZE}² matrices: {_rates(found)} GFLOP/s")
    return found


def networks(results: Sequence[Result], found: dict[str, float], *, goals: bool) -> list[Section]:
    """The races as one table, and what falls short of the goals below it."""
    notes = []
    for result in results:
        goal = GOALS[result.precision]
        if goals and result.ratios[0] < goal:
            notes.append(
                f"Below {goal}: {result.setting.title}, {result.precision}, {KINDS[result.kind]}."
            )
        whole = (result.setting.name, result.precision, result.kind) == ("unet", "float32", "train")
        if whole and found:
            # Forward, and backward by values and by weights: three times the products.
            rate = 3 * 2 * result.gmacs / statistics.median(result.ours)
            best = max(found.values())
            notes.append(
                f"U-Net's float32 training runs at {rate:.0f} GFLOP/s, {100 * rate / best:.0f} % "
                f"of the machine's best rate of float32 matrix products (goal "
                f"{100 * GEMM_SHARE:.0f} %; {_rates(found)} GFLOP/s)."
            )
    return [Section("Networks", COLUMNS, [cells(result) for result in results], notes)]


def _rates(found: dict[str, float]) -> str:
    return ", ".join(f"{library} {rate:.0f}" for library, rate in found.items())
