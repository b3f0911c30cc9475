"""The smoke matrix on a cluster of two nodes, one of which dies."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest

from benchmark.records import read_records

pytestmark = [
    pytest.mark.faults,
    # Ray's own processes, of the cluster in this process, are ended without being waited for.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

ROOT = Path(__file__).resolve().parent.parent.parent
NODE = {"num_cpus": 1, "object_store_memory": 200 * 2**20}


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder with a short name: Ray's sockets lie in it, whose paths have 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def cluster(monkeypatch, scratch):
    """Two nodes with a processor each, on this machine; their disk is not ours."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("TMPDIR", str(scratch))
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        nodes.add_node(**NODE)
        nodes.wait_for_nodes()
        yield nodes
    finally:
        nodes.shutdown()


def unfinished(results: Path) -> list[Path]:
    """The folders of runs that have a checkpoint here and no record."""
    return [
        folder for folder in results.glob("runs/*")
        if list(folder.glob("checkpoint-*.bin")) and not (folder / "record.json").exists()
    ]  # fmt: skip


def stamps(results: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in results.glob("runs/*/*.json")}


@pytest.mark.timeout(1200)
def test_twelve_runs_on_two_nodes_of_which_one_dies(cluster, tmp_path):
    results = tmp_path / "results"
    file = tmp_path / "experiments.yaml"
    text = (ROOT / "experiments.yaml").read_text(encoding="utf-8")
    file.write_text(text.replace("data_root: data", f"data_root: {tmp_path / 'none'}"))
    nodes = cluster.address
    command = [sys.executable, "-m", "benchmark", "run", str(file), "--profile", "smoke",
               "--results", str(results), "--executor", "ray", "--address", nodes]  # fmt: skip
    started = time.monotonic()
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as driver:
        while len(read_records(results)) < 3 or len(unfinished(results)) < 2:
            assert driver.poll() is None, driver.communicate()
            assert time.monotonic() - started < 600
            time.sleep(0.05)
        cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
        out, err = driver.communicate(timeout=900)
    assert driver.returncode == 0, out + err
    assert "Traceback" not in err
    records = read_records(results)
    assert [record["status"] for record in records] == ["ok"] * 12
    attempts = [record["attempts"] for record in records]
    assert sorted(attempts) == [1] * 11 + [2], attempts
    (again,) = (record for record in records if record["attempts"] == 2)
    assert again["resumed"]
    assert out.count("it is taken up again on another machine") == 1
    assert out.count(" ok  Dice ") == 12  # each run ended once
    board = pd.read_csv(results / "report" / "leaderboard.csv")
    assert len(board) == 12
    for record in records:
        assert record["environment"]["git"] or not (ROOT / ".git").exists()
        assert not list(record["path"].glob("checkpoint-*"))
        assert (record["path"] / "log.txt").exists()
    before = stamps(results)
    rest = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert rest.returncode == 0, rest.stdout + rest.stderr
    assert "Nothing to run" in rest.stdout
    assert stamps(results) == before
    assert not [
        process.pid for process in psutil.process_iter(["environ", "cmdline"])
        if "benchmark.execution.worker" in (process.info["cmdline"] or ())
        and (process.info["environ"] or {}).get("TMPDIR") == os.environ["TMPDIR"]
    ]  # fmt: skip
