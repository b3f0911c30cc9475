"""Sections of tables and notes as Markdown and LaTeX, whatever the tables say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.report.cells import Cell, Table

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
    "−": r"$-$",
    "τ": r"$\tau$",
    "†": r"\dag{}",
    "·": r"\textperiodcentered{}",
    "µ": r"\textmu{}",
}


@dataclass(frozen=True)
class Block:
    """One printed table.

    Attributes:
        kind: One word for labels, such as ``scores``.
        title: What the table shows, such as ``Segmentation scores``.
        table: Its cells.
        notes: Sentences below it.
    """

    kind: str
    title: str
    table: Table
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """The tables of one group.

    Attributes:
        heading: Names the group.
        slug: The same for labels.
        blocks: Its tables.
        reason: Why there is none, where there is none.
    """

    heading: str
    slug: str
    blocks: tuple[Block, ...]
    reason: str = ""


def write_csv(folder: Path, stem: str, frame: pd.DataFrame) -> Path:
    """Write a frame with full precision; returns the path."""
    return write_texts(folder, {f"{stem}.csv": frame.to_csv(index=False, lineterminator="\n")})[0]


def write_printed(folder: Path, stem: str, title: str, sections: Sequence[Section]) -> list[Path]:
    """Write sections as Markdown and as LaTeX; returns the two paths."""
    nothing = "Nothing to compare yet."
    return write_texts(
        folder,
        {
            f"{stem}.md": markdown(title, sections, nothing=nothing),
            f"{stem}.tex": latex(sections),
        },
    )


def write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write texts by file name into a folder, made if absent; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in texts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8", newline="\n")
        paths.append(path)
    return paths


def markdown(title: str, sections: Sequence[Section], *, nothing: str = "No runs yet.") -> str:
    """A document for people: per group its tables, each with its notes below it.

    A note that stands in a section already is not repeated in it.
    """
    lines = [f"# {title}", ""]
    if not sections:
        lines += [nothing, ""]
    for section in sections:
        lines += [f"## {section.heading}", ""]
        if section.reason:
            lines += [section.reason, ""]
        said: set[str] = set()
        for block in section.blocks:
            lines += [f"### {block.title}", "", *markdown_table(block.table), ""]
            fresh = [note for note in block.notes if note not in said]
            said |= set(fresh)
            if fresh:
                lines += [*(f"- {markdown_text(note)}" for note in fresh), ""]
    return "\n".join(lines)


def latex(sections: Sequence[Section]) -> str:
    """The same tables for a paper: booktabs, best in bold, second best underlined."""
    lines = ["% Needs \\usepackage{booktabs,graphicx}. Best in bold, second best underlined.", ""]
    for section in sections:
        for block in section.blocks:
            lines += latex_table(
                block.table,
                caption=f"{block.title}: {section.heading}.",
                label=f"tab:{block.kind}-{section.slug.replace('_', '-')}",
                notes=block.notes,
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
        *(
            r"  \addlinespace " * (index in table.breaks)
            + "  "
            + " & ".join(dress(cell) for cell in row)
            + r" \\"
            for index, row in enumerate(table.rows)
        ),
        r"  \bottomrule",
        r"\end{tabular}",
    ]
