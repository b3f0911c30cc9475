"""Clinical agreement in Markdown, LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.report.cells import PHANTOM, Cell, Column, Table, caption
from benchmark.report.clinical import (
    ENDPOINTS,
    METHODS,
    patient_values,
    primary_method,
    reasons,
    without_endpoints,
)
from benchmark.report.document import latex_table, markdown_table, markdown_text, write_texts
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import by_group
from benchmark.report.numerals import NOTHING, count, number
from benchmark.statistics.agreement import EF_CLASSES, ef_confusion

_R_DIGITS = 3
_DIGITS = 1  # of mL, % and g


def write_clinical(
    folder: Path, frame: pd.DataFrame, groups: Sequence[Group], clinical: pd.DataFrame
) -> list[Path]:
    """Write ``clinical.csv``, ``.md`` and ``.tex`` into ``folder``.

    Args:
        folder: made if absent.
        frame: from :func:`benchmark.report.clinical.agreement_frame`.
        groups: the groups the frame was made from.
        clinical: the rows of all ``clinical.csv``.

    Returns:
        The three paths.
    """
    return write_texts(
        folder,
        {
            "clinical.csv": frame.to_csv(index=False, lineterminator="\n"),
            "clinical.md": markdown(frame, groups, clinical),
            "clinical.tex": latex(frame, groups, clinical),
        },
    )


def markdown(frame: pd.DataFrame, groups: Sequence[Group], clinical: pd.DataFrame) -> str:
    """The tables for people: per group the primary endpoints, classes of EF, the rest, notes."""
    lines = ["# Clinical endpoints", ""]
    for group in groups:
        rows = by_group(frame, group)
        lines += [f"## {caption(group)}", ""]
        for _, title, table in _tables(rows, group, clinical):
            lines += [f"### {title}", "", *markdown_table(table), ""]
        lines += [*(f"- {markdown_text(note)}" for note in notes(rows, group, clinical)), ""]
    return "\n".join(lines)


def latex(frame: pd.DataFrame, groups: Sequence[Group], clinical: pd.DataFrame) -> str:
    """The same tables for a paper, with the notes under the first of a group."""
    lines = ["% Needs \\usepackage{booktabs,graphicx}.", ""]
    for group in groups:
        rows = by_group(frame, group)
        below = notes(rows, group, clinical)
        for kind, title, table in _tables(rows, group, clinical):
            lines += latex_table(
                table,
                caption=f"{title}: {caption(group)}.",
                label=f"tab:{kind}-{group.slug.replace('_', '-')}",
                notes=below,
            )
            below = below[:1] if group.phantom else []
    return "\n".join(lines)


def agreement_table(rows: pd.DataFrame) -> Table:
    """Counts, correlation, bias, limits of agreement and mean absolute error, with units."""
    methods = set(rows["method"]) != {"voxel_count"}
    columns = (
        Column("Endpoint", "left"),
        *((Column("Method", "left"),) if methods else ()),
        Column("Architecture", "left"),
        Column("Patients"),
        Column("Not measurable"),
        Column("Excluded"),
        Column("Pearson r"),
        Column("Bias"),
        Column("Limits of agreement"),
        Column("MAE"),
    )
    body = []
    for _, row in rows.iterrows():
        texts = [
            f"{ENDPOINTS.get(row['endpoint'], row['endpoint'])} ({row['unit']})",
            *([METHODS.get(row["method"], row["method"])] if methods else []),
            row_title(row["architecture"], row["variant"]),
            *(count(row[name]) for name in ("n_valid", "n_failed", "n_excluded")),
            number(row["pearson_r"], _R_DIGITS),
            signed(row["bias"]),
            limits(row),
            number(row["mae"], _DIGITS),
        ]
        body.append(tuple(Cell(text) for text in texts))
    return Table(columns, tuple(body))


def confusion_table(values: pd.DataFrame) -> Table:
    """Patients by class of reference EF (rows) and of predicted EF (columns).

    Args:
        values: from :func:`benchmark.report.clinical.patient_values`, of one endpoint and method.
    """
    columns = (
        Column("Architecture", "left"),
        Column("Class by reference", "left"),
        *(Column(name.capitalize()) for name in EF_CLASSES),
        Column("Not measurable"),
    )
    body = []
    for key, part in values.groupby(["architecture", "variant"], sort=False):
        architecture, variant = map(str, key)
        matrix = ef_confusion(part["truth"].to_numpy(), part["prediction"].to_numpy())
        for name, counts in zip(EF_CLASSES, matrix, strict=True):
            head = (row_title(architecture, variant), name)
            body.append(tuple(Cell(text) for text in (*head, *map(str, counts))))
    return Table(columns, tuple(body))


def notes(rows: pd.DataFrame, group: Group, clinical: pd.DataFrame) -> list[str]:
    """Sentences below the tables of a group: what was compared, and what was left out."""
    texts = []
    if group.phantom:
        texts.append(PHANTOM)
    if rows.empty:
        texts.append("No clinical endpoints were recorded.")
    else:
        texts += [
            "Prediction minus reference, the same method on the reference masks. Limits of "
            "agreement: bias ± 1.96 SD of the differences (with n - 1).",
            "A patient's prediction is averaged over the runs that tested it; all folds stand "
            "together. Not measurable: at least one of these runs gave no value, and the patient "
            "is in no other number of the row. Excluded: the reference gives no value.",
        ]
    if (rows["endpoint"] == "lv_ef").any():
        texts.append(
            "Classes of ejection fraction: normal from 50 %, mildly reduced from 40 %, moderately "
            "reduced from 30 %, severely reduced below."
        )
    if (rows["method"] == "camus_stated").any():
        texts.append(
            "CAMUS' own method takes one disk height for both instants, so its EF tends to lie "
            "below that of Simpson's biplane. The EF that the dataset states comes, by its "
            "authors' account, from this method, and is compared with no other."
        )
    found = reasons(group, clinical)
    if found:
        counted = "; ".join(f"{reason} ({times})" for reason, times in found.items())
        texts.append(f"Reasons for values that are missing, with their number: {counted}.")
    absent = without_endpoints(group, clinical)
    return [*texts, absent] if absent else texts


def signed(value: float) -> str:
    """A difference with its sign, or a dash."""
    # Adding 0 turns the -0.0 of a tiny negative value into 0.0.
    return NOTHING if pd.isna(value) else f"{round(value, _DIGITS) + 0.0:+.{_DIGITS}f}"


def limits(row: pd.Series[Any]) -> str:
    """The limits of agreement: ``-8.0 to +7.6``, or a dash."""
    if pd.isna(row["limit_low"]):
        return NOTHING
    return f"{signed(row['limit_low'])} to {signed(row['limit_high'])}"


def _tables(
    rows: pd.DataFrame, group: Group, clinical: pd.DataFrame
) -> Iterator[tuple[str, str, Table]]:
    """Kind, title and content of every table of a group."""
    primary = rows["primary"].astype(bool)
    if primary.any():
        yield "agreement", "Agreement with the reference", agreement_table(rows[primary])
    values = patient_values(group, clinical)
    main = primary_method(values)
    chosen = values[(values["endpoint"] == "lv_ef") & (values["method"] == main)]
    if main and len(chosen):
        title = f"Classes of LV ejection fraction ({METHODS[main]})"
        yield "ef-classes", title, confusion_table(chosen)
    if (~primary).any():
        yield "further", "Further endpoints", agreement_table(rows[~primary])
