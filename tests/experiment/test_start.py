"""Which run others start from, as the plan finds it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmark.errors import ConfigError
from benchmark.experiment.config import load_experiment
from benchmark.experiment.matrix_rules import cells
from benchmark.experiment.start import starts
from benchmark.records import WEIGHTS, write_record
from benchmark.trained import find


@pytest.fixture
def finished(tmp_path, spec):
    """Return a function that writes a finished run and gives its key."""

    def write(dice, **changes):
        mine = replace(spec, **changes)
        folder = tmp_path / "runs" / mine.key
        folder.mkdir(parents=True)
        (folder / WEIGHTS).write_bytes(b"weights")
        record = {
            "key": mine.key, "name": mine.name, "spec": mine.to_dict(), "status": "ok",
            "error": None, "summary": {"dice": dice, "validation_dice": dice},
        }  # fmt: skip
        write_record(folder, record)
        return mine.key

    return write


@pytest.fixture
def begun_from(small, tmp_path):
    """Return the key of the run that the file's networks start from."""

    def ask():
        file = small(architectures={"unet": {"init_from": "best:acdc"}})
        experiment = load_experiment(file, "quick")
        found = starts(experiment, cells(experiment.matrix), tmp_path)
        (key,) = {start["run"] for start in found.values()}
        return key

    return ask


def test_what_came_of_a_start_does_not_become_the_start(finished, begun_from, tmp_path):
    first = finished(0.5)
    assert begun_from() == first
    start = {"run": first, "sha256": "0" * 64, "dataset": "acdc"}
    better = finished(0.8, init_from=start)
    best = finished(0.9, tuned={"study": "s", "trials": 3, "cost_s": 1.0, "base": {}})
    assert begun_from() == first
    assert find(tmp_path, "best:acdc").record["key"] == best  # elsewhere they count
    assert better != best


def test_without_an_original_run_it_says_what_there_is(finished, begun_from):
    finished(0.8, init_from={"run": "a" * 12, "sha256": "0" * 64, "dataset": "acdc"})
    with pytest.raises(ConfigError, match="expected a finished run for best:acdc"):
        begun_from()
