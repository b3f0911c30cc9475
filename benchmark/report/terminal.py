"""The leaderboard and the clinical agreement as the terminal shows them at the end of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmark.report.cells import status
from benchmark.report.clinical import ENDPOINTS, main_rows
from benchmark.report.clinical_tables import signed
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import PARTIAL, by_group, scores_by_name
from benchmark.report.numerals import (
    NOTHING,
    count,
    dice_interval,
    magnitude,
    number,
    p_best,
    rank_interval,
    significant,
)

if TYPE_CHECKING:
    from rich.table import Table

    from benchmark.report.material import Material

_VIEWS = {"simpson_2ch": " 2CH", "simpson_4ch": " 4CH"}


def leaderboard_table(material: Material) -> Table:
    """Tier, rank, Dice with interval and costs of every architecture, one section per group."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    groups, frame = material.groups, material.frame
    # Narrow enough for a terminal of 80 columns: dataset, source and number of patients head the
    # rows, long names take two lines, and times read 4:50.
    table = Table(
        box=box.SIMPLE_HEAD,
        title="Leaderboard",
        title_justify="left",
        pad_edge=False,
        show_edge=False,
        padding=0,
    )
    table.add_column("Architecture", max_width=16)
    for heading in ("Tier", "Rank", "P(best)", "Dice [95 %]", "Params", "Train", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for group in groups:
        patients = group.cases["patient"].nunique() if len(group.cases) else 0
        title = Text(group.title, style="bold")
        made_of = Text(group.source, style="yellow" if group.phantom else "")
        table.add_row(
            Text.assemble(title, ", ", made_of),
            "",
            "",
            "",
            f"n = {patients} patient{'s' * (patients != 1)}",
        )
        rows = [row for _, row in by_group(frame, group).iterrows()]
        for position, row in enumerate(rows):
            first = not pd.isna(row["rank"]) and row["rank"] == 1
            failed = not pd.isna(row["run"])
            table.add_row(
                Text(row_title(row["architecture"], row["variant"]), style="bold" * bool(first)),
                count(row["tier"]),
                "partial" if row["status"] == PARTIAL else _rank(row),
                p_best(row),
                Text(status(row), style="red")
                if failed
                else Text(dice_interval(row), style="bold" * bool(first)),
                magnitude(row["parameters"]),
                clock(row["train_s"]),
                significant(row["inference_ms"]),
                end_section=position == len(rows) - 1,
            )
    notes = ["ms: inference per case, median", *_counts(groups, frame)]
    if frame["tier"].notna().any():
        notes.append("tier: not separable from its leader (paired test over patients, Holm, 5 %)")
    if any(group.phantom for group in groups):
        notes.append("phantom: synthetic hearts, not patients")
    if any(group.mixed for group in groups):
        notes.append("†: rows with different marks were not made under the same rules")
    if notes:
        table.caption = "\n".join(notes)
        table.caption_justify = "left"
    return table


def clinical_table(material: Material) -> Table:
    """Agreement of the main endpoint (LV EF, else LA volume): a line per architecture and group."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

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
    for group in material.groups:
        rows = [row for _, row in main_rows(by_group(material.agreement, group)).iterrows()]
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


def _counts(groups: Sequence[Group], frame: pd.DataFrame) -> list[str]:
    """Where anything was excluded or failed: how often, by group and architecture."""
    lines = []
    for group in groups:
        parts = [
            f"{row_title(*name)} {row['excluded']:.0f}/{row['failed']:.0f}"
            for name, row in scores_by_name(by_group(frame, group)).items()
            if row["excluded"] or row["failed"]
        ]
        if parts:
            lines.append(f"excluded/failed, {group.title}, {group.source}: {', '.join(parts)}")
    if lines:
        lines.append("excluded: absent from truth and prediction; failed: missed or invented")
    return lines


def _rank(row: pd.Series[Any]) -> str:
    """The rank with its interval where there is one: ``1 (1–2)``."""
    return count(row["rank"]) + ("" if pd.isna(row["tier"]) else f" ({rank_interval(row)})")


def clock(seconds: float) -> str:
    """Seconds as ``4:50`` or ``3:20:05``, or a dash."""
    if math.isnan(seconds):
        return NOTHING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
