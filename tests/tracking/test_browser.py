"""MLflow's pages in a real browser.

The pictures it takes stay in pytest's folder, or in ``BENCHMARK_SCREENSHOTS``, to be looked at.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

import matplotlib.image
import pytest
from mlflow.tracking import MlflowClient

from benchmark.tracking.sync import catch_up

# Virtual: the browser's clock runs on while it waits for the server.
TIME_MS = 20_000


@pytest.fixture
def read_page(tmp_path):
    """Return the text of a page after its scripts have run, and leave a picture of it."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    pictures = Path(os.environ.get("BENCHMARK_SCREENSHOTS", tmp_path))

    def read(name, address, height=1000):
        command = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--window-size=1600,{height}", f"--user-data-dir={tmp_path / 'browser'}",
            f"--virtual-time-budget={TIME_MS}",
        ]  # fmt: skip
        picture = pictures / f"{name}.png"
        options = {"capture_output": True, "text": True, "timeout": 120, "check": True}
        subprocess.run([*command, f"--screenshot={picture}", address], **options)
        assert matplotlib.image.imread(picture)[..., :3].std() > 0.02, "the page is empty"
        return subprocess.run([*command, "--dump-dom", address], **options).stdout

    return read


@pytest.mark.faults
def test_pages_show_the_runs_compare_their_dice_and_open_their_files(
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
    face = "workflowType=machine_learning"  # else language models are shown first
    by_dice = f"{face}&orderByKey=metrics.%60test%2Fdice%60&orderByAsc=false"
    shown = read_page("runs", f"{page}?{by_dice}")
    for run in work.plan.runs:
        assert run.spec.name in shown

    children = [
        run.info.run_id
        for run in client.search_runs([experiment], "metrics.`test/dice` > 0")
        if run.data.tags["bench.key"] in {each.spec.key for each in work.plan.runs}
    ]
    assert len(children) == len(work.plan.runs)
    asked = f"runs={quote(json.dumps(children))}&experiments={quote(json.dumps([experiment]))}"
    compared = read_page("compare", f"{server}/#/compare-runs?{asked}&{face}")
    assert "test/dice" in compared
    # What lies below the window is not drawn.
    bars = read_page("charts", f"{page}?{by_dice}&compareRunsMode=CHART", height=3200)
    assert "test/dice" in bars

    cases = read_page("cases", f"{page}/{children[0]}/artifacts/cases.csv?{face}")
    assert "Previewing the first 3 rows" in cases
    assert "hd95_mm" in cases
