"""`data verify` and `data show`: what they print, write and return."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import datasets
from benchmark.cli import main


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("phantoms")
    datasets.write_phantom("acdc", root, patients=2, seed=2)
    datasets.write_phantom("camus", root, patients=1, seed=2)
    return root


def refused(capsys, *arguments: str) -> str:
    assert main(["data", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def test_sound_releases(capsys, phantoms):
    assert main(["data", "verify", str(phantoms)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"acdc (phantom) in {phantoms / 'ACDC'}: 8 image files opened")
    assert out[-1] == "0 faults"
    assert any(line.startswith("camus (phantom)") for line in out)


def test_every_fault_is_one_line(capsys, phantoms, tmp_path):
    shutil.copytree(phantoms, tmp_path, dirs_exist_ok=True)
    harmed = sorted(tmp_path.rglob("*_gt.nii.gz"))
    for path in harmed:
        path.write_bytes(path.read_bytes()[:-9])
    assert main(["data", "verify", str(tmp_path)]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "fault: " in line]
    assert sorted(line.split()[1] for line in lines) == [str(path) for path in harmed]


def test_roots_without_a_dataset(capsys, tmp_path):
    assert "expected a dataset" in refused(capsys, "verify", str(tmp_path))
    assert "expected a folder" in refused(capsys, "verify", str(tmp_path / "no"))


@pytest.mark.parametrize("case", ["patient001_ES", "patient0001_4CH_ED"])
def test_a_case_is_drawn(capsys, phantoms, tmp_path, case):
    from matplotlib.image import imread

    target = tmp_path / "picture.png"
    arguments = ["data", "show", case, "--data-root", str(phantoms), "-o", str(target)]
    assert main(arguments) == 0
    assert capsys.readouterr().out.strip() == str(target)
    picture = imread(target)[..., :3]
    assert min(picture.shape[:2]) > 500
    grey = np.ptp(picture, axis=2) < 0.02
    assert 0.001 < (~grey).mean() < 0.2  # outlines, legend and the mark of a phantom


def test_a_case_is_drawn_beside_damaged_ones(phantoms, tmp_path, monkeypatch):
    shutil.copytree(phantoms / "ACDC", tmp_path / "data/ACDC")
    (tmp_path / "data/ACDC/training/patient002/Info.cfg").unlink()
    monkeypatch.chdir(tmp_path)
    assert main(["data", "show", "patient001_ED"]) == 0
    assert (tmp_path / "patient001_ED.png").stat().st_size > 10_000


def test_cases_that_are_not_there(capsys, phantoms, tmp_path):
    root = ("--data-root", str(phantoms))
    assert "Did you mean 'patient001_ED'?" in refused(capsys, "show", "patint001_ED", *root)
    hint = refused(capsys, "show", "patient002", *root)
    assert "Its cases are patient002_ED, patient002_ES." in hint
    assert "ends in .png" in refused(capsys, "show", "patient001_ED", *root, "-o", "a.pdf")
    assert "expected a folder" in refused(
        capsys, "show", "la_003", "--data-root", str(tmp_path / "a")
    )
