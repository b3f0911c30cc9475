"""``python -m benchmark evaluate``: what it writes, says and refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import datasets
from benchmark.cli import main
from benchmark.evaluation.folders import COLUMNS
from benchmark.records import read_external, write_record
from benchmark.report.groups import comparison_groups
from datasets import nifti

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def at_home(monkeypatch):
    monkeypatch.chdir(ROOT)
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_LOGGING_LEVEL",
                 "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"):  # fmt: skip
        monkeypatch.setenv(name, "true")


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """A tree of two patients, and predictions of all its cases: the truth, one pixel off."""
    root = tmp_path_factory.mktemp("data")
    datasets.write_phantom("acdc", root, patients=2, seed=0)
    made = root / "made"
    made.mkdir()
    for case in datasets.read_cases("acdc", datasets.find("acdc", root).root):
        truth = nifti.read_mask(case.mask, (1, 2, 3), dims=3)
        moved = np.roll(truth.array, 1, axis=2)
        nifti.write_mask(made / f"{case.id}.nii.gz", moved, like=truth)
    return datasets.find("acdc", root).root, made


def refused(capsys, *arguments):
    assert main(["evaluate", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def test_writes_rows_and_prints_means_with_counts(phantom, tmp_path, capsys):
    out = tmp_path / "new" / "cases.csv"
    assert main(["evaluate", *map(str, phantom), "--dataset", "acdc", "-o", str(out)]) == 0
    frame = pd.read_csv(out)
    assert tuple(frame.columns) == COLUMNS
    assert set(frame["source"]) == {"phantom"}
    assert len(frame) == 4 * 3
    said = capsys.readouterr().out
    assert "4 cases (phantom: synthetic hearts)" in said
    assert f"{frame.loc[frame['class'] == 'myocardium', 'dice'].mean():.4f}" in said
    assert f"{frame.groupby('case')['dice'].mean().mean():.4f}" in said
    # Moved by one pixel, a structure keeps its volume.
    assert "Clinical endpoints of 2 patients" in said
    assert "LV EF voxels 0.0 0.0 to 0.0 0.0 %" in " ".join(said.split())
    for heading in ("Scored", "Excluded", "Failed", "metrics_reloaded", "2 mm"):
        assert heading in said
    assert [path.name for path in out.parent.iterdir()] == ["cases.csv"]


def test_missing_and_extra_predictions_are_said(phantom, tmp_path, capsys):
    truth, made = phantom
    shutil.copytree(made, tmp_path / "made")
    first = min((tmp_path / "made").iterdir())
    first.rename(first.with_name("stranger.nii.gz"))
    assert main(["evaluate", str(truth), str(tmp_path / "made"), "--dataset", "acdc"]) == 0
    said = capsys.readouterr().out
    case = first.name.removesuffix(".nii.gz")
    assert f"1 case without a prediction, counted as missed: {case}." in said
    assert "1 prediction without a truth, not scored: stranger.nii.gz." in said


def test_an_entry_is_a_record_that_reports_read(phantom, tmp_path, capsys):
    arguments = [*map(str, phantom), "--dataset", "acdc", "--results", str(tmp_path)]
    assert main(["evaluate", *arguments, "--name", "nnU-Net"]) == 0
    assert "No run in the results" in capsys.readouterr().out
    (record,) = read_external(tmp_path)
    assert record["path"] == tmp_path / "external" / "nnU-Net-acdc"
    assert record["spec"]["source"] == "phantom"
    assert len(pd.read_csv(record["path"] / "clinical.csv")) == 2 * 9
    # A run on the same files is what it then stands beside.
    run = {**record, "external": False, "key": "0123", "protocol_hash": "cafe", "profile": "quick"}
    run["spec"] = record["spec"] | {"architecture": "unet"}
    run["summary"] = {"dice": 0.9}
    folder = tmp_path / "runs" / "0123"
    shutil.copytree(record["path"], folder)
    del run["path"]
    write_record(folder, run)
    assert main(["evaluate", *arguments, "--name", "nnU-Net"]) == 0
    assert "beside 1 run (protocol cafe)" in capsys.readouterr().out
    # A damaged run is no reason to stop: the entry is written already.
    (tmp_path / "runs" / "dead").mkdir()
    (tmp_path / "runs" / "dead" / "record.json").write_text("{")
    assert main(["evaluate", *arguments, "--name", "nnU-Net"]) == 0
    said = capsys.readouterr().out
    assert "warning:" in said
    assert "beside 1 run" in said
    shutil.rmtree(tmp_path / "runs" / "dead")
    from benchmark.records import cases_frame, read_records, stands_beside

    older = {**run, "spec": run["spec"] | {"rules": record["spec"]["rules"] - 1}}
    assert stands_beside(record, run)
    assert not stands_beside(record, older)

    records = [*read_records(tmp_path), *read_external(tmp_path)]
    (group,) = comparison_groups(records, cases_frame(records), pd.DataFrame())
    assert [run.title for run in group.runs] == ["U-Net", "nnU-Net (external)"]
    assert group.cases["architecture"].value_counts().to_dict() == {"unet": 12, "nnU-Net": 12}


@pytest.mark.parametrize("name", ["unet", "U-Net", "DeepLabV3", "../x", "", "a b", "x" * 41])
def test_names_that_would_mislead_are_refused(phantom, tmp_path, capsys, name):
    error = refused(capsys, *phantom, "--dataset", "acdc", "--results", tmp_path, "--name", name)
    assert "--name" in error
    assert not list(tmp_path.iterdir())


def test_an_entry_needs_a_dataset_and_its_tree(phantom, tmp_path, capsys):
    truth, made = phantom
    assert "--dataset" in refused(capsys, truth, made, "--name", "x", "--results", tmp_path)
    arguments = (made, made, "--dataset", "acdc", "--name", "x", "--results", tmp_path)
    assert "expected the tree of ACDC" in refused(capsys, *arguments)


def test_faults_are_one_sentence(phantom, tmp_path, capsys):
    truth, made = phantom
    assert "found nothing" in refused(capsys, truth, tmp_path / "none", "--dataset", "acdc")
    assert "Did you mean 'acdc'" in refused(capsys, truth, made, "--dataset", "acdcc")
    said = refused(capsys, truth, made, "--dataset", "acdc", "-o", tmp_path)
    assert "expected a file to write" in said
    one = min(made.iterdir())
    (tmp_path / one.name).write_bytes(one.read_bytes()[:300])
    assert one.name in refused(capsys, truth, tmp_path, "--dataset", "acdc")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--classes", "a=0"],
        ["--classes", "a"],
        ["--classes", "a=1,b=1"],
        ["--classes", "a=1", "--dataset", "acdc"],
        ["--tolerance-mm", "0"],
        ["--tolerance-mm", "nan"],
        ["--definition", "medpy"],
    ],
)
def test_usage_errors(phantom, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", *map(str, phantom), *arguments])
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_what_is_not_scored_is_said(phantom, tmp_path, capsys):
    made = str(phantom[1])
    assert main(["evaluate", made, made, "--classes", "lv=3"]) == 0
    assert "--classes does not name it: label: 1, 2." in capsys.readouterr().out
    shutil.copytree(made, tmp_path / "made")
    for path in (tmp_path / "made").iterdir():
        path.rename(path.with_name(f"x{path.name}"))
    assert main(["evaluate", *[str(tmp_path / "made")] * 2, "--dataset", "acdc"]) == 0
    said = capsys.readouterr().out
    assert "No clinical endpoints of 4 cases, whose names do not tell patient and phase" in said
    assert "Clinical endpoints of" not in said
    assert "phantom" not in said


def test_classes_by_name(phantom, tmp_path, capsys):
    out = tmp_path / "c.csv"
    made = str(phantom[1])
    assert main(["evaluate", made, made, "--classes", "rv=1,myo=2,lv=3", "-o", str(out)]) == 0
    frame = pd.read_csv(out)
    assert list(frame["class"].unique()) == ["rv", "myo", "lv"]
    assert (frame["dice"] == 1).all()
    assert (frame["hd_mm"] == 0).all()
