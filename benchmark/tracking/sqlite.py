"""The store as a file in the results folder, read and mended without MLflow.

MLflow writes the absolute place of every artifact into its store, so that a moved or copied folder
shows runs without files. Our artifacts lie beside the store, in ``mlartifacts``: before a store is
opened, the places in it are made to say so.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from benchmark.tracking.address import artifacts

# Every column of the store that holds the place of an artifact.
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def pages(store: Path, host: str, port: int) -> list[str]:
    """Return the addresses of the UI's pages that list the runs of each experiment, best first.

    Sorted by creation, as by default, the UI hides the runs under those of their invocations.
    """
    with closing(sqlite3.connect(store)) as connection:
        found = connection.execute(
            "SELECT experiment_id FROM experiments WHERE name LIKE 'cardiac-seg/%'"
        ).fetchall()
    query = urlencode(
        {
            "workflowType": "machine_learning",  # else the UI shows its face for language models
            "orderByKey": "metrics.`test/dice`",
            "orderByAsc": "false",
        }
    )
    return [f"http://{host}:{port}/#/experiments/{number}/runs?{query}" for (number,) in found]


def run_pages(store: Path, host: str = "127.0.0.1", port: int = 5000) -> dict[str, str]:
    """Return the address of each run's page in the UI, as `ui` serves it, by the run's key.

    Of several runs of one key the last counts. A folder without a store has none.

    Raises:
        sqlite3.Error: The file is no such store.
    """
    if not store.exists():
        return {}
    with closing(sqlite3.connect(store, timeout=5.0)) as connection:
        found = connection.execute(
            "SELECT tags.value, runs.experiment_id, runs.run_uuid FROM runs JOIN tags "
            "ON tags.run_uuid = runs.run_uuid AND tags.key = 'bench.key' "
            "WHERE runs.lifecycle_stage = 'active' ORDER BY runs.start_time"
        ).fetchall()
    return {
        key: f"http://{host}:{port}/#/experiments/{experiment}/runs/{run}"
        for key, experiment, run in found
    }


def relocate(store: Path) -> str | None:
    """Make the places in a store those of the folder in which it lies.

    Args:
        store: The SQLite file ``mlflow.db``.

    Returns:
        The former place of the artifacts, or None where nothing had to be changed.

    Raises:
        sqlite3.Error: The file is no such store, or another process writes to it.
    """
    if not store.exists():
        return None
    place = artifacts(store.parent).as_uri()
    with closing(sqlite3.connect(store, timeout=5.0)) as connection:
        # A store whose tables are still being made has nothing to mend.
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if "experiments" not in tables:
            return None
        former = connection.execute(
            "SELECT DISTINCT artifact_location FROM experiments "
            "WHERE artifact_location LIKE 'file:%/mlartifacts' AND artifact_location <> ?",
            (place,),
        ).fetchall()
        with connection:
            for (old,) in former:
                for table, column in PLACES:
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (place, len(old) + 1, old, len(old) + 1, f"{old}/"),
                    )
        return former[0][0] if former else None
