"""External entries: masks that another tool predicted, kept so that reports show them too.

An entry is no run: nothing is known of how, and on whom, its model was trained. It says which files
it was scored on and by which definitions; a report lets it stand beside the runs that share both.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import architectures
import datasets
from benchmark.errors import BenchmarkError
from benchmark.evaluation.endpoints import ENDPOINT_COLUMNS
from benchmark.evaluation.folders import COLUMNS, FolderScores
from benchmark.evaluation.matching import find_tree
from benchmark.evaluation.surface import Definition
from benchmark.experiment.sources import fingerprint
from benchmark.experiment.spec import RULES_VERSION
from benchmark.records import external_folder, write_record, write_table
from datasets.case import DatasetInfo

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,39}")


def check_name(name: str) -> None:
    """Refuse a name that cannot be a folder, or that is one of our own architectures.

    Raises:
        BenchmarkError: It is one of these.
    """
    if not _NAME.fullmatch(name):
        raise BenchmarkError(
            f"--name {name!r}: expected up to 40 letters, digits, '-', '_', '.' or '+', such as "
            "nnU-Net-2d."
        )
    taken = {re.sub(r"\W|_", "", own) for own in architectures.NAMES}
    if re.sub(r"\W|_", "", name).lower() in taken:
        raise BenchmarkError(
            f"--name {name}: one of our own architectures has this name, and a table could not "
            "tell the two apart. Choose another, such as the name of the tool."
        )


def locate(info: DatasetInfo, truth: Path) -> datasets.Found:
    """Return the dataset's tree at `truth`, which says which patient each case is of.

    Raises:
        BenchmarkError: There is another thing.
    """
    found = find_tree(truth, info)
    if found is None:
        raise BenchmarkError(
            f"{truth}: expected the tree of {info.title}, because the leaderboard averages over "
            "patients and compares only scores on the same files. Give it as TRUTH, or leave "
            "--name out."
        )
    return found


def write_entry(
    results: Path,
    name: str,
    info: DatasetInfo,
    found: datasets.Found,
    scores: FolderScores,
    *,
    definition: Definition,
    tolerance_mm: float,
) -> dict[str, Any]:
    """Write ``results/external/<name>-<dataset>/`` anew and return its record.

    Args:
        results: Results folder; made if absent.
        name: What the entry is called, as `check_name` allows.
        info: The dataset.
        found: Its tree, from `locate`.
        scores: From `benchmark.evaluation.folders.score_folders`.
        definition: The definition of surface distances that was used.
        tolerance_mm: The tolerance of NSD that was used.
    """
    cases = datasets.read_cases(info.name, found.root)
    folder = external_folder(results, name, info.name)
    record: dict[str, Any] = {
        "key": f"external-{folder.name}",
        "name": f"{name}·{info.name}",
        "status": "ok",
        "external": True,
        "error": None,
        "spec": {
            "architecture": name,
            "options": {},
            "dataset": info.name,
            "source": found.source,
            "fingerprint": fingerprint(info.name, found.root, cases),
            # One entry, whatever it was made of.
            "fold": 0,
            "seed": 0,
            "rules": RULES_VERSION,
            "protocol": {"surface_definition": definition, "nsd_tolerance_mm": tolerance_mm},
        },
        "release": found.release,
        "classes": dict(info.classes),
        "unannotated_classes": scores.unannotated,
        "missing_predictions": scores.missing,
        "finished_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    # The record comes last: a folder without one is no entry.
    (folder / "record.json").unlink(missing_ok=True)
    write_table(folder / "cases.csv", scores.rows, COLUMNS)
    write_table(folder / "clinical.csv", scores.clinical, ENDPOINT_COLUMNS)
    write_record(folder, record)
    return record
