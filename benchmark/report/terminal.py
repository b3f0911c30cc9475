"""The leaderboard and the clinical agreement as the terminal shows them at the end of a run."""

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
    number,
    significant,
    status,
)
from benchmark.report.clinical import ENDPOINTS, agreement_frame, main_rows
from benchmark.report.clinical_tables import signed
from benchmark.report.groups import comparison_groups, row_title
from benchmark.report.leaderboard import PARTIAL, by_group, leaderboard

if TYPE_CHECKING:
    from rich.table import Table

_VIEWS = {"simpson_2ch": " 2CH", "simpson_4ch": " 4CH"}


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


def clinical_table(records: Sequence[Mapping[str, Any]], clinical: pd.DataFrame) -> Table:
    """Agreement of the main endpoint (LV EF, else LA volume): a line per architecture and group.

    Args:
        records: parsed ``record.json`` files with ``path``.
        clinical: the rows of all ``clinical.csv``.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    groups = comparison_groups(records, pd.DataFrame(), pd.DataFrame())
    frame = agreement_frame(groups, clinical)
    table = Table(
        box=box.SIMPLE_HEAD,
        title="Clinical agreement: prediction minus reference",
        title_justify="left",
        pad_edge=False,
        padding=0,
    )
    for heading in ("Architecture", "Source", "Endpoint"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Bias ± 1.96 SD", "r", "n", "Not measurable"):
        table.add_column(heading, justify="right", no_wrap=True)
    for group in groups:
        rows = [row for _, row in main_rows(by_group(frame, group)).iterrows()]
        if rows:
            table.add_row(Text(group.title, style="bold"))
        for position, row in enumerate(rows):
            # One patient has a bias but no spread.
            spread = "" if pd.isna(row["sd"]) else f" ± {row['limit_high'] - row['bias']:.1f}"
            table.add_row(
                row_title(row["architecture"], row["variant"]),
                Text(group.source, style="yellow" if group.phantom else ""),
                ENDPOINTS[row["endpoint"]] + _VIEWS.get(row["method"], ""),
                f"{signed(row['bias'])}{spread} {row['unit']}" if row["n_valid"] else NOTHING,
                number(row["pearson_r"], 3),
                count(row["n_valid"]),
                count(row["n_failed"]),
                end_section=position == len(rows) - 1,
            )
    return table


def clock(seconds: float) -> str:
    """Seconds as ``4:50`` or ``3:20:05``, or a dash."""
    if math.isnan(seconds):
        return NOTHING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
