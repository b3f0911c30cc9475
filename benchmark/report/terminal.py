"""The leaderboard as the terminal shows it at the end of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmark.report.cells import (
    NOTHING,
    count,
    dice_interval,
    magnitude,
    significant,
    status,
)
from benchmark.report.groups import comparison_groups, row_title
from benchmark.report.leaderboard import PARTIAL, by_group, leaderboard

if TYPE_CHECKING:
    from rich.table import Table


def leaderboard_table(records: Sequence[Mapping[str, Any]], cases: pd.DataFrame) -> Table:
    """Rank, Dice with interval and costs of every architecture, one section per group.

    Args:
        records: parsed ``record.json`` files with ``path``.
        cases: the rows of all ``cases.csv``.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    groups = comparison_groups(records, cases, pd.DataFrame())
    frame = leaderboard(groups)
    # Narrow enough for a terminal of 80 columns: datasets head their rows, and times read 4:50.
    table = Table(
        box=box.SIMPLE_HEAD,
        title="Leaderboard",
        title_justify="left",
        pad_edge=False,
        padding=0,
    )
    table.add_column("Architecture", no_wrap=True)
    table.add_column("Source", no_wrap=True)
    for heading in ("Rank", "Dice [95 %]", "Params", "Train", "ms/case", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    for group in groups:
        table.add_row(Text(group.title, style="bold"))
        rows = [row for _, row in by_group(frame, group).iterrows()]
        for position, row in enumerate(rows):
            first = not pd.isna(row["rank"]) and row["rank"] == 1
            failed = not pd.isna(row["run"])
            table.add_row(
                Text(row_title(row["architecture"], row["variant"]), style="bold" * bool(first)),
                Text(group.source, style="yellow" if group.phantom else ""),
                "partial" if row["status"] == PARTIAL else count(row["rank"]),
                Text(status(row), style="red")
                if failed
                else Text(dice_interval(row), style="bold" * bool(first)),
                magnitude(row["parameters"]),
                clock(row["train_s"]),
                significant(row["inference_ms"]),
                count(row["patients"]),
                end_section=position == len(rows) - 1,
            )
    if any(group.phantom for group in groups):
        table.caption = "phantom: synthetic hearts, not patients"
        table.caption_justify = "left"
    return table


def clock(seconds: float) -> str:
    """Seconds as ``4:50`` or ``3:20:05``, or a dash."""
    if math.isnan(seconds):
        return NOTHING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
