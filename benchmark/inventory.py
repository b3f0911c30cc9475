"""What lies below a data root: which datasets, real or phantom, and how many cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import datasets
from datasets.case import DatasetError

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Entry:
    """A dataset of the catalogue, and what is there of it.

    Attributes:
        name: Its name in the catalogue.
        title: Its name for people.
        root: Folder of the release; None where it is absent.
        source: `"real"`, `"phantom"` or `"absent"`.
        release: Name of other scans in its layout, such as `"LA2018"`; empty for its own.
        patients: Patients with a mask.
        cases: Images with a mask.
        licence: Terms of use of what is there, or of what can be fetched.
        citation: What its owners ask to be cited.
        instructions: How to get the files.
        fault: Why the files cannot be read; None where they can.
    """

    name: str
    title: str
    root: str | None
    source: str
    release: str
    patients: int
    cases: int
    licence: str
    citation: str
    instructions: str
    fault: str | None = None

    @property
    def label(self) -> str:
        """What the files are, in one or two words."""
        return f"{self.source}, {self.release}" if self.release else self.source

    @property
    def sentence(self) -> str:
        """What was found and read."""
        if self.fault:
            return f"{self.name} cannot be read: {self.fault}"
        return f"{self.root}: {self.cases} cases of {self.patients} patients ({self.label})."


def examine(name: str, data_root: Path) -> Entry:
    """Look for a dataset at or below a folder and read its cases; opens no image.

    Raises:
        DatasetError: There is no such dataset.
    """
    info = datasets.info(name)
    found = datasets.find(name, data_root)
    cases: Sequence[datasets.Case] = ()
    fault = None
    if found is not None:
        try:
            cases = datasets.read_cases(name, found.root)
        except DatasetError as error:
            fault = str(error)
    return Entry(
        name=name,
        title=info.title,
        root=str(found.root) if found else None,
        source=found.source if found else "absent",
        release=found.release if found else "",
        patients=len({case.patient for case in cases}),
        cases=len(cases),
        licence=_licence(info, found),
        citation=info.citation,
        instructions=info.instructions,
        fault=fault,
    )


def _licence(info: datasets.DatasetInfo, found: datasets.Found | None) -> str:
    if found is not None and found.source == "phantom":
        return "none: synthetic"
    if found is not None and found.release:
        return "that of its own owners"
    return info.licence


def show(entries: Sequence[Entry], data_root: Path, out: Console) -> None:
    """Print a table, what is wrong with what is there, and how to get what is not."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("dataset", "source", "patients", "cases", "where", "licence"):
        table.add_column(heading, justify="right" if heading in ("patients", "cases") else "left")
    for entry in entries:
        counts = (str(entry.patients), str(entry.cases)) if entry.root else ("–", "–")
        table.add_row(
            entry.name, entry.label, *counts, escape(entry.root or "–"), entry.licence
        )  # fmt: skip
    out.print(table)
    for entry in entries:
        if entry.fault:
            out.print(f"\n{entry.sentence}", markup=False, soft_wrap=True)
        elif not entry.root:
            text = f"\n{entry.name} is not under {data_root}. {entry.instructions}"
            out.print(text, markup=False, soft_wrap=True)
