"""The leaderboard in Markdown, LaTeX and CSV, and the scores behind it, all from one frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.report import columns, document
from benchmark.report.cells import caption, cost_table, footers, score_table
from benchmark.report.columns import Printing
from benchmark.report.document import Block, Section
from benchmark.report.groups import Group
from benchmark.report.leaderboard import by_group

EVERYTHING = Printing()


def write_tables(
    folder: Path, frame: pd.DataFrame, groups: Sequence[Group], printing: Printing = EVERYTHING
) -> list[Path]:
    """Write ``leaderboard.csv``, ``.md``, ``.tex`` and ``cases.csv`` into ``folder``.

    Args:
        folder: made if absent.
        frame: from :func:`benchmark.report.leaderboard.leaderboard`.
        groups: the groups the frame was made from.
        printing: columns and decimals of the two printed tables.

    Returns:
        The four paths.

    Raises:
        BenchmarkError: A column was asked for that there is not; nothing is written then.
    """
    return document.write_texts(
        folder,
        {
            "leaderboard.csv": frame.to_csv(index=False, lineterminator="\n"),
            "leaderboard.md": markdown(frame, groups, printing),
            "leaderboard.tex": latex(frame, groups, printing),
            "cases.csv": all_cases(groups).to_csv(index=False, lineterminator="\n"),
        },
    )


def all_cases(groups: Sequence[Group]) -> pd.DataFrame:
    """Every row of every case of the runs that are ok, with the protocol of its group."""
    parts = [
        rows.assign(protocol_hash=rows["run"].map(group.protocol_of))
        for group in groups
        for rows in [pd.concat([group.cases, group.regions])]
        if not rows.empty
    ]
    if not parts:
        columns = ["run", "architecture", "dataset", "source", "fold", "seed", "case", "patient"]
        return pd.DataFrame(columns=[*columns, "class", "dice", "iou", "protocol_hash"])
    return pd.concat(parts, ignore_index=True).drop(columns="variant")


def markdown(frame: pd.DataFrame, groups: Sequence[Group], printing: Printing = EVERYTHING) -> str:
    """The leaderboard for people."""
    return document.markdown("Leaderboard", sections(frame, groups, printing))


def latex(frame: pd.DataFrame, groups: Sequence[Group], printing: Printing = EVERYTHING) -> str:
    """The leaderboard for a paper."""
    return document.latex(sections(frame, groups, printing))


def sections(
    frame: pd.DataFrame, groups: Sequence[Group], printing: Printing = EVERYTHING
) -> list[Section]:
    """Per group a table of scores and a table of costs, as far as their columns are printed.

    Raises:
        BenchmarkError: A column was asked for that there is not.
    """
    whole = [
        (
            ("scores", "Segmentation scores",
             score_table(rows, group, decimals=printing.decimals)),
            ("costs", "Costs", cost_table(rows, group)),
        )
        for group in groups
        for rows in [by_group(frame, group)]
    ]  # fmt: skip
    columns.check(printing.columns, (table for tables in whole for *_, table in tables))
    made = []
    for group, tables in zip(groups, whole, strict=True):
        notes = (*footers(by_group(frame, group), group), *printing.notes())
        blocks: list[Block] = []
        for kind, title, table in tables:
            chosen = columns.choose(table, printing.columns)
            if chosen is not None:
                # What rests on phantoms says so below each table, the rest is said once.
                below = notes[: int(group.phantom)] if blocks else notes
                blocks.append(Block(kind, title, chosen, below))
        made.append(Section(caption(group), group.slug, tuple(blocks)))
    return made
