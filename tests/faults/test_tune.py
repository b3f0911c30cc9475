"""A search that is killed, interrupted or made by two at once goes on, and repeats nothing."""

from __future__ import annotations

import signal
import subprocess
from contextlib import suppress

import optuna
import psutil
import pytest
import yaml
from optuna.trial import TrialState

from benchmark.records import read_records

TUNE = ("tune", "--architecture", "unet", "--dataset", "camus", "--trials", "4")

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def until(process: subprocess.Popen[str], text: str) -> None:
    """Wait until a process has printed something."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return
    pytest.fail(f"{text!r} was never said: {said}{process.stderr.read()}")


def study(matrix) -> optuna.Study:
    (store,) = (matrix.results / "tuning").glob("*.db")
    return optuna.load_study(study_name=store.stem, storage=f"sqlite:///{store}")


def assert_whole(matrix) -> None:
    """Four trials that say something, each of another run, and their winner as an override."""
    told = [t for t in study(matrix).trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(told) == 4
    assert not [t for t in study(matrix).trials if t.state == TrialState.RUNNING]
    records = {record["key"]: record for record in read_records(matrix.results)}
    assert {trial.user_attrs["key"] for trial in told} == set(records)
    assert {record["spec"]["evaluate"] for record in records.values()} == {"validation"}
    (path,) = (matrix.results / "tuning").glob("*.yaml")
    recipe = yaml.safe_load(path.read_text())["tuned"]["unet"]["camus"][0]
    assert recipe["trials"] == 4
    assert recipe["validation_dice"] == study(matrix).best_value
    assert not list((matrix.results / "tuning" / ".owners").iterdir())


def test_killed_and_started_again_it_goes_on(fresh):
    with fresh.start(*TUNE) as process:
        until(process, "[2/4] unet·camus·f0·s0·trial (phantom)  epoch 1/2")
        # With its worker, which would otherwise be at the end of the trial before it knows.
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
    done = fresh.stamps()
    assert len(done) == 1
    (killed,) = (t for t in study(fresh).trials if t.state == TrialState.RUNNING)
    again = fresh.call(*TUNE)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "1 trials so far, 3 to be made" in again.stdout
    assert_whole(fresh)
    assert done.items() <= fresh.stamps().items()
    trials = study(fresh).trials
    assert trials[killed.number].state == TrialState.FAIL
    assert trials[killed.number + 1].params == killed.params  # first of all
    assert "goes on after epoch 1" in again.stdout
    last = fresh.call(*TUNE)
    assert last.returncode == 0
    assert len(study(fresh).trials) == 5


def test_two_at_once_share_a_study(fresh):
    with fresh.start(*TUNE) as one, fresh.start(*TUNE) as other:
        said = [process.communicate(timeout=600) for process in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], said
    assert_whole(fresh)
    assert len(study(fresh).trials) == 4


def test_ctrl_c_finishes_the_trial_and_keeps_the_study(fresh):
    with fresh.start(*TUNE) as process:
        until(process, "[1/4] unet·camus·f0·s0·trial (phantom)  epoch 1/2")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 130, out + err
    assert "the study is kept" in out
    assert [trial.state for trial in study(fresh).trials] == [TrialState.COMPLETE]
    again = fresh.call(*TUNE)
    assert again.returncode == 0, again.stdout + again.stderr
    assert_whole(fresh)
