"""Finished runs on other files and on corrupted images, with real networks and real files."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest

import datasets
from benchmark.errors import BenchmarkError
from benchmark.execution.order import Order
from benchmark.execution.worker import execute
from benchmark.generalisation.corrupted import chosen
from benchmark.generalisation.sites import cross_test, own_files, source_at
from benchmark.generalisation.tasks import Robustness, to_plain
from benchmark.records import WEIGHTS, read_record, write_record
from benchmark.trained import open_run
from datasets import nifti
from datasets.case import Case


def do(run, *tasks):
    """Have the worker's own function carry out tasks; return the events."""
    events = []
    order = Order(run.spec, "smoke", run.root, run.results, seen="2026-01-01T00:00:00+00:00",
                  tasks=tuple(to_plain(task) for task in tasks))  # fmt: skip
    assert Order.from_json(order.to_json()) == order
    execute(order, events.append, started_s=0.0)
    return [event for event in events if event["event"] == "followed"]


def camus(run, phantoms, **options):
    source = source_at("camus", phantoms, place="test")
    return cross_test("camus", "camus", source, run.spec.dataset, options.get("classes"))


@pytest.fixture(scope="module")
def elsewhere(finish_in, few, tmp_path_factory):
    """A network for ACDC on a patient of CAMUS; to be read only."""
    run = finish_in(tmp_path_factory.mktemp("elsewhere"), "acdc")
    before = {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}
    events = do(run, camus(run, few))
    assert [event["status"] for event in events] == ["ok"], events
    return run, read_record(run.folder / "on" / "camus"), before


def test_rule_a_test_elsewhere_is_a_record_of_its_own_and_trains_nothing(elsewhere):
    run, record, before = elsewhere
    after = {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}
    assert after == before  # weights, record and scores at home
    assert record["status"] == "ok"
    assert record["of"]["key"] == run.spec.key
    assert record["of"]["dataset"] == "acdc"
    assert record["spec"]["dataset"] == "camus"
    assert record["task"]["classes"] == {
        "myocardium": "myocardium", "left_ventricle": "left_ventricle",
    }  # fmt: skip
    assert record["grid_mm"] == [None, 4.0, 4.0]
    digest = hashlib.sha256((run.folder / WEIGHTS).read_bytes()).hexdigest()
    assert record["weights_sha256"] == digest
    assert record["protocol_hash"] != run.spec.protocol_hash


def test_rule_all_cases_are_scored_on_their_own_grids_for_the_classes_of_the_map(elsewhere, few):
    run, record, _ = elsewhere
    rows = pd.read_csv(record["path"] / "cases.csv")
    found = datasets.find("camus", few)
    cases = {case.id: case for case in datasets.read_cases("camus", found.root)}
    assert set(rows["case"]) == set(cases)
    assert (record["cases"], record["patients"]) == (4, 1)
    assert set(rows["class"]) == {"left_ventricle", "myocardium", "epicardium"}
    assert set(rows["dataset"]) == {"camus"}
    assert set(rows["run"]) == {record["key"]}
    row = rows[(rows["class"] == "left_ventricle")].iloc[0]
    _, truth = nifti.read_pair(cases[row["case"]], datasets.info("camus"))
    mask = nifti.read_mask(record["path"] / "predictions" / f"{row['case']}.nii.gz", (1, 2, 3))
    assert mask.array.shape == truth.array.shape
    assert not (mask.array == 3).any()  # the model knows no atrium
    one, two = truth.array == 1, mask.array == 1
    assert row["dice"] == pytest.approx(2 * (one & two).sum() / (one.sum() + two.sum()))
    # The model's own answer, in the labels of the files.
    from benchmark.data.cache import Cache

    trained = open_run(run.folder)
    (cached,) = Cache(run.results / "c", datasets.info("camus"), (None, 4.0, 4.0)).load(
        [cases[row["case"]]]
    )
    native = trained.predictor().mask(cached.prepared)
    np.testing.assert_array_equal(mask.array == 1, native == 3)


def test_rule_patients_that_were_trained_on_are_not_tested(finish, phantoms):
    run = finish("acdc")
    source = source_at("acdc", phantoms, place="test")
    (event,) = do(run, cross_test("twin", "acdc", source, "acdc", None))
    assert event["status"] == "skipped"
    assert f"of its patients were trained on (run {run.spec.key}), such as p" in event["error"]
    assert read_record(run.folder / "on" / "twin")["status"] == "skipped"


def test_rule_patients_that_a_start_has_seen_are_not_tested_either(finish, phantoms):
    """A network for ACDC that had begun with a training on CAMUS."""
    first = finish("camus")
    of = read_record(first.folder)
    patient = first.cases[0].patient
    seen = {"run": of["key"], "dataset": "camus", "source": "phantom", "release": ""}
    run = finish("acdc", init_from={"run": of["key"], "sha256": "0", "dataset": "camus"})
    record = read_record(run.folder) | {"init_from": {"seen": [seen | {"patients": [patient]}]}}
    write_record(run.folder, record)
    (event,) = do(run, camus(run, phantoms))
    assert event["status"] == "skipped"
    assert f"(run {of['key']}), such as {patient}" in event["error"]


def test_files_that_changed_since_the_plan_are_an_error_and_the_next_task_is_done(
    finish, phantoms, tmp_path
):
    run = finish("acdc")
    broken = to_plain(camus(run, phantoms)) | {"fingerprint": "other"}
    order = Order(run.spec, "smoke", run.root, run.results,
                  tasks=(broken, to_plain(Robustness(("blur",), (2,), 1, run.root))))  # fmt: skip
    events = []
    execute(order, events.append, started_s=0.0)
    ended = [event["status"] for event in events if event["event"] == "followed"]
    assert ended == ["error", "ok"]
    assert "found others" in read_record(run.folder / "on" / "camus")["error"]


def test_without_weights_every_task_has_a_record_that_says_so(finish, phantoms):
    run = finish("acdc")
    (run.folder / WEIGHTS).write_bytes(b"no weights")
    (event,) = do(run, camus(run, phantoms))
    assert event["status"] == "error"
    assert "expected the weights" in event["error"]


def test_rule_robustness_reads_test_cases_and_severity_0_is_the_run_itself(finish):
    run = finish("acdc")
    task = Robustness(("noise", "blur"), (1, 5), 2, run.root)
    (event,) = do(run, task)
    assert event["status"] == "ok", event
    record = read_record(run.folder / "robustness")
    rows = pd.read_csv(record["path"] / "cases.csv")
    tested = read_record(run.folder)["split"]["test"]
    assert set(rows["patient"]) <= set(tested)
    assert rows.groupby("case").size().eq(5 * 3).all()  # (clean + 2 x 2) x classes
    assert set(rows["corruption"]) == {"none", "noise", "blur"}
    assert list(record["corruptions"]) == ["noise", "blur"]
    level = rows[(rows["corruption"] == "blur") & (rows["severity"] == 5)]["level"].iloc[0]
    assert level == record["corruptions"]["blur"]["levels"][4]
    clean = rows[rows["severity"] == 0].groupby("case")["dice"].mean().mean()
    assert record["summary"]["dice"] == pytest.approx(clean)
    # As the run's own evaluation predicts it.
    from benchmark.data.cache import Cache
    from benchmark.evaluation.metrics import METRICS

    case = next(case for case in run.cases if case.id == rows["case"].iloc[0])
    info = datasets.info("acdc")
    (cached,) = Cache(run.results / "c", info, run.spec.protocol.spacing_mm).load([case])
    native = open_run(run.folder).predictor().mask(cached.prepared)
    _, truth = nifti.read_pair(case, info)
    expected = METRICS["dice"](truth.array == 3, native == 3, truth.spacing_mm)
    mine = rows[(rows["case"] == case.id) & (rows["severity"] == 0)].set_index("class")
    assert mine.loc["left_ventricle", "dice"] == pytest.approx(expected)


def test_robustness_on_other_files_of_the_same_patients_is_an_error(finish):
    run = finish("acdc")
    record = read_record(run.folder)
    record["spec"]["fingerprint"] = "other"
    del record["path"]
    write_record(run.folder, record)
    (event,) = do(run, Robustness(("blur",), (2,), 1, run.root))
    assert event["status"] == "error"
    assert "expected the files that" in event["error"]


def test_cases_are_taken_from_as_many_patients_as_there_are(tmp_path):
    cases = [Case(f"{patient}_{n}", patient, tmp_path, tmp_path) for patient in "abcd"
             for n in range(3)]  # fmt: skip
    assert sorted(case.patient for case in chosen(cases, 4)) == list("abcd")
    assert len({case.id for case in chosen(cases, 6)}) == 6
    assert chosen(cases[::-1], 5) == chosen(cases, 5)  # whatever the order of the files
    assert len(chosen(cases, 99)) == 12


def test_the_files_of_a_run_are_known_by_their_fingerprint(finish, phantoms, tmp_path):
    run = finish("acdc")
    assert own_files(run.spec, tmp_path, phantoms) == run.root
    with pytest.raises(BenchmarkError, match="--data-root"):
        own_files(run.spec, tmp_path, tmp_path)


def test_a_record_of_a_task_is_checked_like_any_other(elsewhere, tmp_path):
    from benchmark.records import Damaged, read_followers

    shutil.copytree(elsewhere[0].folder, tmp_path / "copy")
    of = read_record(tmp_path / "copy")
    record = read_record(tmp_path / "copy" / "on" / "camus")
    assert [each["key"] for each in read_followers([of])] == [record["key"]]
    # One that followed an earlier training of the run says nothing of this one.
    assert read_followers([of | {"finished_utc": "2027"}]) == []
    path = record["path"] / "record.json"
    path.write_text(json.dumps(record | {"path": None, "summary": {"dice": 0.99}}))
    with pytest.raises(Damaged):
        read_followers([of])
    told = []
    assert read_followers([of], told.append) == []
    assert len(told) == 1
