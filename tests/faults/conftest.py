"""A small experiment on which real processes are harmed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmark.records import read_records

ROOT = Path(__file__).resolve().parent.parent.parent

RUNS = 2


@dataclass(frozen=True)
class Matrix:
    """An experiment file with two runs, and a results folder with phantoms and prepared cases."""

    file: Path
    results: Path

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command of the suite on this matrix."""
        command = [sys.executable, "-m", "benchmark", *(arguments or ("run",))]
        return subprocess.Popen(
            [*command, str(self.file), "--profile", "smoke", "--results", str(self.results)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **environment},
        )  # fmt: skip

    def call(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the suite to its end."""
        with self.start(*arguments, **environment) as process:
            out, err = process.communicate(timeout=600)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @property
    def records(self) -> list[dict]:
        return read_records(self.results)

    def stamps(self) -> dict[str, int]:
        """When the record of each run was written: unchanged where it was not run again."""
        files = self.results.glob("runs/*/record.json")
        return {path.parent.name: path.stat().st_mtime_ns for path in files}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Matrix:
    """The matrix after it has been run once, unharmed."""
    folder = tmp_path_factory.mktemp("faults")
    text = (ROOT / "experiments.yaml").read_text(encoding="utf-8")
    for old, new in (
        ("architectures: [unet, attention_unet, vnet, deeplabv3]", "architectures: [unet]"),
        ("datasets: [decathlon, acdc, camus]", "datasets: [camus]"),
        ("seeds: [0]", "seeds: [0, 1]"),
        ("data_root: data", f"data_root: {folder / 'none'}"),
    ):
        assert old in text
        text = text.replace(old, new)
    file = folder / "experiments.yaml"
    file.write_text(text, encoding="utf-8")
    matrix = Matrix(file, folder / "results")
    done = matrix.call()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(matrix.records) == RUNS
    return matrix


@pytest.fixture
def fresh(prepared, tmp_path) -> Matrix:
    """The matrix before its runs, its phantoms and prepared cases at hand."""
    results = tmp_path / "results"
    shutil.copytree(prepared.results / "phantoms", results / "phantoms")
    shutil.copytree(prepared.results / "cache", results / "cache")
    return Matrix(prepared.file, results)


@pytest.fixture
def finished(prepared, tmp_path) -> Matrix:
    """A copy of the matrix with its finished runs."""
    results = tmp_path / "results"
    shutil.copytree(prepared.results, results, ignore=shutil.ignore_patterns("ml*"))
    return Matrix(prepared.file, results)
