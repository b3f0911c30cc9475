"""What `test-on` and `robustness` refuse, in one sentence."""

from __future__ import annotations

import dataclasses
import json

import pytest

from benchmark.cli import main
from benchmark.records import SUMS, WEIGHTS, write_record


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["robustness", "abcd", "--corruptions", "noise,fog"], "got 'fog'"),
        (["robustness", "abcd", "--severities", "0"], "got '0'"),
        (["robustness", "abcd", "--cases", "0"], "expected 1 or more"),
        (["robustness", "abcd"], "expected one run whose key begins with abcd"),
        (["test-on", "abcd", "--dataset", "camsu"], "Did you mean 'camus'"),
        (["test-on", "abcd", "--dataset", "camus", "--site", "../x"], "names a folder"),
        (["test-on", "abcd", "--dataset", "camus", "--site", "acdc"], "a name of your own"),
        (["test-on", "abcd", "--dataset", "camus", "--classes", "a=b"], "a name of your own"),
        (["test-on", "abcd", "--dataset", "camus"], "expected one run whose key begins with abcd"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence(arguments, words, phantoms, tmp_path, capsys):
    where = ["--results", str(tmp_path), "--data-root", str(phantoms)]
    assert main([*arguments, *where]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("error: ")


@pytest.fixture
def volumetric(tmp_path, spec):
    """A finished run that no planar image can be given to."""
    mine = dataclasses.replace(spec, dims=3)
    folder = tmp_path / "runs" / mine.key
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(b"")
    record = {
        "key": mine.key, "name": mine.name, "spec": mine.to_dict(), "status": "ok", "error": None,
        "protocol_hash": mine.protocol_hash, "summary": {"dice": 0.5, "validation_dice": 0.5},
    }  # fmt: skip
    write_record(folder, record)
    return folder


def test_a_run_named_twice_is_tested_once_and_nothing_done_is_no_success(
    volumetric, phantoms, tmp_path, capsys
):
    where = ["--results", str(tmp_path), "--data-root", str(phantoms)]
    runs = [volumetric.name, volumetric.name[:6], "best:acdc"]
    assert main(["test-on", *runs, "--dataset", "camus", *where]) == 1
    said = capsys.readouterr().out
    assert said.count("a volumetric network reads volumes") == 2  # in the summary, and of the run
    assert "1 evaluation that follow" in said


def test_a_test_on_other_files_does_not_replace_that_of_a_plan(
    volumetric, phantoms, tmp_path, capsys
):
    where = ["--results", str(tmp_path), "--data-root", str(phantoms)]
    asked = ["test-on", volumetric.name, "--dataset", "camus", *where]
    main(asked)
    record = json.loads((volumetric / "on" / "camus" / "record.json").read_text())
    (volumetric / "on" / "camus" / SUMS).unlink()
    record["task"]["fingerprint"] = "other"
    before = json.dumps(record)
    (volumetric / "on" / "camus" / "record.json").write_text(before)
    capsys.readouterr()
    assert main(asked) == 2
    assert "name of its own with --site" in capsys.readouterr().err
    assert (volumetric / "on" / "camus" / "record.json").read_text() == before
    main([*asked, "--site", "clinic"])
    assert (volumetric / "on" / "clinic" / "record.json").exists()


@pytest.mark.parametrize("classes", ["left_ventricle", "a=b,a=c"])
def test_a_map_that_is_none_is_refused(classes, capsys):
    with pytest.raises(SystemExit):
        main(["test-on", "abcd", "--dataset", "camus", "--classes", classes])
    assert "every class of the model once" in capsys.readouterr().err
