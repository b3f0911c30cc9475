"""What follows the runs of a plan, and that asking for it trains nothing."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from benchmark.errors import ConfigError, DataError
from benchmark.experiment.plan import make_plan
from benchmark.generalisation.agenda import agenda, note_inapplicable, orders, summary
from benchmark.generalisation.tasks import new_record
from benchmark.records import read_record, write_record

SMALL = {
    "name": "small",
    "data": "phantom",
    "matrix": {"architectures": ["unet"], "datasets": ["acdc", "decathlon"]},
    "protocol": {
        "folds": 5, "batch_size_2d": 4, "batch_size_3d": 1, "epochs": 2,
        "steps_per_epoch": [3, 3], "validation_patches_2d": 8, "validation_patches_3d": 2,
        "learning_rate": 0.002,
    },
    "datasets": {
        name: {"spacing_mm": [None, 4.0, 4.0], "patch_2d": [64, 64], "patch_3d": [16, 64, 64]}
        for name in ("acdc", "camus", "decathlon")
    },
    "architectures": {"unet": {"options": {"filters": 4}}},
    "profiles": {"quick": {}},
}  # fmt: skip


@pytest.fixture
def plan(tmp_path):
    """Return a function that plans the small file with some of its sections replaced."""

    def make(**sections):
        content = dict(SMALL)
        for name, section in sections.items():
            content[name] = {**SMALL.get(name, {}), **section}
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return make_plan(path, results=tmp_path / "r")

    return make


def finish(run, results, *, finished="2026"):
    record = {
        "key": run.spec.key, "name": run.spec.name, "spec": run.spec.to_dict(), "status": "ok",
        "error": None, "protocol_hash": run.spec.protocol_hash, "summary": {"dice": 0.9},
        "release": "", "finished_utc": finished,
    }  # fmt: skip
    (results / "runs" / run.spec.key).mkdir(parents=True, exist_ok=True)
    write_record(results / "runs" / run.spec.key, record)
    return record


TESTS = {"matrix": {**SMALL["matrix"], "test_on": ["camus"]}, "robustness": {"cases": 2}}


def test_rule_asking_for_tests_changes_no_key_and_runs_nothing_again(plan, tmp_path):
    before = plan()
    for run in before.runs:
        finish(run, tmp_path / "r")
    after = plan(**TESTS)
    assert [run.spec.key for run in after.runs] == [run.spec.key for run in before.runs]
    assert after.pending == []
    assert set(after.sources) == {"acdc", "decathlon", "camus"}
    found = agenda(after, tmp_path / "r")
    assert [(item.spec.dataset, item.task.place, item.state) for item in found] == [
        ("acdc", "on/camus", "new"), ("acdc", "robustness", "new"),
        ("decathlon", "on/camus", "new"), ("decathlon", "robustness", "new"),
    ]  # fmt: skip
    assert [len(order.tasks) for order in orders(found, tmp_path / "r")] == [2, 2]
    assert agenda(before, tmp_path / "r") == []


def test_nothing_follows_a_run_that_is_not_finished(plan, tmp_path):
    found = agenda(plan(**TESTS), tmp_path / "r")
    assert {item.state for item in found} == {"new"}
    assert orders(found, tmp_path / "r") == []
    assert summary(found) == ["4 evaluations that follow: 4 new"]


def test_a_task_is_done_once_and_again_after_the_run_or_what_is_asked_changed(plan, tmp_path):
    asked, results = plan(**TESTS), tmp_path / "r"
    runs = {run.spec.key: finish(run, results) for run in asked.runs}
    for item in agenda(asked, results):
        item.folder(results).mkdir(parents=True)
        record = new_record(item.spec, runs[item.spec.key], item.task)
        scores = {"status": "ok", "summary": {"dice": 0.2}}
        write_record(item.folder(results), record | scores)
    assert {item.state for item in agenda(asked, results)} == {"done"}
    more = plan(**(TESTS | {"robustness": {"cases": 3}}))
    states = {item.task.place: item.state for item in agenda(more, results)}
    assert states == {"on/camus": "done", "robustness": "stale"}
    classes = {"camus": {"left_ventricle": "left_ventricle"}}
    other = plan(**TESTS, datasets={"acdc": SMALL["datasets"]["acdc"] | {"test_on": classes}})
    states = [item.state for item in agenda(other, results) if item.task.place == "on/camus"]
    assert states == ["stale", "done"]
    finish(asked.runs[0], results, finished="2027")  # trained anew
    states = [item.state for item in agenda(asked, results)]
    assert states == ["stale", "stale", "done", "done"]


def test_a_failure_is_tried_again_and_a_result_is_kept(plan, tmp_path):
    asked, results = plan(**TESTS), tmp_path / "r"
    runs = {run.spec.key: finish(run, results) for run in asked.runs}
    first, second, *_ = agenda(asked, results)
    for item, status in ((first, "error"), (second, "oom")):
        item.folder(results).mkdir(parents=True)
        record = new_record(item.spec, runs[item.spec.key], item.task)
        write_record(item.folder(results), record | {"status": status, "error": "why"})
    states = [item.state for item in agenda(asked, results)]
    assert states == ["failed", "kept", "new", "new"]


def test_what_is_not_applicable_is_said_in_the_plan_and_in_a_record(plan, tmp_path):
    asked = plan(
        matrix={**SMALL["matrix"], "architectures": ["vnet"], "test_on": ["camus", "decathlon"]},
        architectures={"vnet": {"options": {"filters": 2}, "dims": {"acdc": 3}}},
    )
    results = tmp_path / "r"
    runs = [finish(run, results) for run in asked.runs]
    found = agenda(asked, results)
    lines = summary(found)
    assert "vnet·acdc on camus: not applicable: a volumetric network reads volumes" in lines[1]
    assert "no class in common" in lines[2]
    note_inapplicable(found, results)
    record = read_record(results / "runs" / runs[0]["key"] / "on" / "camus")
    assert record["status"] == "skipped"
    assert "volumes" in record["error"]
    assert {item.state for item in agenda(asked, results)} == {"not applicable", "new"}


def test_other_files_of_a_known_layout_have_a_name_of_the_users(plan, tmp_path, phantoms):
    asked = plan(
        matrix={**SMALL["matrix"], "test_on": ["LA2018"]},
        sites={"LA2018": {"dataset": "decathlon", "data_root": str(phantoms)}},
    )
    assert asked.places["LA2018"].patients == 1
    found = agenda(asked, tmp_path / "r")
    states = [(item.spec.dataset, item.task.place, item.state) for item in found]
    assert states == [
        ("acdc", "on/LA2018", "not applicable"), ("decathlon", "on/LA2018", "new"),
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"small\.yaml:\d+: expected files in the layout"):
        plan(
            matrix={**SMALL["matrix"], "test_on": ["LA2018"]},
            sites={"LA2018": {"dataset": "decathlon", "data_root": str(tmp_path / "none")}},
        )


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"matrix": {**SMALL["matrix"], "test_on": ["camsu"]}}, "Did you mean 'camus'"),
        (
            {"datasets": {"acdc": SMALL["datasets"]["acdc"]
                          | {"test_on": {"camus": {"left_atrum": "left_atrium"}}}}},
            "acdc has no class 'left_atrum'",
        ),
        (
            {"datasets": {"acdc": SMALL["datasets"]["acdc"]
                          | {"test_on": {"camus": {"myocardium": "atrium"}}}}},
            "Did you mean 'left_atrium'",
        ),
        (
            {"datasets": {"acdc": SMALL["datasets"]["acdc"] | {"test_on": {"acdc": None}}}},
            "by its folds already",
        ),
        ({"sites": {"acdc": {"dataset": "acdc", "data_root": "x"}}}, "a name of your own"),
        ({"sites": {"a/b": {"dataset": "acdc", "data_root": "x"}}}, "expected letters"),
        ({"sites": {"x": {"dataset": "acdc"}}}, "'sites.x.data_root' is missing"),
        ({"robustness": {"corruptions": ["blurr"]}}, "Did you mean 'blur'"),
        ({"robustness": {"severities": [6]}}, "less than or equal to 5"),
        ({"robustness": {"patients": 6}}, "unknown key 'robustness.patients'"),
    ],
)  # fmt: skip
def test_faults_of_the_file_name_the_line(plan, sections, words):
    with pytest.raises(ConfigError, match=r"small\.yaml:\d+: ") as caught:
        plan(**sections)
    assert words in str(caught.value)


def test_a_run_that_started_elsewhere_is_followed_by_its_own_key(plan, tmp_path):
    """The place of a record depends on the run alone, whatever it is called."""
    item = agenda(plan(**TESTS), tmp_path)[0]
    start = {"run": "0" * 12, "sha256": "1", "dataset": "camus"}
    other = dataclasses.replace(item, spec=dataclasses.replace(item.spec, init_from=start))
    assert other.folder(tmp_path) != item.folder(tmp_path)
