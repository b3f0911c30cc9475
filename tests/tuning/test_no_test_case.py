"""A trial never looks at test cases: it ends well where they cannot be read at all."""

from __future__ import annotations

import dataclasses
import io
import time

import pytest

import datasets
from benchmark.errors import BenchmarkError
from benchmark.execution.order import Order
from benchmark.execution.worker import Events, execute
from benchmark.records import is_trial, read_record
from benchmark.trained import find
from datasets.splits import make_split


@pytest.fixture(scope="module")
def spoilt(spec, tmp_path_factory):
    """A release whose test cases are garbage, and the order of a short run on it."""
    folder = tmp_path_factory.mktemp("spoilt")
    datasets.write_phantom("acdc", folder, patients=3, seed=0)
    root = datasets.find("acdc", folder).root
    protocol = dataclasses.replace(spec.protocol, folds=3)
    cases = datasets.read_cases("acdc", root)
    split = make_split(
        protocol.split, cases, fold=0, folds=3,
        validation_fraction=protocol.validation_fraction, seed=protocol.split_seed,
    )  # fmt: skip
    for case in cases:
        if case.id in split.test:
            for file in (case.image, case.mask):
                path = file if hasattr(file, "write_bytes") else file.path
                path.write_bytes(b"not for your eyes")
    mine = dataclasses.replace(
        spec, protocol=protocol, options={"filters": 2, "depth": 2}
    )  # fmt: skip
    return Order(mine, "smoke", root, folder / "results")


def run(order: Order, **changes):
    mine = dataclasses.replace(order, spec=dataclasses.replace(order.spec, **changes))
    return execute(mine, Events(io.StringIO()), started_s=time.perf_counter())


def test_rule_a_trial_reads_no_test_case(spoilt):
    trial = run(spoilt, evaluate="validation")
    assert trial["status"] == "ok", trial["error"]
    assert is_trial(trial)
    assert set(trial["summary"]) == {"validation_dice", "best_epoch"}
    assert set(trial["split"]) == {"train", "validation"}
    folder = spoilt.results / "runs" / trial["key"]
    assert {path.name for path in folder.iterdir()} == {"epochs.csv", "record.json", "SHA256SUMS"}
    assert read_record(folder)["status"] == "ok"
    # The same run with its test cases: so they cannot be read indeed.
    assert run(spoilt)["status"] == "error"
    for name in (trial["key"], "best:acdc"):
        with pytest.raises(BenchmarkError, match=r"trial of a search|no finished run at all"):
            find(spoilt.results, name)
