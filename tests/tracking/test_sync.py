"""``track`` completes the store exactly once, however it was left."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from benchmark.errors import BenchmarkError
from benchmark.tracking.invocations import read_invocations, release
from benchmark.tracking.live import Tracker
from benchmark.tracking.store import Store
from benchmark.tracking.sync import catch_up, close_dead

WRITES = ("create_run", "log_batch", "log_inputs", "update_run_info")


def track(work):
    return catch_up(work.results, work.warnings.append)


@pytest.fixture
def break_store(monkeypatch):
    """Let the store fail for good from the n-th write on; it may carry that one out before."""

    def harm(number, *, answer_lost):
        count = 0

        def broken(original):
            def call(self, *arguments, **options):
                nonlocal count
                count += 1
                if count == number and answer_lost:
                    original(self, *arguments, **options)
                if count >= number:
                    raise MlflowException("the connection was lost")
                return original(self, *arguments, **options)

            return call

        for name in WRITES:
            monkeypatch.setattr(SqlAlchemyStore, name, broken(getattr(SqlAlchemyStore, name)))
        return lambda: count

    return harm


@pytest.mark.parametrize("answer_lost", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("number", [1, 3, 6, 9, 11, 14, 20])
def test_a_store_that_dies_midway_is_completed_once(
    make_work, whole, monkeypatch, break_store, number, answer_lost
):
    work = make_work()
    with monkeypatch.context():
        calls = break_store(number, answer_lost=answer_lost)
        work.execute()
        assert calls() == number  # the last call is inside an invocation, not after it
        monkeypatch.undo()
    assert len(work.warnings) == 1
    assert "the connection was lost" in work.warnings[0]
    assert f"python -m benchmark track --results {work.results}" in work.warnings[0]
    assert track(work).changed
    assert work.contents() == whole
    again = track(work)
    assert not again.changed
    assert again.complete == 2
    assert work.contents() == whole


@pytest.fixture(scope="module")
def known():
    return {}


@pytest.fixture
def whole(make_work, known):
    """The store of the same invocation that nothing happened to."""
    if not known:
        work = make_work("whole")
        work.execute()
        assert work.warnings == []
        known["contents"] = work.contents()
    return known["contents"]


def test_a_store_that_is_lost_is_made_again_from_the_records(make_work, whole):
    first, work = make_work(), make_work("again")
    first.execute()
    for folder in ("runs", "report", "invocations"):
        shutil.copytree(first.results / folder, work.results / folder)
    assert track(work).written == 2
    assert work.contents() == whole
    assert not track(work).changed


def test_records_without_an_invocation_have_a_parent_too(work):
    for run in work.plan.runs:
        work.record(run.spec)
    assert track(work).written == 2
    assert not track(work).changed
    store = work.store()
    runs = store.runs([store.experiment("collected")])
    assert Counter(run.info.status for run in runs) == {"FINISHED": 3}


def test_a_run_that_was_done_again_is_a_new_child(work):
    work.execute(statuses=("killed", "ok"))
    spec = work.plan.runs[0].spec
    record = work.record(spec)
    record["finished_utc"] = "2999-01-01T00:00:00+00:00"
    from benchmark.records import write_record

    write_record(record["path"], record)
    assert track(work).written == 1
    found = work.contents()[spec.key]
    assert sorted(status for status, *_ in found) == ["FINISHED", "KILLED"]


def died(work):
    """An invocation whose process was killed in the middle of its first run."""
    tracker, spec = work.tracker(), work.plan.runs[0].spec
    tracker.run_started(spec, 1, 2)
    tracker.event(spec, {"event": "epoch", **work.epochs(spec)[0]})
    tracker._jobs.put(None)
    tracker._thread.join(30)
    assert work.contents()[spec.key][0][0] == "RUNNING"
    return tracker


@pytest.mark.parametrize("by", ["track", "the next run"])
def test_children_of_a_dead_process_are_closed(work, by):
    died(work)
    if by == "track":
        assert track(work).closed == 1
        assert not track(work).changed
    else:
        work.tracker().finish([], interrupted=False)
    runs = [run for each in work.contents().values() for run in each]
    assert {status for status, *_ in runs} <= {"KILLED", "FINISHED"}
    (child,) = work.contents()[work.plan.runs[0].spec.key]
    assert child[0] == "KILLED"
    assert child[1]["bench.status"] == "killed"


def test_a_dead_child_whose_record_was_written_is_completed(work):
    died(work)
    work.record(work.plan.runs[0].spec)
    assert track(work).completed == 2  # the run, and that of its invocation
    (child,) = work.contents()[work.plan.runs[0].spec.key]
    assert child[0] == "FINISHED"
    assert [step for step, _ in child[3]["train/loss"]] == [1, 2, 3]


def test_what_still_runs_is_left_alone(work):
    tracker, (first, second) = work.tracker(), (run.spec for run in work.plan.runs)
    try:
        tracker.run_started(first, 1, 2)
        tracker.event(first, {"event": "epoch", **work.epochs(first)[0]})
        while tracker._jobs.unfinished_tasks and not tracker._children:
            tracker._thread.join(0.01)
        work.record(second)  # its writer has not come to it yet
        report = track(work)
        assert (report.waiting, report.changed) == (1, False)
        assert close_dead(work.store(), tracker._experiment, work.results) == 0
        assert work.contents()[first.key][0][0] == "RUNNING"
    finally:
        tracker.finish([], interrupted=True)


def test_runs_of_another_results_folder_are_left_alone(make_work, monkeypatch):
    mine, other = make_work("mine"), make_work("other")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{mine.results}/mlflow.db")
    died(mine)
    assert not track_records(other).changed
    assert mine.contents()[mine.plan.runs[0].spec.key][0][0] == "RUNNING"


def track_records(work):
    (work.results / "runs").mkdir(exist_ok=True)
    return track(work)


def test_a_store_that_does_not_work_is_one_sentence_without_the_password(work, monkeypatch):
    work.record(work.plan.runs[0].spec)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(BenchmarkError, match="does not work") as caught:
        track(work)
    assert "secret" not in str(caught.value)


def test_a_folder_that_was_moved_still_opens_its_artifacts(make_work, tmp_path):
    work = make_work()
    work.execute()
    before = work.contents()
    target = tmp_path / "elsewhere" / "moved here"
    target.parent.mkdir()
    work.results.rename(target)
    moved = dataclasses.replace(work, results=target)
    assert moved.contents() != before  # MLflow alone does not find them
    assert not track(moved).changed
    assert moved.contents() == before
    store = Store(target)
    place = store.client.get_experiment(store.experiment("heart")).artifact_location
    assert place == (target / "mlartifacts").as_uri()


def test_an_invocation_is_read_back_as_it_was(work):
    tracker = Tracker(work.plan, work.results, work.warnings.append)
    tracker.finish([], interrupted=False)
    (found,) = read_invocations(work.results)
    assert found == dataclasses.replace(tracker._invocation)
    assert found.text.startswith("# The published matrix")
    release(work.results, found, None)
