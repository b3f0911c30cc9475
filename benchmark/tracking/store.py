"""The MLflow store: what we ask of it, and how.

Whatever is written twice with the same content is there once: parameters and tags by their name,
metrics by name, step and time, inputs by name and digest, files by name. So a run that was left
half written can be written again from its beginning.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from benchmark.execution.locks import locked
from benchmark.tracking.address import artifacts, is_file, own_store, tracking_uri
from benchmark.tracking.sqlite import relocate
from benchmark.tracking.values import EPOCH_MARK, Metrics

# The most in one request: a server refuses more than 1000 values in all, or 100 parameters.
METRICS, PARAMS = 800, 100
PAGE = 500

# From its list of experiments, MLflow's UI then opens pages of trained networks, not of language
# models.
KIND = "custom_model_development"
NOTE = (
    "Written from the records in results/runs, which are the truth; `python -m benchmark track` "
    "completes it. Compare runs with the same tag `bench.protocol` only."
)


class Store:
    """A connection to the store of a results folder.

    Args:
        results: Results folder.
    """

    def __init__(self, results: Path) -> None:
        self._results = results
        self.uri = tracking_uri(results)
        with self._alone():
            if own := own_store(results):
                relocate(own)
            self.client = MlflowClient(tracking_uri=self.uri)
            self.client.search_experiments(max_results=1)  # makes the tables, or finds no server

    def experiment(self, name: str) -> str:
        """Return the identity of our experiment of that name; it is made if absent."""
        name = f"cardiac-seg/{name}"
        with self._alone():
            found = self.client.get_experiment_by_name(name)
            if found is None:
                place = artifacts(self._results).as_uri() if is_file(self.uri) else None
                tags = {"mlflow.note.content": NOTE, "mlflow.experimentKind": KIND}
                try:
                    return str(self.client.create_experiment(name, place, tags))
                except MlflowException:
                    # Another host may have made it since we looked.
                    found = self.client.get_experiment_by_name(name)
                    if found is None:
                        raise
            return str(found.experiment_id)

    def runs(self, experiments: Sequence[str], condition: str = "") -> list[Run]:
        """Return the runs that meet a condition, deleted ones too, oldest first."""
        found: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs(
                list(experiments), condition, ViewType.ALL, PAGE,
                order_by=["attributes.start_time ASC"], page_token=token,
            )  # fmt: skip
            found += page
            token = page.token
            if not token:
                return found

    def create(self, experiment: str, name: str, tags: Mapping[str, str], begin_ms: int) -> str:
        """Open a run and return its identity."""
        run = self.client.create_run(experiment, begin_ms, dict(tags), name)
        return str(run.info.run_id)

    def log(
        self,
        run: str,
        metrics: Metrics | None = None,
        *,
        step: int = 0,
        stamp_ms: int = 0,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write in few requests; metrics that are absent or not finite are left out."""
        values = [
            Metric(name, float(value), stamp_ms, step)
            for name, value in (metrics or {}).items()
            if value is not None and math.isfinite(value)  # stores turn infinity into 1.8e308
        ]
        named = [Param(name, value) for name, value in (params or {}).items()]
        marks = [RunTag(name, value) for name, value in (tags or {}).items()]
        pieces = itertools.zip_longest(_pieces(values, METRICS), _pieces(named, PARAMS))
        for some, others in pieces:
            self.client.log_batch(run, some or (), others or (), marks)
            marks = []
        if marks:
            self.client.log_batch(run, (), (), marks)

    def epochs(self, run: str) -> set[int]:
        """Return the epochs whose metrics a run has."""
        return {point.step for point in self.client.get_metric_history(run, EPOCH_MARK)}

    def log_inputs(self, run: str, inputs: Sequence[Mapping[str, str]]) -> None:
        """Name the data that a run has read."""
        self.client.log_inputs(
            run,
            [
                DatasetInput(
                    Dataset(each["name"], each["digest"], "local", each["source"],
                            profile=each["profile"]),
                    [InputTag("mlflow.data.context", each["context"])],
                )
                for each in inputs
            ],
        )  # fmt: skip

    def log_file(self, run: str, path: Path, folder: str | None = None) -> None:
        """Copy a file to the artifacts of a run."""
        self.client.log_artifact(run, str(path), folder)

    def log_text(self, run: str, text: str, name: str) -> None:
        """Write a text to the artifacts of a run."""
        self.client.log_text(run, text, name)

    def close(self, run: str, outcome: str, end_ms: int) -> None:
        """End a run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
        self.client.set_terminated(run, outcome, end_ms)

    def models(self, experiment: str, run: str) -> list[str]:
        """Return the identities of the models that a run has logged and that are whole."""
        found = self.client.search_logged_models([experiment], f"source_run_id = '{run}'")
        return [str(m.model_id) for m in found if m.status == LoggedModelStatus.READY]

    def delete(self, run: str) -> None:
        """Delete a run; MLflow can restore it."""
        self.client.delete_run(run)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from making the same SQLite tables at once, which breaks the store."""
        here = locked(self._results / ".locks" / "mlflow") if is_file(self.uri) else nullcontext()
        with here:
            yield


def _pieces(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[begin : begin + size] for begin in range(0, len(items), size))
