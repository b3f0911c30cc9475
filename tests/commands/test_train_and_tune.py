"""``train``, ``tune`` and ``evaluate --run``: what is refused, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.cli import main

ROOT = Path(__file__).resolve().parents[2]
CELL = ("--architecture", "unet", "--dataset", "acdc", "--profile", "quick", "--data", "phantom")


@pytest.fixture(autouse=True)
def at_home(monkeypatch):
    monkeypatch.chdir(ROOT)
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_LOGGING_LEVEL",
                 "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"):  # fmt: skip
        monkeypatch.setenv(name, "true")


def refused(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def test_train_names_the_argument_at_fault(capsys, tmp_path):
    asked = ("train", *CELL, "--results", str(tmp_path))
    assert "--set options.filterz=8: " in refused(capsys, *asked, "--set", "options.filterz=8")
    assert "Did you mean 'protocol'?" in refused(capsys, *asked, "--set", "protocl.epochs=8")
    assert "--fold 8: " in refused(capsys, *asked, "--fold", "8")
    assert not list(tmp_path.iterdir())


def test_tune_without_a_search_says_what_to_write(capsys, tmp_path, experiment_text):
    begin, end = experiment_text.index("tuning:\n"), experiment_text.index("profiles:\n")
    file = tmp_path / "e.yaml"
    file.write_text(experiment_text[:begin] + experiment_text[end:])
    asked = ("tune", str(file), *CELL, "--results", str(tmp_path / "results"), "--trials", "3")
    assert "expected 'tuning:' with 'search:'" in refused(capsys, *asked)
    assert not (tmp_path / "results").exists()


def test_tune_hands_on_what_it_was_told_of_files_and_profile(monkeypatch, tmp_path):
    told = {}
    monkeypatch.setattr("benchmark.tuning.tune.tune_plan", lambda *_, **how: told.update(how) or 0)
    assert main(["tune", *CELL, "--results", str(tmp_path), "--trials", "3"]) == 0
    assert told["options"] == [
        "--profile", "quick", "--data", "phantom", "--results", str(tmp_path)
    ]  # fmt: skip


def test_the_published_search_fits_every_network():
    from benchmark.experiment.config import load_experiment
    from benchmark.tuning.space import axes_for

    for profile in ("full", "quick", "smoke"):
        experiment = load_experiment(ROOT / "experiments.yaml", profile)
        for name in experiment.matrix.architectures:
            assert axes_for(experiment, name)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--trials", "0"], "expected a number from 1"),
        (["--trials", "2", "--timeout", "-1"], "expected a positive number of seconds"),
        ([], "--trials"),
    ],
)
def test_numbers_of_a_search_are_checked(capsys, arguments, words):
    with pytest.raises(SystemExit) as caught:
        main(["tune", *CELL, *arguments])
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_evaluate_takes_masks_or_a_run(capsys, tmp_path):
    results = ("--results", str(tmp_path))
    assert "expected TRUTH and PREDICTIONS" in refused(capsys, "evaluate")
    assert "expected TRUTH and PREDICTIONS" in refused(capsys, "evaluate", str(tmp_path))
    both = refused(capsys, "evaluate", str(tmp_path), "--run", "best:acdc", *results)
    assert "expected no masks beside it" in both
    assert "no finished run at all" in refused(capsys, "evaluate", "--run", "best:acdc", *results)
    masks = ("evaluate", str(tmp_path), str(tmp_path))
    assert "--data-root data: expected with --run" in refused(capsys, *masks, "--data-root", "data")


@pytest.mark.parametrize(
    "given",
    [
        ("-o", "cases.csv"), ("--name", "nnunet"), ("--dataset", "acdc"), ("--classes", "lv=1"),
        ("--definition", "metrics_reloaded"), ("--tolerance-mm", "2"), ("--skip-missing",),
    ],
    ids=lambda given: given[0],
)  # fmt: skip
def test_an_option_for_masks_is_not_ignored_beside_a_run(capsys, tmp_path, given):
    asked = ("evaluate", "--run", "best:acdc", "--results", str(tmp_path), *given)
    assert f"error: {given[0]}: expected with masks only" in refused(capsys, *asked)
