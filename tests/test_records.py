from __future__ import annotations

import json
import os

import pandas as pd
import pytest

from benchmark.errors import BenchmarkError
from benchmark.records import (
    Damaged,
    cases_frame,
    clinical_frame,
    epochs_frame,
    open_atomic,
    read_external,
    read_record,
    read_records,
    write_atomic,
    write_json,
    write_record,
    write_table,
)


def write_run(results, key, status="ok", dataset="acdc"):
    folder = results / "runs" / key
    spec = {"architecture": "unet", "dataset": dataset, "source": "real", "fold": 0, "seed": 1}
    record = {"key": key, "status": status, "spec": spec, "summary": {"dice": 0.9}}
    write_json(folder / "record.json", record)
    write_table(folder / "epochs.csv", [{"epoch": 1, "loss": 0.5}], ["epoch", "loss"])
    write_table(folder / "cases.csv", [{"run": key, "case": "001", "patient": "007", "dice": 0.9}],
                ["run", "case", "patient", "dice"])  # fmt: skip


def test_written_and_read_back(tmp_path):
    write_run(tmp_path, "a")
    write_run(tmp_path, "b", status="oom")
    records = read_records(tmp_path)
    assert [record["key"] for record in records] == ["a", "b"]
    assert records[0]["path"] == tmp_path / "runs" / "a"
    assert [record["key"] for record in read_records(tmp_path, ["b", "absent", "a"])] == ["b", "a"]


def test_frames_carry_the_axes_and_hold_finished_runs_only(tmp_path):
    write_run(tmp_path, "a")
    write_run(tmp_path, "b", status="diverged")
    records = read_records(tmp_path)
    epochs, cases = epochs_frame(records), cases_frame(records)
    assert list(epochs.columns[:6]) == ["run", "architecture", "dataset", "source", "fold", "seed"]
    assert set(epochs["run"]) == set(cases["run"]) == {"a"}
    assert cases["patient"].iloc[0] == "007"  # identifiers stay text
    assert cases["seed"].iloc[0] == 1


def test_clinical_endpoints_are_read_where_a_run_has_them(tmp_path):
    for key in ("a", "b"):
        write_run(tmp_path, key)
    row = {"run": "b", "seed": 1, "patient": "007", "endpoint": "lv_ef", "truth": 60.0}
    write_table(tmp_path / "runs" / "b" / "clinical.csv", [row], row)
    frame = clinical_frame(read_records(tmp_path))
    assert frame[["run", "architecture", "patient", "truth"]].to_numpy().tolist() == [
        ["b", "unet", "007", 60.0]
    ]


def test_no_record_is_none_and_no_run_is_an_empty_frame(tmp_path):
    assert read_record(tmp_path) is None
    assert cases_frame([]).empty
    assert read_records(tmp_path) == []


@pytest.mark.parametrize("content", ["{", "[]", '{"status": "fine"}', ""])
def test_damaged_record_is_named(tmp_path, content):
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(BenchmarkError, match=r"record\.json: expected .* Delete the folder"):
        read_record(tmp_path)


def test_numbers_that_are_not_finite_become_null(tmp_path):
    write_json(tmp_path / "x.json", {"a": float("nan"), "b": [float("inf"), 1.5]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": None, "b": [None, 1.5]}


def test_writing_that_fails_leaves_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "x.txt"
    write_atomic(path, "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_table_has_the_columns_asked_for_whatever_the_rows_hold(tmp_path):
    write_table(tmp_path / "t.csv", [{"b": 2, "c": 3}], ["a", "b"])
    frame = pd.read_csv(tmp_path / "t.csv")
    assert list(frame.columns) == ["a", "b"]
    write_table(tmp_path / "t.csv", [], ["a", "b"])
    assert list(pd.read_csv(tmp_path / "t.csv").columns) == ["a", "b"]


@pytest.fixture
def closed(tmp_path):
    """The folder of a run with its digests."""
    write_run(tmp_path, "a")
    run = tmp_path / "runs" / "a"
    write_record(run, read_record(run))
    return run


def test_a_closed_record_is_checked_by_sha256sum_too(closed):
    import subprocess

    assert read_record(closed)["status"] == "ok"
    done = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=closed, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["cases.csv: OK", "epochs.csv: OK", "record.json: OK"]


@pytest.mark.parametrize("name", ["record.json", "cases.csv", "epochs.csv"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_every_damage_is_seen(closed, name, harm):
    path = closed / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if harm == "remove":
        path.unlink()
        if name == "record.json":  # no record: the run was never finished
            assert read_record(closed) is None
            return
    else:
        path.write_bytes(content if harm == "flip" else content[:-5])
    with pytest.raises(Damaged, match=name):
        read_record(closed)
    told = []
    assert read_records(closed.parent.parent, on_damage=told.append) == []
    assert name in told[0]


@pytest.mark.parametrize("sums", [b"", b"\xff\xfe", b"0  a\0b\n", b"0  record.json\n", b"0\n"])
def test_damaged_digests_are_damage(closed, sums):
    (closed / "SHA256SUMS").write_bytes(sums)
    with pytest.raises(Damaged):
        read_record(closed)


@pytest.mark.parametrize(
    "record", [{"status": "ok"}, {"status": "ok", "key": "a", "spec": {"a": 1}, "summary": {}}]
)
def test_a_record_that_lacks_something_is_damaged(tmp_path, record):
    write_json(tmp_path / "record.json", record)
    with pytest.raises(Damaged, match=r"summary\.dice"):
        read_record(tmp_path)


def test_a_damaged_external_entry_is_told_and_left_out(tmp_path):
    for name in ("good", "bad"):
        write_record(
            tmp_path / "external" / name,
            {"key": name, "status": "ok", "external": True, "spec": {"a": 1}},
        )
    (tmp_path / "external" / "bad" / "record.json").write_text("{")
    told = []
    assert [record["key"] for record in read_external(tmp_path, told.append)] == ["good"]
    assert "external/bad: expected the external entry" in told[0]
    assert "Evaluate it again" in told[0]
    with pytest.raises(Damaged, match="Evaluate it again"):
        read_external(tmp_path)


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomic(tmp_path / "record.json", "{}")
    assert caught.value.filename == str(tmp_path / "record.json")
    assert not list(tmp_path.iterdir())


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    """Processes of two hosts may have the same number."""
    path = tmp_path / "record.json"
    with open_atomic(path) as first:
        first.write(b"first")
        with open_atomic(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
