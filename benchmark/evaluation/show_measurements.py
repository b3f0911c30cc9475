"""Measurements as a person, and as another program, reads them."""

from __future__ import annotations

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
    frame = pd.DataFrame(measured.rows)
    heading = f"{plural(measured.patients, 'patient')}{origin(measured.source, measured.release)}"
    if measured.patients <= _PATIENTS:
        out.print(_each(frame, heading))
    else:
        out.print(_means(frame, heading))
    if measured.unplaced:
        names = ", ".join(measured.unplaced[:_NAMED])
        more = f" and {len(measured.unplaced) - _NAMED} more" * (len(measured.unplaced) > _NAMED)
        example = "patient0001_2CH_ED" if info.dims == 2 else "patient001_ED"
        out.print(
            f"Measured one by one, because their names do not tell the instant as {example} does "
            f"(or use --ed and --es): {names}{more}.",
            style="yellow", markup=False, soft_wrap=True,
        )  # fmt: skip


def _each(frame: pd.DataFrame, heading: str) -> Table:
    table = _table(heading)
    several = frame["patient"].nunique() > 1
    cases = frame["case"].where(frame["case"] != frame["patient"], "")
    for name, justify in (
        *([("Patient", "left")] if several else []), *([("Mask", "left")] if cases.any() else []),
        ("Quantity", "left"), ("Value", "right"), ("Unit", "left"), ("How", "left"),
        ("Not measurable because", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    last = frame["patient"].iloc[0]
    for row, case in zip(frame.itertuples(), cases, strict=True):
        if row.patient != last:
            table.add_section()
            last = row.patient
        table.add_row(
            *([str(row.patient)] if several else []), *([case] if cases.any() else []),
            QUANTITIES[row.name].title, tell(row.name, row.value), str(row.unit),
            METHODS[row.method], str(row.reason),
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
    for (method, name), rows in frame.groupby(["method", "name"], sort=False):
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
