"""The order of things inside a run, with the slow parts replaced."""

from __future__ import annotations

import dataclasses
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.execution import worker
from benchmark.execution.order import Order
from benchmark.execution.worker import Events, execute


def test_order_survives_the_way_through_json(spec, tmp_path):
    order = Order(spec, "smoke", tmp_path / "data", tmp_path, "LA2018")
    assert Order.from_json(order.to_json()) == order
    away = dataclasses.replace(order, attempt=2, scratch=tmp_path / "scratch", phantom=(5, 0))
    assert Order.from_json(away.to_json()) == away


@pytest.fixture
def steps(monkeypatch, tmp_path):
    """Run an order whose parts only write down when they were called."""
    import architectures
    import datasets
    from architectures import cost
    from benchmark.data import cache
    from benchmark.evaluation import cases, speed
    from benchmark.training import devices, fit
    from datasets import splits

    log: list[str] = []
    listed = [SimpleNamespace(id=str(i), patient=f"p{i}") for i in range(5)]
    split = splits.Split(train=("0", "1", "2"), validation=("3",), test=("4",))

    class FakeCache:
        def __init__(self, *_):
            pass

        def load(self, wanted, progress):
            log.append("read " + ",".join(case.id for case in wanted))
            mask = np.ones(1, np.uint8)
            return [SimpleNamespace(case=c, prepared=SimpleNamespace(mask=mask)) for c in wanted]

    def fake_fit(*_, **__):
        log.append("fit")
        return fit.Fitted(
            tmp_path / "w", None, 1, 0.5, [1.0] * 4, [0.1] * 4, [4.0],
            epoch_steps=[4], energy_j={"cpu": 40.0, "gpu": 2.0},
        )  # fmt: skip

    def fake_speed(predictor, *, train_s, devices):
        log.append("speed")
        return {"throughput_per_s": 80.0, "throughput_batch": predictor.batch_size}

    def fake_evaluate(*_, **__):
        log.append("evaluate")
        rows = [{"case": "4", "class": "a", "kind": "class", "outcome": "scored",
                 "dice": 0.5, "iou": 0.4}]  # fmt: skip
        return cases.Evaluation(rows, [0.1])

    model = SimpleNamespace(trainable_weights=[np.zeros((2, 3))], load_weights=lambda path: None)
    monkeypatch.setattr(datasets, "read_cases", lambda *_: listed)
    monkeypatch.setattr(splits, "make_split", lambda *_, **__: split)
    monkeypatch.setattr(cache, "Cache", FakeCache)
    monkeypatch.setattr(architectures, "build", lambda *_, **__: model)
    monkeypatch.setattr(fit, "fit", fake_fit)
    monkeypatch.setattr(cases, "evaluate", fake_evaluate)
    monkeypatch.setattr(speed, "measure_speed", fake_speed)
    monkeypatch.setattr(cost, "multiply_accumulates", lambda _: 12_000_000)
    monkeypatch.setattr(
        devices, "configure", lambda **_: devices.Device("cpu", "x", "float32", False, 2)
    )
    return log


def run(spec, tmp_path):
    stream = io.StringIO()
    record = execute(Order(spec, "smoke", tmp_path, tmp_path), Events(stream), started_s=0.0)
    return record, [json.loads(line) for line in stream.getvalue().splitlines()]


def test_rule_test_cases_are_read_after_training(steps, spec, tmp_path):
    record, _ = run(spec, tmp_path)
    assert record["status"] == "ok", record["error"]
    assert steps == ["read 0,1,2", "read 3", "fit", "read 4", "evaluate", "speed"]
    assert record["split"] == {"train": ["p0", "p1", "p2"], "validation": ["p3"], "test": ["p4"]}
    assert record["params"] == 6
    assert record["summary"]["dice"] == 0.5


def test_rule_a_trial_ends_with_its_training(steps, spec, tmp_path):
    (tmp_path / "w").write_bytes(b"")
    record, _ = run(dataclasses.replace(spec, evaluate="validation"), tmp_path)
    assert record["status"] == "ok", record["error"]
    assert steps == ["read 0,1,2", "read 3", "fit"]
    assert record["split"] == {"train": ["p0", "p1", "p2"], "validation": ["p3"]}
    assert record["summary"] == {"validation_dice": 0.5, "best_epoch": 1}
    assert not (tmp_path / "w").exists()


def test_postprocessing_is_decided_before_test_cases_are_read(steps, spec, tmp_path, monkeypatch):
    from dataclasses import replace

    from benchmark.evaluation import cases, postprocessing
    from benchmark.evaluation.postprocessing import Decision, Verdict

    decision = Decision(6, 3, {"right_ventricle": Verdict(0.5, 0.6, applied=True)}, (1,))
    monkeypatch.setattr(postprocessing, "choose", lambda *_: steps.append("choose") or decision)
    evaluate = cases.evaluate
    cleaned = []
    monkeypatch.setattr(
        cases, "evaluate", lambda *_, **given: cleaned.append(given["largest"]) or evaluate()
    )
    protocol = replace(spec.protocol, postprocessing="largest_component")
    record, _ = run(replace(spec, protocol=protocol), tmp_path)
    assert steps == ["read 0,1,2", "read 3", "fit", "choose", "read 4", "evaluate", "speed"]
    assert cleaned == [(1,)]
    assert record["postprocessing"] == decision.to_dict()
    assert record["timing"]["postprocessing_s"] >= 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError("no more"), "oom"),
        (RuntimeError("RESOURCE_EXHAUSTED: out of memory"), "oom"),
        (ValueError("bug"), "error"),
    ],
)
def test_every_end_is_a_record(steps, spec, tmp_path, monkeypatch, error, status, capsys):
    from benchmark.training import fit

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(fit, "fit", fail)
    record, _ = run(spec, tmp_path)
    assert record["status"] == status
    assert type(error).__name__ in record["error"]
    assert "Traceback" in capsys.readouterr().err  # bugs keep theirs, in the log
    stored = json.loads((tmp_path / "runs" / spec.key / "record.json").read_text())
    assert stored["status"] == status
    assert stored["finished_utc"]


@pytest.mark.parametrize(
    ("error", "kept"), [(None, False), (MemoryError("no more"), False), (OSError(28, "full"), True)]
)
def test_a_result_leaves_no_checkpoint_and_an_error_keeps_it(
    steps, spec, tmp_path, monkeypatch, error, kept, capsys
):
    from benchmark.training import checkpoint, fit

    def fail(*_, **__):
        raise error

    if error is not None:
        monkeypatch.setattr(fit, "fit", fail)
    file = checkpoint.path_of(tmp_path / "runs" / spec.key, 1)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    record, _ = run(spec, tmp_path)
    assert (
        record["status"]
        == {None: "ok", MemoryError: "oom", OSError: "error"}[type(error) if error else None]
    )
    assert file.exists() is kept


def test_record_says_how_the_budget_was_used_and_where_it_was_resumed(
    steps, spec, tmp_path, monkeypatch
):
    from benchmark.training import fit

    fitted = fit.Fitted(
        tmp_path / "w", None, 1, 0.5, [1.0] * 4, [0.1] * 4, [2.0, 2.0],
        epoch_steps=[2, 2],
        checkpoint_s=0.3, earlier_s=100.0, resumed=(1,), reached=True, time_to_target_s=4.5,
    )  # fmt: skip
    monkeypatch.setattr(fit, "fit", lambda *_, **__: fitted)
    protocol = dataclasses.replace(spec.protocol, track="target", target_dice=0.4)
    record, _ = run(dataclasses.replace(spec, protocol=protocol), tmp_path)
    assert record["resumed"] == [1]
    assert record["budget"] == {
        "track": "target", "epochs": 2, "steps": 4, "steps_s": 4.0,
        "reached": True, "time_to_target_s": 4.5,
    }  # fmt: skip
    timing = record["timing"]
    assert (timing["checkpoint_s"], timing["earlier_s"]) == (0.3, 100.0)
    assert 100 <= timing["train_s"] < 101
    assert timing["total_s"] > timing["train_s"]


def test_record_says_what_the_run_cost(steps, spec, tmp_path):
    record, _ = run(spec, tmp_path)
    assert record["gmacs"] == 0.012
    assert record["energy"] == {"train_j": 42.0, "train_cpu_j": 40.0, "train_gpu_j": 2.0}
    timing = record["timing"]
    assert timing["throughput_batch"] == spec.batch_size
    found = {name: timing[name] for name in ("wait_share", "epoch_s", "epoch_ratio", "compile_s")}
    assert found == {"wait_share": pytest.approx(0.1), "epoch_s": 4.0, "epoch_ratio": 1.0,
                     "compile_s": 0.0}  # fmt: skip
    assert timing["speed_s"] >= 0


def test_without_a_meter_energy_is_not_invented(steps, spec, tmp_path, monkeypatch):
    from benchmark.training import fit

    fitted = fit.Fitted(tmp_path / "w", None, 1, 0.5, [1.0] * 4, [0.1] * 4, [4.0], epoch_steps=[4])
    monkeypatch.setattr(fit, "fit", lambda *_, **__: fitted)
    assert run(spec, tmp_path)[0]["energy"] == {"train_j": None}


def test_divergence_and_user_errors_carry_no_traceback(steps, spec, tmp_path, monkeypatch, capsys):
    from benchmark.errors import DataError, Diverged
    from benchmark.training import fit

    for error, status in ((Diverged("nan at step 3"), "diverged"), (DataError("x.nii"), "error")):

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(fit, "fit", fail)
        record, _ = run(spec, tmp_path)
        assert (record["status"], record["error"]) == (status, str(error))
    assert "Traceback" not in capsys.readouterr().err


def test_nothing_of_an_earlier_attempt_is_left(steps, spec, tmp_path):
    folder = tmp_path / "runs" / spec.key
    (folder / "predictions").mkdir(parents=True)
    (folder / "predictions" / "old.nii.gz").write_text("x")
    (folder / "cases.csv").write_text("old")
    run(spec, tmp_path)
    assert not (folder / "cases.csv").exists()
    assert not (folder / "predictions").exists()


def test_worker_ends_with_its_parent(tmp_path):
    """A worker whose scheduler was killed does not go on computing."""
    import subprocess
    import sys
    import time
    from pathlib import Path

    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'from benchmark.execution import worker;"
        "import time; worker._die_with_parent(); time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(1)\n"
    )
    root = Path(worker.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    child = Path("/proc") / done.stdout.strip()
    if not Path("/proc/self").exists():
        pytest.skip("no procfs")
    deadline = time.monotonic() + 10
    while child.exists() and "Z" not in (child / "stat").read_text().split()[2:3]:
        assert time.monotonic() < deadline, "the worker is still there"
        time.sleep(0.1)
