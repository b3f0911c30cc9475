"""Invocations without training: plans of two runs, and the records their workers would write."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import http.client
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

from benchmark.experiment.config import load_experiment
from benchmark.experiment.matrix import Source
from benchmark.experiment.plan import Plan
from benchmark.experiment.states import PlannedRun
from benchmark.records import read_record, write_record, write_table
from benchmark.tracking.address import ENVIRONMENT
from benchmark.tracking.live import Tracker
from benchmark.tracking.store import Store

ROOT = Path(__file__).resolve().parent.parent.parent
EPOCHS = 3


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """The environment as the command line sets it, without a store of the user."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@dataclasses.dataclass
class Work:
    """A plan, a results folder, and what happened when it was executed."""

    plan: Plan
    results: Path

    def __post_init__(self):
        self.warnings = []

    def epochs(self, spec):
        return [
            {"epoch": n, "loss": 1.0 / n, "validation_dice": 0.1 * n, "learning_rate": 0.01,
             "epoch_s": 2.0, "validation_s": 0.5, "elapsed_s": 2.5 * n}
            for n in range(1, EPOCHS + 1)
        ]  # fmt: skip

    def record(self, spec, status="ok"):
        """Write what a worker writes, and read it back."""
        folder = self.results / "runs" / spec.key
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        rows = self.epochs(spec)
        write_table(folder / "epochs.csv", rows, rows[0])
        (folder / "log.txt").write_text("said the worker\n")
        record = {
            "key": spec.key, "name": spec.name, "status": status,
            "error": None if status == "ok" else "it broke", "spec": spec.to_dict(),
            "protocol_hash": spec.protocol_hash, "profile": "smoke", "release": "",
            "started_utc": now, "finished_utc": now,
            "environment": {"device": {"name": "a processor"}, "git": {"commit": "c0ffee"}},
            "timing": {"train_s": 7.5, "epoch_s": 2.0, "samples_per_s": 9.0, "peak_rss_mib": 400.0,
                       "latency_ms_p50": 4.0, "throughput_per_s": 90.0, "wait_share": 0.01},
            "energy": {"train_j": 600.0, "train_cpu_j": 600.0},
        }  # fmt: skip
        if status == "ok":
            cases = [
                {"class": name, "outcome": "scored", "dice": dice, "iou": dice / 2, "hd95_mm": 3.0}
                for name, dice in (("lv", 0.9), ("lv", 0.7), ("rv", 0.5))
            ]
            write_table(folder / "cases.csv", cases, cases[0])
            record["params"], record["gmacs"] = 1234, 0.5
            record["split"] = {"train": ["a", "b"], "validation": ["c"], "test": ["d"]}
            record["summary"] = {
                "dice": 0.7, "iou": 0.35, "best_epoch": 3, "validation_dice": 0.3 - 0.1 * spec.seed
            }  # fmt: skip
        write_record(folder, record)
        return read_record(folder)

    def tracker(self):
        return Tracker(self.plan, self.results, self.warnings.append)

    def execute(self, *, statuses=("ok", "ok"), finish=True):
        """Tell a tracker what the scheduler tells it, in a moment."""
        tracker = self.tracker()
        for number, (run, status) in enumerate(zip(self.plan.runs, statuses, strict=True), 1):
            tracker.run_started(run.spec, number, len(statuses))
            tracker.event(run.spec, {"event": "stage", "stage": "training"})
            for row in self.epochs(run.spec):
                tracker.event(run.spec, {"event": "epoch", **row})
            tracker.run_finished(run.spec, self.record(run.spec, status))
        report = self.results / "report" / "figures"
        report.mkdir(parents=True, exist_ok=True)
        files = [report.parent / "leaderboard.csv", report / "dice.svg"]
        for file in files:
            file.write_text("of the report\n")
        if finish:
            tracker.finish(files, interrupted=False)
        return tracker

    def store(self):
        return Store(self.results)

    def contents(self, uri=None):
        """All that the store holds and that is not of the moment, by run."""
        client = MlflowClient(uri or f"sqlite:///{self.results}/mlflow.db")
        experiments = [e for e in client.search_experiments() if e.name == "cardiac-seg/heart"]
        found = {}
        for run in client.search_runs([e.experiment_id for e in experiments],
                                      run_view_type=ViewType.ACTIVE_ONLY):  # fmt: skip
            tags = {
                name: value for name, value in run.data.tags.items()
                if name not in ("mlflow.parentRunId", "bench.invocation", "bench.complete")
            }  # fmt: skip
            curves = {
                name: sorted((p.step, p.value) for p in client.get_metric_history(
                    run.info.run_id, name))
                for name in run.data.metrics if not name.startswith("system/")
            }  # fmt: skip
            files = {a.path for a in client.list_artifacts(run.info.run_id)}
            files |= {a.path for a in client.list_artifacts(run.info.run_id, "report")}
            inputs = {(each.dataset.name, each.dataset.digest)
                      for each in run.inputs.dataset_inputs}  # fmt: skip
            found.setdefault(run.data.tags.get("bench.key", "parent"), []).append(
                (run.info.status, tags, run.data.params, curves, files, inputs)
            )
        return found


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    """An empty store: making its tables takes seconds, copying it does not."""
    folder = tmp_path_factory.mktemp("template")
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    Store(folder)
    return folder / "mlflow.db"


@pytest.fixture
def make_work(template, tmp_path, spec, experiment_text):
    """Make a results folder with an empty store, and a plan of two runs."""

    def make(name="results", **changes):
        results = tmp_path / name
        results.mkdir()
        shutil.copy(template, results / "mlflow.db")
        file = tmp_path / "experiments.yaml"
        file.write_text(experiment_text, encoding="utf-8")
        runs = [
            PlannedRun(dataclasses.replace(spec, seed=seed, **changes), "new", "")
            for seed in (0, 1)
        ]
        source = Source(tmp_path, "phantom", spec.fingerprint, 8, 4)
        experiment = load_experiment(file, "smoke")
        plan = Plan(file, "smoke", "asked for", experiment, {spec.dataset: source}, tuple(runs))
        return Work(plan, results)

    return make


@pytest.fixture
def work(make_work) -> Work:
    return make_work()


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@pytest.fixture(scope="session")
def server(template, tmp_path_factory):
    """A real MLflow server; yields its address."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(template, folder / "store.db")
    port = free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
             "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/store.db",
             "--artifacts-destination", str(folder / "artifacts")],
            stdout=log, stderr=log, cwd=folder, env={**os.environ, **ENVIRONMENT},
            start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 240  # a busy machine takes minutes to import it
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except OSError:
                log = (folder / "log").read_text()
                assert process.poll() is None, log
                assert time.monotonic() < deadline, f"the server does not come up: {log}"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 9)
        process.wait()


@pytest.fixture
def front(server):
    """Stand before the real server: pass ``limit`` requests on after ``delay_s`` each, then die."""
    fronts = []

    def stand(*, limit=10**6, delay_s=0.0):
        passed = []
        released = threading.Event()

        class Front(BaseHTTPRequestHandler):
            def handle_one(self):
                passed.append(self.path)
                released.wait(delay_s)
                if len(passed) > limit:
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                link = http.client.HTTPConnection(urlsplit(server).netloc, timeout=20)
                keep = ("content-type", "accept")
                headers = {n: v for n, v in self.headers.items() if n.lower() in keep}
                link.request(self.command, self.path, body, headers)
                answer = link.getresponse()
                content = answer.read()
                link.close()
                with contextlib.suppress(BrokenPipeError):  # whoever asked has ended meanwhile
                    self.send_response(answer.status)
                    kind = answer.getheader("Content-Type") or "text/plain"
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

            def log_message(self, *arguments):
                pass

        machine = ThreadingHTTPServer(("127.0.0.1", 0), Front)
        machine.daemon_threads = True
        thread = threading.Thread(target=machine.serve_forever, args=(0.05,))
        thread.start()
        fronts.append((machine, thread, released))
        return f"http://127.0.0.1:{machine.server_port}", passed

    yield stand
    for machine, thread, released in fronts:
        released.set()
        machine.shutdown()
        machine.server_close()
        thread.join()
