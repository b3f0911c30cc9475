"""The leaderboard in Markdown, LaTeX and CSV, and the scores behind it, all from one frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from benchmark.report.cells import Cell, Table, caption, cost_table, footers, score_table
from benchmark.report.groups import Group
from benchmark.report.leaderboard import by_group

_TEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "—": "---",
    "–": "--",
    "×": r"$\times$",
    "±": r"$\pm$",
    "·": r"\textperiodcentered{}",
    "µ": r"\textmu{}",
}


def write_tables(folder: Path, frame: pd.DataFrame, groups: Sequence[Group]) -> list[Path]:
    """Write ``leaderboard.csv``, ``.md``, ``.tex`` and ``cases.csv`` into ``folder``.

    Args:
        folder: made if absent.
        frame: from :func:`benchmark.report.leaderboard.leaderboard`.
        groups: the groups the frame was made from.

    Returns:
        The four paths.
    """
    return write_texts(
        folder,
        {
            "leaderboard.csv": frame.to_csv(index=False, lineterminator="\n"),
            "leaderboard.md": markdown(frame, groups),
            "leaderboard.tex": latex(frame, groups),
            "cases.csv": all_cases(groups).to_csv(index=False, lineterminator="\n"),
        },
    )


def write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write texts by file name into a folder, made if absent; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in texts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8", newline="\n")
        paths.append(path)
    return paths


def all_cases(groups: Sequence[Group]) -> pd.DataFrame:
    """Every row of every case of the runs that are ok, with the protocol of its group."""
    parts = [
        pd.concat([group.cases, group.regions]).assign(protocol_hash=group.protocol_hash)
        for group in groups
        if not group.cases.empty
    ]
    if not parts:
        columns = ["run", "architecture", "dataset", "source", "fold", "seed", "case", "patient"]
        return pd.DataFrame(columns=[*columns, "class", "dice", "iou", "protocol_hash"])
    return pd.concat(parts, ignore_index=True).drop(columns="variant")


def markdown(frame: pd.DataFrame, groups: Sequence[Group]) -> str:
    """The leaderboard for people: per group a table of scores, a table of costs, notes."""
    lines = ["# Leaderboard", ""]
    if not groups:
        lines += ["No runs yet.", ""]
    for group in groups:
        rows = by_group(frame, group)
        lines += [f"## {caption(group)}", ""]
        lines += [*markdown_table(score_table(rows, group)), ""]
        lines += [*markdown_table(cost_table(rows, group)), ""]
        lines += [*(f"- {markdown_text(note)}" for note in footers(rows, group)), ""]
    return "\n".join(lines)


def latex(frame: pd.DataFrame, groups: Sequence[Group]) -> str:
    """The same tables for a paper: booktabs, best in bold, second best underlined."""
    lines = ["% Needs \\usepackage{booktabs,graphicx}. Best in bold, second best underlined.", ""]
    for group in groups:
        rows = by_group(frame, group)
        for kind, table in (
            ("scores", score_table(rows, group)),
            ("costs", cost_table(rows, group)),
        ):
            title = "Segmentation scores" if kind == "scores" else "Costs"
            notes = footers(rows, group) if kind == "scores" else footers(rows, group)[:1]
            if kind == "costs" and not group.phantom:
                notes = []
            lines += latex_table(
                table,
                caption=f"{title}: {caption(group)}.",
                label=f"tab:{kind}-{group.slug.replace('_', '-')}",
                notes=notes,
            )
    return "\n".join(lines)


def latex_table(table: Table, *, caption: str, label: str, notes: Sequence[str]) -> list[str]:
    """The lines of a table that floats, no wider than the page, with notes below it."""
    return [
        r"\begin{table*}",
        r"  \centering",
        rf"  \caption{{{tex_escape(caption)}}}",
        rf"  \label{{{label}}}",
        r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        *(f"    {line}" for line in _tex_table(table)),
        r"  }",
        *(rf"  \par\smallskip{{\footnotesize {tex_escape(note)}}}" for note in notes),
        r"\end{table*}",
        "",
    ]


def tex_escape(text: str) -> str:
    """Text with every character that LaTeX would act on made harmless."""
    return "".join(_TEX_ESCAPES.get(character, character) for character in text)


def markdown_text(text: str) -> str:
    """Text with every character that Markdown would act on made harmless."""
    for character in "\\|*_`<>":
        text = text.replace(character, "\\" + character)
    return text


def markdown_table(table: Table) -> list[str]:
    """The lines of a pipe table, its cells padded so that it reads well as plain text too."""

    def dress(cell: Cell) -> str:
        text = markdown_text(cell.text)
        return f"**{text}**" if cell.place == 1 else text

    body = [[dress(cell) for cell in row] for row in table.rows]
    headings = [column.heading for column in table.columns]
    widths = [
        max(3, len(heading), *(len(row[index]) for row in body))
        for index, heading in enumerate(headings)
    ]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column.align == "left" else cell.rjust(width)
            for cell, width, column in zip(cells, widths, table.columns, strict=True)
        ]
        return "| " + " | ".join(padded) + " |"

    rule = [
        ":" + "-" * (width - 1) if column.align == "left" else "-" * (width - 1) + ":"
        for width, column in zip(widths, table.columns, strict=True)
    ]
    return [line(headings), "| " + " | ".join(rule) + " |", *(line(row) for row in body)]


def _tex_table(table: Table) -> list[str]:
    def dress(cell: Cell) -> str:
        text = tex_escape(cell.text)
        if cell.place == 1:
            return rf"\textbf{{{text}}}"
        return rf"\underline{{{text}}}" if cell.place == 2 else text

    spec = "".join("l" if column.align == "left" else "r" for column in table.columns)
    return [
        rf"\begin{{tabular}}{{@{{}}{spec}@{{}}}}",
        r"  \toprule",
        "  " + " & ".join(tex_escape(column.heading) for column in table.columns) + r" \\",
        r"  \midrule",
        *("  " + " & ".join(dress(cell) for cell in row) + r" \\" for row in table.rows),
        r"  \bottomrule",
        r"\end{tabular}",
    ]
