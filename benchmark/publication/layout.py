"""What lies in ``results/published/NAME``.

The folder is laid out as a results folder is (``runs``, ``external``, ``report``), so that the
report can be made from it again; pictures of the data and weights are not in it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmark.errors import BenchmarkError
from benchmark.records import SUMS, digest_of

PUBLISHED = "published"
FACTS = "publication.json"

# What a run gives to a publication: no masks, no pictures, no weights, no log.
RUN_FILES = ("record.json", SUMS, "cases.csv", "clinical.csv", "epochs.csv")


def check_name(name: str) -> None:
    """Refuse a name that is no folder name everywhere.

    Raises:
        BenchmarkError: It is not.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise BenchmarkError(
            f"expected a name of letters, digits, '-', '_' and '.', up to 64; received {name!r}."
        )


def locate(name: str, results: Path) -> Path:
    """Return the folder of a publication, given by its path or by its name.

    Raises:
        BenchmarkError: There is none.
    """
    for folder in (Path(name), results / PUBLISHED / name):
        if (folder / FACTS).is_file():
            return folder
    raise BenchmarkError(
        f"{name}: expected a publication (a folder with {FACTS}), or the name of one in "
        f"{results / PUBLISHED}."
    )


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what a publication says of itself.

    Raises:
        BenchmarkError: Its file cannot be read.
    """
    path = folder / FACTS
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{path}: expected readable JSON: {error}.") from None
    if not isinstance(facts, dict) or not isinstance(facts.get("runs"), dict):
        raise BenchmarkError(f"{path}: expected an object that lists its runs.")
    return facts


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a publication by its relative path, sorted."""
    files = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder) != Path(SUMS)
    )
    return {file.as_posix(): digest_of(folder / file) for file in files}
