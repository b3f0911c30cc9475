"""MLflow's pages in a real browser."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from mlflow.tracking import MlflowClient

from benchmark.tracking.sync import catch_up

# Virtual: the browser's clock runs on while it waits for the server.
TIME_MS = 20_000


@pytest.fixture
def read_page(tmp_path):
    """Return the text of a page after its scripts have run."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")

    def read(address):
        done = subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1600,1000",
             f"--user-data-dir={tmp_path / 'browser'}", f"--virtual-time-budget={TIME_MS}",
             "--dump-dom", address],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        return done.stdout

    return read


@pytest.mark.faults
def test_the_experiment_page_shows_the_runs_and_their_files_open(
    read_page, make_work, server, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    work = make_work(fingerprint="d" * 16)
    for run in work.plan.runs:
        work.record(run.spec)
    catch_up(work.results, work.warnings.append)
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("cardiac-seg/collected").experiment_id
    page = f"{server}/#/experiments/{experiment}/runs"
    by_dice = "orderByKey=metrics.%60test%2Fdice%60&orderByAsc=false"
    shown = read_page(f"{page}?{by_dice}")
    for run in work.plan.runs:
        assert run.spec.name in shown
    (child, *_) = client.search_runs([experiment], "metrics.`test/dice` > 0")
    cases = read_page(f"{page}/{child.info.run_id}/artifacts/cases.csv")
    assert "Previewing the first 3 rows" in cases
    assert "hd95_mm" in cases
