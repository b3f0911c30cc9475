"""A search with the real scheduler's place taken: what a trial asks for, costs and leaves."""

from __future__ import annotations

import datetime
import io
import shutil

import pytest
import yaml
from rich.console import Console

from benchmark.experiment.layers import one_run, override
from benchmark.experiment.plan import make_plan
from benchmark.records import read_record, read_records, write_record, write_table
from benchmark.tracking.address import ENVIRONMENT
from benchmark.tuning import trials
from benchmark.tuning.tune import tune_plan

EPOCHS = 3


class Machine:
    """Stands in for the scheduler: a run's Dice is a function of its filters and learning rate."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.specs: dict[str, object] = {}
        self.status = "ok"
        self.asks_to_stop_after = 99

    def __call__(self, orders, listeners, tell, *, limits):
        self.orders, (self.listener,) = orders, listeners
        self.asked_to_stop = False
        self._ended = ("", "")
        return self

    def end(self, key, status, because):
        self._ended = (status, because)

    def run(self):
        (order,) = self.orders
        spec = order.spec
        assert spec.evaluate == "validation"
        self.ran.append(spec.key)
        self.specs[spec.key] = spec
        self.asked_to_stop = len(self.ran) >= self.asks_to_stop_after
        self.listener.run_started(spec, 1, 1)
        rows, dice = [], 0.1 * spec.options["filters"] - spec.protocol.learning_rate
        for epoch in range(1, EPOCHS + 1):
            rows.append({"epoch": epoch, "loss": 1.0, "validation_dice": dice * epoch / EPOCHS,
                         "elapsed_s": 10.0 * epoch})  # fmt: skip
            event = {"event": "epoch", **rows[-1], "share": epoch / EPOCHS}
            self.listener.event(spec, event)
            if self._ended[0]:
                break
        status, because = self._ended if self._ended[0] else (self.status, None)
        write_table(order.folder / "epochs.csv", rows, rows[0])
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        record = {
            "key": spec.key, "name": spec.name, "spec": spec.to_dict(), "status": status,
            "error": because or (None if status == "ok" else "it broke"), "profile": "smoke",
            "release": "", "protocol_hash": spec.protocol_hash,
            "started_utc": now, "finished_utc": now, "timing": {"total_s": 10.0 * len(rows) + 1.0},
        }  # fmt: skip
        if status == "ok":
            record["summary"] = {"validation_dice": dice, "best_epoch": EPOCHS}
        write_record(order.folder, record)
        record = read_record(order.folder)
        self.listener.run_finished(spec, record)
        return [record], False


@pytest.fixture
def machine(monkeypatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(trials, "Scheduler", machine)
    monkeypatch.setattr("benchmark.tuning.tune.ensure_phantoms", lambda *_: None)
    return machine


@pytest.fixture
def tracked(monkeypatch):
    """Without MLflow, which takes seconds to make its tables; what it would be told."""
    told = []

    class Silent:
        def __init__(self, plan, results, warn, *, study):
            told.append(study)

        def take(self, key):
            told.append(key)

        def finish(self, files, *, interrupted):
            told.append([file.name for file in files])

        def run_started(self, *_): ...

        event = run_finished = run_started

    monkeypatch.setattr("benchmark.tracking.live.Tracker", Silent)
    return told


@pytest.fixture
def tune(plan, tmp_path):
    """Tune in a results folder; returns the exit code and what was printed."""

    def call(count, **how):
        out = io.StringIO()
        code = tune_plan(
            plan, tmp_path / "results", Console(file=out, width=120), trials=count, **how
        )
        return code, out.getvalue()

    return call


def test_the_winner_is_an_override_that_a_run_takes(tune, machine, tracked, experiment, tmp_path):
    results = tmp_path / "results"
    code, said = tune(6, options=["--data", "phantom"])
    assert code == 0
    (path,) = (results / "tuning").glob("*.yaml")
    command = f"python -m benchmark run {experiment} --data phantom --override {path}"
    assert f"`{command}`" in said
    assert path.read_text().splitlines()[1] == f"# {command}"
    recipe = yaml.safe_load(path.read_text())["tuned"]["unet"]["acdc"][0]
    records = read_records(results)
    complete = [record for record in records if record["status"] == "ok"]
    best = max(complete, key=lambda record: record["summary"]["validation_dice"])
    assert recipe["validation_dice"] == best["summary"]["validation_dice"]
    assert recipe["options"] == {"filters": best["spec"]["options"]["filters"]}
    rate = best["spec"]["protocol"]["learning_rate"]
    assert recipe["protocol"] == {"learning_rate": rate}
    assert recipe["trials"] == 6
    assert recipe["cost_s"] == sum(record["timing"]["total_s"] for record in records)
    plan = make_plan(
        experiment, results=results, profile="smoke", layers=[override(path)]
    )  # fmt: skip
    as_given, tuned = plan.runs
    assert as_given.spec.tuned is None
    assert tuned.spec.tuned["study"] == path.stem
    assert (tuned.spec.evaluate, tuned.state) == ("test", "new")
    assert tuned.spec.protocol.learning_rate == rate
    # It is the trial's network under the trial's protocol: only what is done afterwards differs.
    assert tuned.spec.options == best["spec"]["options"]


def test_trials_are_no_results_of_a_plan(tune, machine, tracked, experiment, tmp_path):
    tune(3)
    (run,) = make_plan(experiment, results=tmp_path / "results", profile="smoke").runs
    assert (run.state, run.changes) == ("new", ())  # no earlier result that has become stale
    assert run.expected_s is None


def test_a_study_goes_on_and_a_finished_one_makes_nothing(tune, machine, tracked):
    tune(3)
    before = list(machine.ran)
    code, said = tune(3)
    assert (code, machine.ran) == (0, before)
    assert "3 trials so far, 0 to be made" in said
    tune(5)
    assert machine.ran[: len(before)] == before
    assert len(machine.ran) == 5


def test_a_trial_that_has_a_record_costs_nothing(tune, machine, tracked, tmp_path):
    """The store is lost, the records are not: the same values come again."""
    code, said = tune(4)
    ran = list(machine.ran)
    (store,) = (tmp_path / "results" / "tuning").glob("*.db")
    store.unlink()
    again, told = tune(4)
    assert (again, machine.ran) == (code, ran)
    known = [line for line in told.splitlines() if "has its record already" in line]
    assert len(known) == 4
    ours = [line for line in said.splitlines() if "·trial" not in line]
    assert [line for line in told.splitlines() if line not in known][1:] == ours[1:]


def test_a_trial_below_the_median_is_pruned(tune, machine, tracked, tmp_path):
    tune(12)
    records = read_records(tmp_path / "results")
    pruned = [record for record in records if record["status"] == "pruned"]
    assert pruned
    for record in pruned:
        assert "below the median of earlier trials after epoch 1" in record["error"]
        assert "summary" not in record
        lines = (record["path"] / "epochs.csv").read_text().splitlines()
        assert len(lines) == 2  # it ended there


def test_ctrl_c_keeps_the_study_and_ends_with_130(tune, machine, tracked):
    machine.asks_to_stop_after = 2
    code, said = tune(5)
    assert code == 130
    assert "the study is kept" in said
    assert len(machine.ran) == 2
    machine.asks_to_stop_after = 99
    assert tune(5)[0] == 0
    assert len(machine.ran) == 5


def test_no_trial_is_begun_after_the_time_is_up(tune, machine, tracked):
    code, _ = tune(5, timeout_s=1e-9)
    assert (code, machine.ran) == (1, [])  # nothing found


def test_trials_that_fail_one_after_the_other_end_the_search(tune, machine, tracked):
    machine.status = "error"
    code, said = tune(9)
    assert code == 1
    assert len(machine.ran) == 3
    assert "trials fail one after the other" in said
    assert "it broke" in said


def test_a_network_that_cannot_be_built_is_a_result(tracked, machine, experiment, tmp_path):
    content = yaml.safe_load(experiment.read_text())
    content["tuning"]["search"] = {"options.depth": [2, 9]}
    experiment.write_text(yaml.safe_dump(content))
    layers = [one_run("unet", "acdc", fold=0, seed=0)]
    results = tmp_path / "results"
    plan = make_plan(experiment, results=results, profile="smoke", layers=layers)
    out = io.StringIO()
    assert tune_plan(plan, results, Console(file=out, width=200), trials=6) == 0
    assert len(set(machine.ran)) == 1
    assert "refused" in out.getvalue()


def test_trials_are_children_of_a_run_of_their_own_in_mlflow(tune, machine, monkeypatch, tmp_path):
    from mlflow.tracking import MlflowClient

    from benchmark.tracking.sync import catch_up

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    # The fake trials are over before the store has its tables: wait for it as long as it takes.
    monkeypatch.setattr("benchmark.tracking.live.PATIENCE_S", 120.0)
    monkeypatch.setattr("benchmark.tracking.live.WORK_S", 120.0)
    results = tmp_path / "results"
    code, said = tune(3)
    assert code == 0
    assert "warning" not in said
    client = MlflowClient(f"sqlite:///{results}/mlflow.db")
    experiment = client.get_experiment_by_name("cardiac-seg/small").experiment_id
    runs = client.search_runs([experiment])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    (study,) = (results / "tuning").glob("*.db")
    assert parent.info.run_name == f"tune: {study.stem}"
    assert parent.data.tags["bench.role"] == "study"
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["bench.key"] for run in children} == set(machine.ran)
    for run in children:
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["bench.role"] == "trial"
        assert "test/dice" not in run.data.metrics
        assert run.data.metrics["val/dice"] > 0
        assert ("val/best_dice" in run.data.metrics) is (run.info.status == "FINISHED")
    assert {run.info.status for run in children} <= {"FINISHED", "KILLED"}  # pruned ones
    # A store that is lost is made anew from the records, with the same parent.
    copy = tmp_path / "copy"
    shutil.copytree(results, copy, ignore=shutil.ignore_patterns("mlflow*", "mlartifacts"))
    assert catch_up(copy, lambda text: None).written == 3
    results = copy
    runs = client_of(results).search_runs([experiment])
    assert sorted(run.data.tags["bench.role"] for run in runs) == ["study", *["trial"] * 3]
    (parent,) = (run for run in runs if run.data.tags["bench.role"] == "study")
    files = {each.path for each in client_of(results).list_artifacts(parent.info.run_id, "tuning")}
    assert files == {f"tuning/{study.stem}.yaml"}


def client_of(results):
    from mlflow.tracking import MlflowClient

    return MlflowClient(f"sqlite:///{results}/mlflow.db")
