"""Derives a publication again from its per-case scores and says every difference."""

from __future__ import annotations

import csv
import io
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmark.errors import BenchmarkError
from benchmark.evaluation.cases import foreground_mean
from benchmark.experiment.spec import RunSpec
from benchmark.publication.layout import checksums, read_facts
from benchmark.publication.publish import make_report
from benchmark.records import SUMS, read_external, read_followers, read_records
from benchmark.report.material import RULES

# Sums in another order (another version of a library, another processor) differ in the last digits.
TOLERANCE = 1e-9

TABLES = (".csv", ".md", ".tex")


def verify(folder: Path) -> list[str]:
    """Return what is not as it was published, one sentence each; nothing where all is.

    Checked are the sums of all files, each record against itself (key, protocol, mean scores), and
    every table: made again from the per-case scores, printed text must be equal and numbers in CSV
    files must agree to 1e-9. Figures are drawn from the same frames and checked by their sums.

    Args:
        folder: A publication.

    Raises:
        BenchmarkError: It does not say what it holds.
    """
    facts = read_facts(folder)
    faults = list(_sums(folder))
    damaged: list[str] = []
    runs = read_records(folder, on_damage=damaged.append)
    records = [
        *runs,
        *read_external(folder, damaged.append),
        *read_followers(runs, damaged.append),
    ]
    found = {record["key"]: record.get("finished_utc") or "" for record in records}
    for key in sorted(set(facts["runs"]) ^ set(found)):
        where = "listed, but not there" if key in facts["runs"] else "there, but not listed"
        faults.append(f"run {key}: {where}")
    for record in records:
        try:
            faults += _record(record)
        except (KeyError, TypeError, ValueError) as error:
            damaged.append(f"run {record['key']}: not a whole record ({error!r})")
    faults += damaged
    if damaged:
        return faults  # tables of what is left would differ everywhere
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for part in ("runs", "external"):
            if (folder / part).is_dir():
                shutil.copytree(folder / part, copy / part)
        made = {
            path.relative_to(copy)
            for path in make_report(copy, formats=())
            if path.suffix in TABLES
        }
        published = {
            path.relative_to(folder)
            for path in (folder / "report").glob("*")
            if path.suffix in TABLES and path.name != RULES
        }
        for table in sorted(made | published):
            if table not in published:
                faults.append(f"{table}: follows from the scores, but was not published")
            elif table not in made:
                faults.append(f"{table}: published, but does not follow from the scores")
            else:
                faults += _table(table, folder / table, copy / table)
    return faults


def _sums(folder: Path) -> Iterator[str]:
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BenchmarkError(f"{folder / SUMS}: expected it readable: {error.strerror}.") from None
    noted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    actual = checksums(folder)
    for name in sorted(noted.keys() | actual.keys()):
        if name not in actual:
            yield f"{name}: published, but not there"
        elif name not in noted:
            yield f"{name}: there, but not published"
        elif noted[name] != actual[name]:
            yield f"{name}: not the file that was published (SHA-256)"


def _record(record: Mapping[str, Any]) -> Iterator[str]:
    """Say where a record contradicts itself."""
    name = record["key"]
    if record.get("external") or "of" in record:  # its key and its hash are of another kind
        return
    if record["status"] == "ok":
        yield from _means(record)
    spec = RunSpec.from_dict(record["spec"])
    if spec.key != name or record["path"].name != name:
        yield f"run {name}: its specification has the key {spec.key}"
    if spec.protocol_hash != record["protocol_hash"]:
        yield f"run {name}: its protocol has the hash {spec.protocol_hash}, not the one stated"


def _means(record: Mapping[str, Any]) -> Iterator[str]:
    """Say where the mean scores of a run are not those of its cases."""
    with (record["path"] / "cases.csv").open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    for metric in ("dice", "iou"):
        for row in rows:
            row[metric] = float(row[metric] or "nan")
        mean, stated = foreground_mean(rows, metric), record["summary"][metric]
        if not math.isclose(mean, stated, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            yield (
                f"run {record['key']}: its cases have the mean {metric} {mean!r}, it states "
                f"{stated!r}"
            )


def _table(name: Path, published: Path, made: Path) -> Iterator[str]:
    one, other = (path.read_text(encoding="utf-8") for path in (published, made))
    if one == other:
        return
    if name.suffix != ".csv":
        pairs = zip(one.splitlines(), other.splitlines(), strict=False)
        line = next((n for n, (a, b) in enumerate(pairs, 1) if a != b), "the end")
        yield f"{name}, line {line}: the scores say something else"
        return
    rows, again = (list(csv.reader(io.StringIO(text))) for text in (one, other))
    if len(rows) != len(again):
        yield f"{name}: {len(rows) - 1} rows published, {len(again) - 1} follow from the scores"
        return
    for line, (left, right) in enumerate(zip(rows, again, strict=True), 1):
        if len(left) != len(right):
            yield f"{name}, line {line}: {len(left)} columns published, {len(right)} expected"
            return
        for column, (a, b) in enumerate(zip(left, right, strict=True)):
            if not _same(a, b):
                heading = rows[0][column]
                yield f"{name}, line {line}, {heading}: published {a!r}, the scores say {b!r}"


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return math.isclose(float(one), float(other), rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    except ValueError:
        return False
