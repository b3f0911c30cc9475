"""Puts the comparison of the last report where it can be checked: records, tables, figures."""

from __future__ import annotations

import datetime
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
from benchmark import __version__
from benchmark.environment import available_processors, describe
from benchmark.errors import BenchmarkError
from benchmark.publication.layout import FACTS, PUBLISHED, RUN_FILES, check_name, checksums
from benchmark.records import (
    SUMS,
    cases_frame,
    clinical_frame,
    epochs_frame,
    external_folder,
    read_external,
    read_followers,
    read_records,
    write_atomic,
    write_json,
)
from benchmark.report import write_report
from benchmark.report.figures.crew import Crew, usual_crew
from benchmark.report.layout import FORMATS
from benchmark.report.material import gather
from benchmark.reporting import MADE_FROM, made_from

Records = list[dict[str, Any]]


def publish(
    results: Path,
    name: str,
    *,
    into: Path | None = None,
    replace: bool = False,
    note: str = "",
    formats: Sequence[str] = FORMATS,
) -> Path:
    """Publish what ``results/report`` was made from; return the folder.

    The report is made again from the copied records alone, so that it shows nothing that they do
    not hold. The folder appears when it is whole.

    Args:
        results: Results folder, or another publication to be written anew.
        name: Name of the publication.
        into: Where publications lie; by default ``results/published``.
        replace: Whether a publication of that name may be overwritten.
        note: What readers have to know besides, such as what else the machine did.
        formats: Of figures.

    Raises:
        BenchmarkError: There is no report, it is older than its records, none of its runs is ok,
            or the name is taken.
    """
    check_name(name)
    home = into or results / PUBLISHED
    target = home / name
    if target.exists() and not replace:
        raise BenchmarkError(f"{target}: expected a new name, it is taken. Use --replace for that.")
    records, followers = _reported(results)
    home.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=home))
    try:
        _fill(work, name, records, followers, formats, note)
        work.chmod(0o755)
        if target.exists():
            old = work.with_name(f"{work.name}.old")
            target.replace(old)
            try:
                work.replace(target)
            except OSError:
                old.replace(target)
                raise
            shutil.rmtree(old)
        else:
            work.replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def make_report(folder: Path, *, formats: Sequence[str]) -> list[Path]:
    """Make the report of a publication from its own records; return its files.

    Args:
        folder: Holds ``runs`` and ``external``; ``report`` is written into it.
        formats: Of figures; without any, tables alone.

    Raises:
        BenchmarkError: A record is damaged.
    """
    records = [*read_records(folder), *read_external(folder)]
    with usual_crew(available_processors()) if formats else Crew() as crew:
        material = gather(
            folder, records, cases_frame(records), epochs_frame(records), clinical_frame(records)
        )
        return write_report(material, formats=formats, crew=crew)


def _reported(results: Path) -> tuple[Records, Records]:
    """Return the records that the report was made from, as they were then: runs, followers."""
    path = results / "report" / MADE_FROM
    try:
        noted: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise BenchmarkError(
            f"{path}: expected a finished report. Run `python -m benchmark report` first."
        ) from None
    runs = read_records(results)
    every = (*runs, *read_external(results), *read_followers(runs))
    known = {record["key"]: record for record in every}
    for key, finished in noted.items():
        record = known.get(key)
        if record is None or (record.get("finished_utc") or "") != finished:
            raise BenchmarkError(
                f"{path}: expected the records it was made from, {key} is gone or newer. Run "
                "`python -m benchmark report` again."
            )
    records = [known[key] for key in noted if "of" not in known[key]]
    if not any(record["status"] == "ok" for record in records):
        raise BenchmarkError(f"{path}: expected at least one run that is ok, found none.")
    return records, [known[key] for key in noted if "of" in known[key]]


def _fill(
    folder: Path,
    name: str,
    records: Records,
    followers: Records,
    formats: Sequence[str],
    note: str,
) -> None:
    for record in records:
        spec = record["spec"]
        _copy(
            record["path"],
            external_folder(folder, spec["architecture"], spec["dataset"])
            if record.get("external")
            else folder / "runs" / record["key"],
        )
    for record in followers:  # in the folder of the run that each follows
        run = record["of"]["key"]
        parts = record["path"].parts
        _copy(record["path"], folder.joinpath("runs", run, *parts[parts.index(run) + 1 :]))
    files = make_report(folder, formats=formats)
    write_json(folder / "report" / MADE_FROM, made_from(records))
    facts = _facts(name, records, [file.relative_to(folder).as_posix() for file in files])
    facts["note"] = note
    write_json(folder / FACTS, facts)
    write_atomic(folder / "README.md", _readme(facts, records))
    sums = checksums(folder)
    write_atomic(folder / SUMS, "".join(f"{digest}  {file}\n" for file, digest in sums.items()))


def _copy(source: Path, goal: Path) -> None:
    goal.mkdir(parents=True)
    for file in RUN_FILES:
        if (source / file).is_file():
            shutil.copyfile(source / file, goal / file)


def _facts(name: str, records: Records, files: Sequence[str]) -> dict[str, Any]:
    protocols: dict[str, dict[str, Any]] = {}
    for record in records:
        if not record.get("external"):
            spec = record["spec"]
            protocols[record["protocol_hash"]] = {
                "dataset": spec["dataset"],
                "source": spec["source"],
                "release": record.get("release", ""),
                "fingerprint": spec["fingerprint"],
                "rules": spec.get("rules"),
                "protocol": spec["protocol"],
            }
    environment = describe()
    return {
        "name": name,
        "published_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "suite": {"version": __version__, "git": environment["git"]},
        "report_made_with": {"python": environment["python"], "versions": environment["versions"]},
        "runs": made_from(records),
        "protocols": protocols,
        "report": sorted(files),
    }


def _readme(facts: Mapping[str, Any], records: Records) -> str:
    name = facts["name"]
    lines = [f"# {name}", ""]
    if any(record["spec"]["source"] == "phantom" for record in records):
        lines += ["> **Some of these scores are of phantoms**: synthetic hearts, not patients; "
                  "they have no clinical meaning.", ""]  # fmt: skip
    ok = sum(record["status"] == "ok" for record in records)
    lines += [
        f"{len(records)} runs, {ok} of them ok. The ranking: [leaderboard](report/leaderboard.md), "
        "or as a page report/index.html; "
        "what it rests on: `runs/*/cases.csv`, one row per case and class.",
        "",
        *([facts["note"], ""] if facts["note"] else []),
        "Every table and rank here follows from these rows. To derive them again and compare:",
        "",
        f"    python -m benchmark verify results/{PUBLISHED}/{name}",
        "",
        "## Data",
        "",
        "Scores and figures only; no image of the data is in this folder.",
        "",
    ]
    for dataset in dict.fromkeys(record["spec"]["dataset"] for record in records):
        mine = [record for record in records if record["spec"]["dataset"] == dataset]
        if any(record["spec"]["source"] == "phantom" for record in mine):
            lines.append(f"- {datasets.info(dataset).title}: phantoms in its layout.")
        real = [record for record in mine if record["spec"]["source"] != "phantom"]
        for release in sorted({str(record.get("release") or "") for record in real}):
            terms = datasets.terms(dataset, release)
            said = (terms.licence, terms.citation, f"<{terms.homepage}>")
            lines.append(f"- {terms.title}: {' '.join(filter(None, said))}")
    return "\n".join([*lines, ""])
