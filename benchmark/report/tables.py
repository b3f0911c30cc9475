"""The leaderboard in Markdown, LaTeX and CSV, and the scores behind it, all from one frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.report import document
from benchmark.report.cells import caption, cost_table, footers, score_table
from benchmark.report.document import Block, Section
from benchmark.report.groups import Group
from benchmark.report.leaderboard import by_group


def write_tables(folder: Path, frame: pd.DataFrame, groups: Sequence[Group]) -> list[Path]:
    """Write ``leaderboard.csv``, ``.md``, ``.tex`` and ``cases.csv`` into ``folder``.

    Args:
        folder: made if absent.
        frame: from :func:`benchmark.report.leaderboard.leaderboard`.
        groups: the groups the frame was made from.

    Returns:
        The four paths.
    """
    return document.write_texts(
        folder,
        {
            "leaderboard.csv": frame.to_csv(index=False, lineterminator="\n"),
            "leaderboard.md": markdown(frame, groups),
            "leaderboard.tex": latex(frame, groups),
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


def markdown(frame: pd.DataFrame, groups: Sequence[Group]) -> str:
    """The leaderboard for people."""
    return document.markdown("Leaderboard", sections(frame, groups))


def latex(frame: pd.DataFrame, groups: Sequence[Group]) -> str:
    """The leaderboard for a paper."""
    return document.latex(sections(frame, groups))


def sections(frame: pd.DataFrame, groups: Sequence[Group]) -> list[Section]:
    """Per group a table of scores and a table of costs."""
    made = []
    for group in groups:
        rows = by_group(frame, group)
        notes = tuple(footers(rows, group))
        made.append(
            Section(
                caption(group),
                group.slug,
                (
                    Block("scores", "Segmentation scores", score_table(rows, group), notes),
                    Block("costs", "Costs", cost_table(rows, group), notes[: int(group.phantom)]),
                ),
            )
        )
    return made
