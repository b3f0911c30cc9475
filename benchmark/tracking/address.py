"""Where the MLflow store is, and how long it may be waited for."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

# What MLflow's client is told where the user has not told it otherwise: by default it tries a
# silent server for a quarter of an hour. Nothing is sent anywhere else, and nothing is printed over
# the progress display.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


def tracking_uri(results: Path) -> str:
    """Return the user's ``MLFLOW_TRACKING_URI``, or the SQLite file in the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results.resolve()}/mlflow.db"


def is_file(uri: str) -> bool:
    """Tell whether the store is a file here, which has no server that could make writers wait."""
    return uri.startswith("sqlite:")


def own_store(results: Path) -> Path | None:
    """Return the SQLite file in the results folder, or None where another store is in use."""
    own = results.resolve() / "mlflow.db"
    return own if tracking_uri(results) == f"sqlite:///{own}" else None


def artifacts(results: Path) -> Path:
    """Return the folder with the artifacts of a store that is a file."""
    return results.resolve() / "mlartifacts"


def shown_uri(results: Path) -> str:
    """Return the address of the store without user and password."""
    return _without_password(tracking_uri(results), tracking_uri(results))


def fault(results: Path, error: Exception | str) -> str:
    """Return the beginning of a sentence that names the store and what is wrong with it."""
    reason = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else error
    uri = tracking_uri(results)
    first = _without_password(reason.splitlines()[0], uri)
    # MLflow's sentences quote those of the libraries below it, which quote others.
    return f"MLflow at {shown_uri(results)} does not work ({textwrap.shorten(first, 160)})"


def _without_password(text: str, uri: str) -> str:
    user, at, _ = urlsplit(uri).netloc.rpartition("@")
    return text.replace(user + at, "") if at else text


def ui_command(results: Path, arguments: Iterable[str]) -> list[str]:
    """Return the command that opens the MLflow UI on the results."""
    return [
        sys.executable, "-m", "mlflow", "ui",
        "--backend-store-uri", tracking_uri(results), *arguments,
    ]  # fmt: skip
