"""What MLflow costs a whole matrix when its server is away, slow, or dies: 5 s at most."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from benchmark.tracking import live
from benchmark.tracking.sync import catch_up

ROOT = Path(__file__).resolve().parent.parent.parent
SEEDS = 3
COMMAND = """
import sys
from benchmark.cli import main
sys.exit(main(sys.argv[1:]))
"""
WITHOUT = """
import benchmark.tracking.live as live

class Nothing:
    complete = False
    def __init__(self, *arguments): pass
    def run_started(self, *arguments): pass
    def run_finished(self, *arguments): pass
    def event(self, *arguments): pass
    def finish(self, files, *, interrupted): pass

live.Tracker = Nothing
"""


@pytest.fixture
def matrix(tmp_path, experiment_text):
    """Run a matrix of three small networks; returns a function that gives its wall time."""
    for old, new in (
        ("architectures: [unet, attention_unet, vnet, deeplabv3]", "architectures: [unet]"),
        ("datasets: [decathlon, acdc, camus]", "datasets: [camus]"),
        ("seeds: [0]", f"seeds: {list(range(SEEDS))}"),
        ("unet: {options: {filters: 4}}", "unet: {options: {filters: 2, depth: 2}}"),
        ("data_root: data", f"data_root: {tmp_path / 'none'}"),
    ):
        assert old in experiment_text
        experiment_text = experiment_text.replace(old, new)
    file = tmp_path / "heart.yaml"
    file.write_text(experiment_text, encoding="utf-8")
    first = tmp_path / "first"

    def run(results: Path, *arguments: str, uri: str | None) -> float:
        if results != first:
            for part in ("phantoms", "cache"):
                shutil.copytree(first / part, results / part)
        code = (WITHOUT if uri is None else "") + COMMAND
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code, "run", str(file), "--profile", "smoke",
             "--results", str(results), *arguments],
            cwd=ROOT, capture_output=True, text=True, timeout=600,
            env=os.environ | ({} if uri is None else {"MLFLOW_TRACKING_URI": uri}),
        )  # fmt: skip
        seconds = time.monotonic() - begin
        assert done.returncode == 0, done.stdout + done.stderr
        return seconds

    run(first, "--only", "seed=0", uri=None)  # phantoms and prepared cases for all
    return run


def written(client: MlflowClient, results: Path) -> dict[str, list[str]]:
    """Return the states of the MLflow runs of the one invocation of a folder, by key."""
    (invocation,) = (results / "invocations").glob("*.json")
    experiments = [each.experiment_id for each in client.search_experiments()]
    found: dict[str, list[str]] = {}
    for run in client.search_runs(
        experiments, f"tags.`bench.invocation` = '{json.loads(invocation.read_text())['id']}'"
    ):
        assert "bench.complete" in run.data.tags
        found.setdefault(run.data.tags.get("bench.key", "parent"), []).append(run.info.status)
    return found


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_a_matrix_ends_five_seconds_late_at_most_and_is_completed_once(
    matrix, server, front, tmp_path
):
    """Without MLflow at the beginning and at the end: how far these two lie apart is noise."""
    slow, _ = front(delay_s=5.0)
    dying, passed = front(limit=20)
    addresses = {
        "off": None, "slow": slow, "down": "http://127.0.0.1:9", "dying": dying, "off again": None,
    }  # fmt: skip
    took = {}
    for name, uri in addresses.items():
        took[name] = matrix(tmp_path / name, uri=uri)
        print(f"{name}: {took[name]:.1f} s", flush=True)  # noqa: T201  shown with -s
    assert len(passed) > 20
    without = [took.pop("off"), took.pop("off again")]
    noise = max(without) - min(without)
    for name, seconds in took.items():
        assert seconds <= max(without) + live.PATIENCE_S + noise, name

    client = MlflowClient(server)
    for name in took:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", server)
            assert catch_up(tmp_path / name, print).changed, name
            once = written(client, tmp_path / name)
            assert len(once) == 1 + SEEDS, name
            assert set(map(tuple, once.values())) == {("FINISHED",)}, name
            again = catch_up(tmp_path / name, print)
            assert not again.changed
            assert again.complete == SEEDS
            assert written(client, tmp_path / name) == once
