"""Measurements as a person, and as another program, reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from benchmark.evaluation.patients import Measurements
from benchmark.evaluation.quantities import METHODS, QUANTITIES, tell
from benchmark.evaluation.show import origin, plural
from datasets.case import DatasetInfo

# Of more patients than these a table shows means, and the files hold each of them.
_PATIENTS = 6
_NAMED = 5


def to_plain(measured: Measurements, info: DatasetInfo) -> dict[str, Any]:
    """Return plain types for JSON; a value that could not be measured is NaN, written as null."""
    return {
        "dataset": info.name,
        "source": measured.source,
        "release": measured.release,
        "classes": dict(info.classes),
        "masks": [str(path) for path in measured.masks],
        "unplaced": measured.unplaced,
        "measurements": [{**row, "title": QUANTITIES[row["name"]].title} for row in measured.rows],
    }


def show(measured: Measurements, info: DatasetInfo, out: Console) -> None:
    """Print every measurement of a few patients, or the means of many, and what was left out.

    Args:
        measured: From `benchmark.evaluation.patients.measure_files`.
        info: The dataset.
        out: Where to.
    """
    heading = f"{plural(measured.patients, 'patient')}{origin(measured.source, measured.release)}"
    if measured.patients <= _PATIENTS:
        out.print(_each(measured.rows, heading))
    else:
        out.print(_means(pd.DataFrame(measured.rows), heading))
    if measured.unplaced:
        names = ", ".join(measured.unplaced[:_NAMED])
        more = f" and {len(measured.unplaced) - _NAMED} more" * (len(measured.unplaced) > _NAMED)
        example = "patient0001_2CH_ED" if info.dims == 2 else "patient001_ED"
        out.print(
            f"Measured one by one, because their names do not tell the instant as {example} does "
            f"(or use --ed and --es): {names}{more}.",
            style="yellow", markup=False, soft_wrap=True,
        )  # fmt: skip


def _each(rows: Sequence[Mapping[str, Any]], heading: str) -> Table:
    table = _table(heading)
    patients = [row["patient"] for row in rows]
    cases = ["" if row["case"] == row["patient"] else row["case"] for row in rows]
    several, named = len(set(patients)) > 1, any(cases)
    for name in (*["Patient"] * several, *["Mask"] * named, "Quantity"):
        table.add_column(name, overflow="fold")
    table.add_column("Value", justify="right")
    for name in ("Unit", "How", "Not measurable because"):
        table.add_column(name, overflow="fold")
    for number, (row, case) in enumerate(zip(rows, cases, strict=True)):
        if number and patients[number] != patients[number - 1]:
            table.add_section()
        table.add_row(
            *[row["patient"]] * several, *[case] * named,
            QUANTITIES[row["name"]].title, tell(row["name"], row["value"]), row["unit"],
            METHODS[row["method"]], row["reason"],
        )  # fmt: skip
    return table


def _means(frame: pd.DataFrame, heading: str) -> Table:
    table = _table(
        f"{heading}: mean, standard deviation and range",
        "n: measured patients. -o FILE.csv or --json FILE writes every one, with reasons.",
    )
    for name in ("Quantity", "How"):
        table.add_column(name, no_wrap=True)
    for name in ("Mean", "SD", "Least", "Most", "Unit", "n", "Not measurable"):
        table.add_column(name, justify="right")
    for key, rows in frame.groupby(["method", "name"], sort=False):
        method, name = map(str, key)
        values = rows["value"].dropna()
        numbers = (values.mean(), values.std(), values.min(), values.max())
        table.add_row(
            QUANTITIES[name].title, METHODS[method], *(tell(name, value) for value in numbers),
            QUANTITIES[name].unit, str(len(values)), str(len(rows) - len(values)),
        )  # fmt: skip
    return table


def _table(title: str, caption: str | None = None) -> Table:
    return Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=title, caption=caption,
        title_justify="left", caption_justify="left",
    )  # fmt: skip
