"""``results/runs/<key>/``: the one truth about a run, written atomically and read back.

Everything else (MLflow, tables, figures) is derived from these files and can be made again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import BenchmarkError

if TYPE_CHECKING:
    import pandas as pd

AXES = ("architecture", "dataset", "source", "fold", "seed")
STATUSES = ("ok", "oom", "diverged", "error", "killed")


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write plain types as indented JSON, atomically; NaN is written as null."""
    text = json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(path, text + "\n")


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """Write rows as CSV with the given columns, atomically."""
    import pandas as pd

    write_atomic(path, pd.DataFrame(list(rows), columns=list(columns)).to_csv(index=False))


def read_record(run: Path) -> dict[str, Any] | None:
    """Return the record of a run folder, or None where there is none.

    Raises:
        BenchmarkError: The record is not one this version can read.
    """
    path = run / "record.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BenchmarkError(
            f"{path}: expected a record in JSON, found it damaged ({error}). "
            "Delete the folder to run it again."
        ) from None
    if not isinstance(record, dict) or record.get("status") not in STATUSES:
        raise BenchmarkError(
            f"{path}: expected a record with a status among {', '.join(STATUSES)}. "
            "Delete the folder to run it again."
        )
    record["path"] = run
    return record


def read_records(results: Path, keys: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Return the records of the given keys (all by default), in the order of the keys."""
    runs = results / "runs"
    if keys is None:
        keys = sorted(folder.name for folder in runs.glob("*") if folder.is_dir())
    found = (read_record(runs / key) for key in keys)
    return [record for record in found if record is not None]


def cases_frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per run, case and class of all finished runs."""
    return _concatenate(records, "cases.csv")


def epochs_frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per run and epoch, with the axes of the run."""
    return _concatenate(records, "epochs.csv")


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


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    return value
