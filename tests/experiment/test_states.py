from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from benchmark.experiment import plan as planning
from benchmark.experiment.history import changes
from benchmark.experiment.plan import Plan, make_plan
from benchmark.experiment.selection import parse_retry
from benchmark.experiment.show import show_header
from benchmark.experiment.spec import RunSpec
from benchmark.records import write_record

CPU = "a processor"


@pytest.fixture(autouse=True)
def device(monkeypatch):
    monkeypatch.setattr(planning, "gpu_names", list)
    monkeypatch.setattr(planning, "processor_name", lambda: CPU)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def record(results: Path, spec: RunSpec, *, status: str = "ok", device: str = CPU,
           profile: str = "quick", versions: dict[str, str] | None = None,
           finished: str = "2026-01-01T00:00:00+00:00", budget: dict[str, float] | None = None,
           **timing: float) -> None:  # fmt: skip
    write_record(results / "runs" / spec.key, {
        "key": spec.key, "status": status, "error": None if status == "ok" else "a reason",
        "spec": spec.to_dict(), "profile": profile, "summary": {"dice": 0.5},
        "environment": {"versions": versions or {"keras": "3.15"}, "device": {"name": device}},
        "timing": {"total_s": 30.0, "train_s": 20.0, **timing}, "finished_utc": finished,
        "budget": {"epochs": 2, "steps": 6, "steps_s": 16.0} if budget is None else budget,
    })  # fmt: skip


def plan(path: Path, results: Path, **asked) -> Plan:
    return make_plan(path, results=results, profile="quick", **asked)


def test_stale_run_tells_what_changed(small: Callable[..., Path], results):
    spec = plan(small(), results).runs[0].spec
    record(results, spec)
    new = plan(
        small(protocol={"epochs": 7}, architectures={"unet": {"options": {"filters": 32}}}), results
    )
    assert (new.runs[0].state, new.runs[0].pending) == ("stale", True)
    assert new.runs[0].changes == ("options.filters 4 → 32", "protocol.epochs 2 → 7")
    assert new.runs[0].reason == "options.filters 4 → 32; protocol.epochs 2 → 7"
    assert {run.state for run in new.runs[1:]} == {"new"}
    assert new.to_dict()["runs"][0]["changes"] == list(new.runs[0].changes)


def test_changed_code_and_files_are_told(small, results):
    spec = plan(small(), results).runs[0].spec
    record(results, dataclasses.replace(spec, code="0" * 12, fingerprint="0" * 16))
    files, code = plan(small(), results).runs[0].changes
    assert files == "files of the dataset"
    assert "architectures/unet.py" in code
    assert "datasets/acdc.py" in code


def test_fields_that_records_of_old_do_not_have(small, results):
    spec = plan(small(), results).runs[0].spec
    old = spec.to_dict()
    del old["protocol"]["overlap"], old["options"]["filters"]
    old["options"]["strides"] = [[2, 2]] * 9
    old["protocol"]["gone"] = "yes"
    assert changes(old, spec.to_dict()) == (
        "options.filters default → 4",
        "options.strides changed",
        "protocol.overlap absent → 0.5",
        "protocol.gone yes → absent",
    )


def test_closest_earlier_result_counts_and_then_the_latest(small, results):
    spec = plan(small(), results).runs[0].spec

    def older(finished: str = "2025", **fields) -> None:
        protocol = dataclasses.replace(spec.protocol, **fields)
        record(results, dataclasses.replace(spec, protocol=protocol), finished=finished)

    older(epochs=9, overlap=0.25)
    assert len(plan(small(), results).runs[0].changes) == 2
    older(epochs=8)
    older(epochs=4, finished="2026")
    older(epochs=6)
    assert plan(small(), results).runs[0].changes == ("protocol.epochs 4 → 2",)


@pytest.mark.parametrize("change", [
    {"fold": 1}, {"seed": 1}, {"source": "real"}, {"architecture": "vnet"}, {"dataset": "camus"},
])  # fmt: skip
def test_result_of_another_place_in_the_matrix_makes_nothing_stale(small, results, change):
    spec = plan(small(), results).runs[0].spec
    old = dataclasses.replace(spec, **change, protocol=dataclasses.replace(spec.protocol, epochs=9))
    record(results, old)
    assert plan(small(), results).runs[0].state == "new"


def test_failed_run_and_run_of_another_profile_make_nothing_stale(small, results):
    spec = plan(small(), results).runs[0].spec
    for epochs, fields in ((8, {"status": "killed"}), (9, {"profile": "full"})):
        protocol = dataclasses.replace(spec.protocol, epochs=epochs)
        record(results, dataclasses.replace(spec, protocol=protocol), **fields)
    assert plan(small(), results).runs[0].state == "new"


def test_variant_that_is_planned_itself_makes_nothing_stale(small, results):
    wide = {"architecture": "unet", "options": {"filters": 8}}
    path = small(matrix={"include": [wide]})
    first = plan(path, results)
    record(results, next(run.spec for run in first.runs if run.spec.options == {"filters": 8}))
    states = {tuple(run.spec.options.items()): run.state for run in plan(path, results).runs
              if (run.spec.architecture, run.spec.dataset) == ("unet", "acdc")}  # fmt: skip
    assert states == {(("filters", 4),): "new", (("filters", 8),): "done"}


@pytest.mark.parametrize(
    ("retry", "pending"),
    [
        (["infra"], {"timeout", "error", "killed", "skipped"}),
        (["oom"], {"oom"}),
        (["oom,diverged", "error"], {"oom", "diverged", "error"}),
        (["all"], {"oom", "diverged", "timeout", "error", "killed", "skipped"}),
        (["none"], set()),
    ],
)
def test_retry_names_what_is_run_again(small, results, retry, pending):
    statuses = ["ok", "oom", "diverged", "timeout", "error", "killed", "skipped"]
    path = small(matrix={"architectures": ["unet"], "datasets": ["acdc"], "seeds": list(range(7))})
    for run, status in zip(plan(path, results).runs, statuses, strict=True):
        record(results, run.spec, status=status)
    runs = plan(path, results, retry=parse_retry(retry)).runs
    assert {status for status, run in zip(statuses, runs, strict=True) if run.pending} == pending
    states = {status: run.state for status, run in zip(statuses, runs, strict=True)}
    assert states == {
        status: "done" if status == "ok" else "failed" if status in pending else "kept"
        for status in statuses
    }


def test_default_keeps_results_of_the_method_and_repeats_faults_of_the_machine(small, results):
    first = plan(small(), results).runs
    for run, status in zip(first, ("oom", "diverged", "timeout", "error"), strict=True):
        record(results, run.spec, status=status)
    states = [run.state for run in plan(small(), results).runs]
    assert states == ["kept", "kept", "failed", "failed"]


def test_time_is_expected_from_runs_of_another_fold(small, results):
    path = small(matrix={"architectures": ["unet"], "datasets": ["acdc"], "folds": [0, 1, 2]})
    runs = plan(path, results).runs
    assert plan(path, results).expected == (0.0, False)
    record(results, runs[0].spec, total_s=30.0)
    record(results, runs[1].spec, total_s=50.0)
    new = plan(path, results)
    assert [run.expected_s for run in new.runs] == [None, None, 40.0]
    assert new.expected == (40.0, True)
    assert new.to_dict()["expected"] == {"pending_s": 40.0, "complete": True}


def test_training_time_is_scaled_by_epochs_and_steps(small, results):
    path = small(matrix={"architectures": ["unet"], "datasets": ["acdc"]})
    spec = plan(path, results).runs[0].spec
    # 10 s around the training, which takes 20 s: two epochs of three steps
    record(results, spec, total_s=30.0, train_s=20.0)
    more = small(matrix={"architectures": ["unet"], "datasets": ["acdc"]}, protocol={"epochs": 6})
    assert plan(more, results).runs[0].expected_s == pytest.approx(10 + 3 * 20)
    longer = small(matrix={"architectures": ["unet"], "datasets": ["acdc"]},
                   protocol={"steps_per_epoch": [12, 20]})  # fmt: skip
    assert plan(longer, results).runs[0].expected_s == pytest.approx(10 + 4 * 20)


@pytest.mark.parametrize(
    ("protocol", "training_s"),
    [
        ({"track": "steps", "max_steps": 60}, 10 * 20),
        ({"track": "time", "max_train_s": 48}, 3 * 20),
        ({"track": "target", "target_dice": 0.9}, 20),
        ({"track": "target", "target_dice": 0.9, "epochs": 4}, 2 * 20),
    ],
)
def test_training_time_follows_the_track(small, results, protocol, training_s):
    matrix = {"architectures": ["unet"], "datasets": ["acdc"]}
    record(results, plan(small(matrix=matrix), results).runs[0].spec)
    new = plan(small(matrix=matrix, protocol=protocol), results)
    assert new.runs[0].expected_s == pytest.approx(10 + training_s)


def test_a_target_that_was_reached_early_is_expected_again(small, results):
    path = small(matrix={"architectures": ["unet"], "datasets": ["acdc"]},
                 protocol={"track": "target", "target_dice": 0.9, "epochs": 100})  # fmt: skip
    spec = plan(path, results).runs[0].spec
    record(results, dataclasses.replace(spec, seed=3))
    assert plan(path, results).runs[0].expected_s == 30.0


def test_runs_that_go_on_at_once_share_the_time(small, results):
    path = small(matrix={"architectures": ["unet"], "datasets": ["acdc"], "folds": [0, 1, 2, 3]})
    new = plan(path, results)
    record(results, dataclasses.replace(new.runs[0].spec, seed=3), total_s=300.0)
    new = plan(path, results)
    for slots, said in ((1, "about 20 min"), (2, "about 10 min"), (9, "about 5 min")):
        out = Console(file=io.StringIO(), width=200)
        show_header(new, out, slots=slots)
        assert f"expected time: {said}\n" in out.file.getvalue()


def test_runs_that_agree_in_the_cost_of_a_step_are_preferred(small, results):
    path = small(matrix={"architectures": ["unet"], "datasets": ["acdc"]})
    spec = plan(path, results).runs[0].spec
    protocol = dataclasses.replace(spec.protocol, patch_2d=(128, 128))
    record(results, dataclasses.replace(spec, protocol=protocol), total_s=300.0)
    assert plan(path, results).runs[0].expected_s == 300.0
    record(results, dataclasses.replace(spec, seed=1), total_s=33.0)
    assert plan(path, results).runs[0].expected_s == 33.0


@pytest.mark.parametrize("fields", [
    {"device": "another processor"}, {"status": "oom"}, {"status": "killed"},
])  # fmt: skip
def test_other_devices_and_failed_runs_say_nothing_about_time(small, results, fields):
    spec = plan(small(), results).runs[0].spec
    record(results, dataclasses.replace(spec, seed=7), **fields)
    assert plan(small(), results).runs[0].expected_s is None


def test_mixed_versions_and_unreadable_records_are_warned_about(small, results):
    runs = plan(small(), results).runs
    record(results, runs[0].spec, versions={"keras": "3.14", "numpy": "2.4"})
    record(results, runs[1].spec, versions={"keras": "3.15", "numpy": "2.4"})
    assert plan(small(), results).warnings == (
        "These runs were not made alike: keras 3.14 (1) and 3.15 (1) (number of runs in brackets).",
    )
    for name, content in (("a", "{"), ("b", "[1]"), ("c", '{"status": "ok", "spec": 3}')):
        (results / "runs" / name).mkdir()
        (results / "runs" / name / "record.json").write_text(content)
    assert "3 record(s) of other runs cannot be read" in plan(small(), results).warnings[1]
