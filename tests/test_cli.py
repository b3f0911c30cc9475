"""Bad input: one clear sentence, a non-zero exit code, no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.cli import main

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def at_home(monkeypatch):
    monkeypatch.chdir(ROOT)
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_LOGGING_LEVEL"):
        monkeypatch.setenv(name, "true" if name.endswith("TELEMETRY") else "ERROR")


def refused(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    return captured.err


def test_plan_as_json(capsys, tmp_path):
    assert main(["plan", "experiments.yaml", "--json", "--results", str(tmp_path)]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert len(plan["runs"]) == 12
    assert {"key", "state", "reason", "architecture", "dataset", "source"} <= set(plan["runs"][0])


def test_plan_for_people(capsys, tmp_path):
    arguments = ["--data", "phantom", "--profile", "quick", "--results", str(tmp_path)]
    assert main(["plan", *arguments]) == 0
    out = capsys.readouterr().out
    assert "profile quick" in out
    assert "12 runs: 12 new" in out
    assert "phantom" in out


def test_misspelt_key(capsys, tmp_path):
    text = (ROOT / "experiments.yaml").read_text().replace("  optimizer:", "  optimiser:", 1)
    (tmp_path / "e.yaml").write_text(text)
    line = next(i for i, each in enumerate(text.splitlines(), 1) if "optimiser" in each)
    message = refused(capsys, "plan", str(tmp_path / "e.yaml"))
    assert f"e.yaml:{line}:" in message
    assert "'optimizer'" in message


def test_absent_file_and_empty_root(capsys, tmp_path):
    assert "found none" in refused(capsys, "run", str(tmp_path / "no.yaml"))
    assert "--data-root" in refused(capsys, "run", "--data-root", str(tmp_path))


def test_report_and_ui_without_runs(capsys, tmp_path):
    assert "expected records" in refused(capsys, "report", "--results", str(tmp_path))
    assert "mlflow.db" in refused(capsys, "ui", "--results", str(tmp_path))


def test_damaged_record_is_a_failed_run(capsys, tmp_path):
    main(["plan", "--json", "--results", str(tmp_path)])
    key = json.loads(capsys.readouterr().out)["runs"][0]["key"]
    folder = tmp_path / "runs" / key
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{")
    assert main(["plan", "--json", "--results", str(tmp_path)]) == 0
    run = json.loads(capsys.readouterr().out)["runs"][0]
    assert run["state"] == "failed"
    assert str(folder / "record.json") in run["reason"]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--only", "architecture=unett"], "Did you mean 'unet'?"),
        (["--only", "architectures=unet"], "Did you mean 'architecture'?"),
        (["--only", "unet"], "expected axis=value"),
        (["--only", "fold=3"], "unknown fold '3'; the matrix has 0."),
        (["--only", "dataset="], "expected a value"),
        (["--retry", "ooom"], "Did you mean 'oom'?"),
        (["--retry", ""], "expected a list"),
    ],
)
def test_parts_of_the_matrix_that_are_not_there(capsys, tmp_path, arguments, hint):
    asked = ["plan", "--profile", "quick", "--results", str(tmp_path), *arguments]
    assert hint in refused(capsys, *asked)


def test_a_part_of_the_matrix(capsys, tmp_path):
    asked = ["--data", "phantom", "--profile", "quick", "--results", str(tmp_path)]
    only = ["--only", "architecture=unet|vnet,dataset=acdc", "--only", "dataset=camus"]
    assert main(["plan", *asked, *only]) == 0
    out = capsys.readouterr().out
    assert "4 runs: 4 new (8 left out by --only)" in out
    assert "decathlon" not in out


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run", "--profile", "huge"]])
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err
