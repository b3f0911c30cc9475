"""What MLflow holds after an invocation that nothing went wrong in."""

from __future__ import annotations

import pytest
from mlflow.tracking import MlflowClient

from benchmark.tracking.sync import catch_up


def children(work):
    contents = work.contents()
    return [contents[run.spec.key] for run in work.plan.runs]


def test_a_parent_and_a_child_per_run_with_all_that_the_record_tells(work):
    work.execute(statuses=("ok", "diverged"))
    assert work.warnings == []
    ((status, tags, _, _, files, _),) = work.contents()["parent"]
    assert status == "FINISHED"
    assert tags["mlflow.runName"] == "heart smoke"
    assert {"experiments.yaml", "plan.json", "report", "report/leaderboard.csv",
            "report/figures"} == files  # fmt: skip
    (good,), (bad,) = children(work)
    status, tags, params, curves, files, inputs = good
    assert status == "FINISHED"
    axes = {name.removeprefix("bench."): value for name, value in tags.items()}
    assert {
        "architecture": "unet", "dataset": "acdc", "source": "phantom", "fold": "0", "seed": "0",
        "dims": "2", "backend": "tensorflow", "profile": "smoke", "status": "ok", "release": "",
        "device": "a processor", "mlflow.source.git.commit": "c0ffee",
    }.items() <= axes.items()  # fmt: skip
    assert params["options.filters"] == "4"
    assert params["protocol.epochs"] == "2"
    assert curves["train/loss"] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert [step for step, _ in curves["val/dice"]] == [1, 2, 3]
    assert curves["test/dice"] == [(0, 0.7)]
    assert curves["test/dice/lv"] == [(0, pytest.approx(0.8))]
    assert curves["time/train_s"] == [(0, 7.5)]
    assert curves["perf/samples_per_s"] == [(0, 9.0)]
    assert curves["mem/peak_rss_mib"] == [(0, 400.0)]
    costs = {"perf/gmacs": 0.5, "perf/latency_ms_p50": 4.0, "perf/throughput_per_s": 90.0,
             "perf/wait_share": 0.01, "energy/train_j": 600.0,
             "energy/train_cpu_j": 600.0}  # fmt: skip
    assert {name: curves[name] for name in costs} == {name: [(0, v)] for name, v in costs.items()}
    assert [step for step, _ in curves["time/epoch_s"]] == [1, 2, 3]
    assert files == {"record.json", "log.txt", "cases.csv", "epochs.csv"}
    assert {name for name, _ in inputs} == {
        f"acdc-phantom-f0-{side}" for side in ("train", "validation", "test")
    }
    assert len({digest for _, digest in inputs}) == 3
    status, tags, _, curves, _, _ = bad
    assert status == "FAILED"
    assert (tags["bench.status"], tags["bench.error"]) == ("diverged", "it broke")
    assert "test/dice" not in curves


def test_curves_and_the_machine_are_seen_while_a_run_goes_on(work):
    tracker = work.execute(statuses=("ok", "ok"), finish=False)
    spec = work.plan.runs[0].spec
    tracker.run_started(spec, 1, 1)
    tracker.event(spec, {"event": "epoch", **work.epochs(spec)[0]})
    tracker._jobs.put(None)
    tracker._thread.join(30)
    client = MlflowClient(f"sqlite:///{work.results}/mlflow.db")
    (experiment,) = (e for e in client.search_experiments() if e.name != "Default")
    (live,) = (
        run
        for run in client.search_runs([experiment.experiment_id])
        if run.info.status == "RUNNING" and "bench.key" in run.data.tags
    )
    assert live.data.metrics["val/dice"] == pytest.approx(0.1)
    assert live.data.metrics["system/system_memory_usage_megabytes"] > 100


def test_a_run_that_another_invocation_takes_over_opens_no_child(work):
    tracker = work.tracker()
    tracker.run_started(work.plan.runs[0].spec, 1, 1)
    tracker.finish([], interrupted=True)
    assert list(work.contents()) == ["parent"]
    assert work.contents()["parent"][0][0] == "KILLED"


def test_epochs_that_a_resumed_run_did_before_are_written_from_its_record(work):
    tracker, spec = work.tracker(), work.plan.runs[0].spec
    tracker.run_started(spec, 1, 1)
    tracker.event(spec, {"event": "resumed", "epoch": 2})
    tracker.event(spec, {"event": "epoch", **work.epochs(spec)[2]})
    tracker.run_finished(spec, work.record(spec))
    tracker.finish([], interrupted=False)
    ((_, _, _, curves, _, _),) = work.contents()[spec.key]
    assert [step for step, _ in curves["train/loss"]] == [1, 2, 3]


def test_track_after_a_whole_invocation_changes_nothing(work):
    work.execute()
    before = work.contents()
    report = catch_up(work.results, work.warnings.append)
    assert not report.changed
    assert report.complete == 2
    assert work.contents() == before
