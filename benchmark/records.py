"""``results/runs/<key>/``: the one truth about a run, written atomically and read back.

Everything else (MLflow, tables, figures) is derived from these files and can be made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from benchmark.errors import BenchmarkError

if TYPE_CHECKING:
    import pandas as pd

AXES = ("architecture", "dataset", "source", "fold", "seed")
STATUSES = ("ok", "oom", "diverged", "timeout", "error", "killed", "skipped", "pruned")

# What every record has, however its run ended.
ESSENTIAL = ("key", "spec")

# Libraries whose versions may change a score.
DECISIVE = ("tensorflow", "keras", "jax", "torch", "numpy")

# In a run's folder, as `sha256sum` writes and checks it.
SUMS = "SHA256SUMS"

# In a run's folder: the network's variables after its best epoch.
WEIGHTS = "best.weights.h5"


class Damaged(BenchmarkError):
    """A record is not what was written; its run has to be done again."""


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    with open_atomic(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def open_atomic(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its name when all of it is on the disk.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not named after the process: two hosts that share the folder may have the same number.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        # A full disk names no file by itself.
        error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write plain types as indented JSON, atomically; NaN is written as null."""
    write_atomic(path, to_json(content))


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """Write rows as CSV with the given columns, atomically."""
    import pandas as pd

    write_atomic(path, pd.DataFrame(list(rows), columns=list(columns)).to_csv(index=False))


def write_record(run: Path, record: Mapping[str, Any]) -> None:
    """Close a run: write its record, and the digests by which it and its tables are known again.

    The record comes last: a folder without it is no finished run.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    text = to_json({name: value for name, value in record.items() if name != "path"})
    sums = {path.name: _sha256(path.read_bytes()) for path in sorted(run.glob("*.csv"))}
    sums["record.json"] = _sha256(text.encode())
    write_atomic(run / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    write_atomic(run / "record.json", text)


def read_record(run: Path) -> dict[str, Any] | None:
    """Return the record of a run folder, or None where there is none.

    Raises:
        Damaged: The record or a table beside it is not what was written.
    """
    path = run / "record.json"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Damaged(f"{path}: expected a readable record: {error.strerror}.") from None
    _check_sums(run, content)
    try:
        record = json.loads(content)
    except ValueError as error:
        raise Damaged(
            f"{path}: expected a record in JSON, found it damaged ({error}). "
            "Delete the folder to run it again."
        ) from None
    if not isinstance(record, dict) or record.get("status") not in STATUSES:
        raise Damaged(
            f"{path}: expected a record with a status among {', '.join(STATUSES)}. "
            "Delete the folder to run it again."
        )
    lacking = [name for name in ESSENTIAL if not record.get(name)]
    if record["status"] == "ok" and not record.get("external") and not _has_dice(record):
        lacking.append(f"summary.{_main_score(record)}")
    if lacking:
        raise Damaged(
            f"{path}: expected a whole record, {', '.join(lacking)} is not there. "
            "Delete the folder to run it again."
        )
    record["path"] = run
    return record


def read_records(
    results: Path,
    keys: Iterable[str] | None = None,
    on_damage: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Return the records of the given keys (all by default), in the order of the keys.

    Args:
        results: Results folder.
        keys: Keys of runs; those without a record are left out.
        on_damage: Told of a damaged record, which is then left out.

    Raises:
        Damaged: A record is damaged and there is nobody to tell.
    """
    runs = results / "runs"
    if keys is None:
        keys = sorted(folder.name for folder in runs.glob("*") if folder.is_dir())
    records = []
    for key in keys:
        try:
            record = read_record(runs / key)
        except Damaged as error:
            if on_damage is None:
                raise
            on_damage(str(error))
            continue
        if record is not None:
            records.append(record)
    return records


def external_folder(results: Path, name: str, dataset: str) -> Path:
    """Return the folder of an external entry: masks that another tool predicted, scored by ours."""
    return results / "external" / f"{name}-{dataset}"


def read_external(
    results: Path, on_damage: Callable[[str], None] | None = None
) -> list[dict[str, Any]]:
    """Return the records of all external entries, in the order of their names.

    Args:
        results: Results folder.
        on_damage: Told of a damaged entry, which is then left out.

    Raises:
        Damaged: An entry is damaged and there is nobody to tell.
    """
    records = []
    for folder in sorted(path for path in (results / "external").glob("*") if path.is_dir()):
        try:
            record = read_record(folder)
        except Damaged:
            text = (
                f"{folder}: expected the external entry that `evaluate` wrote, found it damaged; "
                "it is left out. Evaluate it again, or delete the folder."
            )
            if on_damage is None:
                raise Damaged(text) from None
            on_damage(text)
            continue
        if record is not None:
            records.append(record)
    return records


def is_trial(record: Mapping[str, Any]) -> bool:
    """Whether a record is of a trial of a search: it has a validation Dice and no test scores."""
    return bool(record["spec"].get("evaluate") == "validation")


def read_followers(
    runs: Iterable[Mapping[str, Any]], on_damage: Callable[[str], None] | None = None
) -> list[dict[str, Any]]:
    """Return the records of what followed some runs: tests elsewhere and on corrupted images.

    One that followed an earlier training of its run is left out.

    Args:
        runs: Records of runs.
        on_damage: Told of a damaged record, which is then left out.

    Raises:
        Damaged: A record is damaged and there is nobody to tell.
    """
    records = []
    for run in runs:
        if run["status"] != "ok" or run.get("external"):
            continue
        for folder in (*sorted(run["path"].glob("on/*")), run["path"] / "robustness"):
            try:
                record = read_record(folder)
            except Damaged as error:
                if on_damage is None:
                    raise
                on_damage(f"{error} The next run of the same command makes it again.")
                continue
            if record is not None and record["of"]["finished_utc"] == run.get("finished_utc"):
                records.append(record)
    return records


def stands_beside(external: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
    """Whether an external entry was scored on the files of a run, by its definitions and rules."""
    one, other = external["spec"], run["spec"]
    axes = ("dataset", "source", "fingerprint", "rules")
    same = all(one.get(name) == other.get(name) for name in axes)
    return same and one["protocol"].items() <= other.get("protocol", {}).items()


def cases_frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per run, case and class of all finished runs."""
    return _concatenate(records, "cases.csv")


def clinical_frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per run, patient, endpoint and method of the finished runs that have them."""
    return _concatenate(records, "clinical.csv")


def epochs_frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per run and epoch, with the axes of the run."""
    return _concatenate(records, "epochs.csv")


def mixed_versions(records: Iterable[Mapping[str, Any]]) -> str | None:
    """Return one sentence that names what differs between the machines of finished runs.

    Compared are the versions of the frameworks and of NumPy, and the device; where all are alike,
    or fewer than two runs are ok, there is nothing to say.
    """
    seen: dict[str, Counter[str]] = {name: Counter() for name in (*DECISIVE, "device")}
    for record in records:
        if record["status"] != "ok":
            continue
        environment = record.get("environment") or {}
        facts = dict(environment.get("versions") or {})
        facts["device"] = (environment.get("device") or {}).get("name")
        for name, counts in seen.items():
            if facts.get(name):
                counts[str(facts[name])] += 1
    mixes = [
        f"{name} {' and '.join(f'{value} ({counts[value]})' for value in sorted(counts))}"
        for name, counts in seen.items()
        if len(counts) > 1
    ]
    if not mixes:
        return None
    return f"These runs were not made alike: {'; '.join(mixes)} (number of runs in brackets)."


def _concatenate(records: Iterable[Mapping[str, Any]], name: str) -> pd.DataFrame:
    import pandas as pd

    frames = []
    for record in records:
        path = record["path"] / name
        if record["status"] != "ok" or not path.exists():
            continue
        frame = pd.read_csv(path, dtype={"patient": str, "case": str}, keep_default_na=True)
        for position, axis in enumerate(("run", *AXES)):
            value = record["key"] if axis == "run" else record["spec"][axis]
            if axis not in frame:
                frame.insert(position, axis, value)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _has_dice(record: Mapping[str, Any]) -> bool:
    summary = record.get("summary")
    score = summary.get(_main_score(record)) if isinstance(summary, Mapping) else None
    return isinstance(score, float | int)


def _main_score(record: Mapping[str, Any]) -> str:
    spec = record.get("spec")
    return "validation_dice" if isinstance(spec, Mapping) and is_trial(record) else "dice"


def _check_sums(run: Path, record: bytes) -> None:
    """Compare record and tables with the digests written beside them, where there are any."""
    try:
        text = (run / SUMS).read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise Damaged(f"{run / SUMS}: expected digests: {error}. Run again.") from None
    lines = (line.partition("  ") for line in text.splitlines() if line)
    sums = {name: digest for digest, _, name in lines}
    if "record.json" not in sums:
        raise Damaged(f"{run / SUMS}: expected the digest of record.json. Run again.")
    for name, expected in sums.items():
        path = run / name
        try:
            found = _sha256(record if name == "record.json" else path.read_bytes())
        except (OSError, ValueError) as error:
            raise Damaged(f"{path}: expected the file named in {SUMS}: {error}.") from None
        if found != expected:
            raise Damaged(
                f"{path}: expected the file that the run wrote, found another content ({SUMS}). "
                "Run again: the run is repeated."
            )


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def to_json(content: Any) -> str:
    """Return plain types as indented JSON with a newline at its end; NaN becomes null."""
    return json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    return value
