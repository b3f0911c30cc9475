"""The leaderboard as the terminal shows it at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmark.report.cells import count, dice_interval, duration, magnitude, significant, status
from benchmark.report.groups import comparison_groups, row_title
from benchmark.report.leaderboard import by_group, leaderboard

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
    table = Table(box=box.SIMPLE_HEAD, title="Leaderboard", title_justify="left", pad_edge=False)
    table.add_column("Dataset", no_wrap=True)
    table.add_column("Source", no_wrap=True)
    table.add_column("Architecture", no_wrap=True)
    for heading in ("Rank", "Dice [95 %]", "Params", "Training", "ms/case", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Status", no_wrap=True)
    for group in groups:
        rows = [row for _, row in by_group(frame, group).iterrows()]
        for position, row in enumerate(rows):
            first = row["rank"] == 1 if not pd.isna(row["rank"]) else False
            colour = {"ok": "green", "partial": "yellow"}.get(str(row["status"]), "red")
            table.add_row(
                Text(group.title if position == 0 else ""),
                Text(group.source, style="yellow" if group.phantom else ""),
                Text(row_title(row["architecture"], row["variant"]), style="bold" * bool(first)),
                count(row["rank"]),
                Text(dice_interval(row), style="bold" * bool(first)),
                magnitude(row["parameters"]),
                duration(row["train_s"]),
                significant(row["inference_ms"]),
                count(row["patients"]),
                Text(status(row), style=colour),
                end_section=position == len(rows) - 1,
            )
    if any(group.phantom for group in groups):
        table.caption = "phantom: synthetic hearts, not patients"
        table.caption_justify = "left"
    return table
