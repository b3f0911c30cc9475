"""From a run of MLflow back to its record."""

from __future__ import annotations

from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from benchmark.errors import BenchmarkError
from benchmark.tracking.address import shown_uri, tracking_uri


def key_of(results: Path, run: str) -> str:
    """Return the key of a run that the results folder's store knows.

    Args:
        results: Results folder.
        run: Identity of the run in MLflow.

    Raises:
        BenchmarkError: The store does not know it or cannot be asked, or it is no run of ours.
    """
    try:
        tags = MlflowClient(tracking_uri=tracking_uri(results)).get_run(run).data.tags
    except MlflowException as error:
        raise BenchmarkError(
            f"{shown_uri(results)}: expected an MLflow run {run}: {error.message}"
        ) from None
    if "bench.key" not in tags:
        raise BenchmarkError(
            f"{shown_uri(results)}: expected run {run} to be one network's (it has no tag "
            "bench.key): the run of a whole invocation holds several."
        )
    return str(tags["bench.key"])
