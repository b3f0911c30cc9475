from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Suite:
    """A results folder and the experiment file it was made from."""

    file: Path
    results: Path
    first: subprocess.CompletedProcess

    def call(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return call(*arguments, "--results", str(self.results), **environment)

    def at(self, results: Path) -> Suite:
        """The same suite with a copy of its results."""
        return replace(self, results=results)


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    return subprocess.run(
        [sys.executable, "-m", "benchmark", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=280, env=clean | environment,
    )  # fmt: skip


@pytest.fixture(scope="session")
def suite(tmp_path_factory) -> Suite:
    """The published file in its smoke profile: two networks on phantoms of ACDC, one on CAMUS'."""
    folder = tmp_path_factory.mktemp("suite")
    text = (ROOT / "experiments.yaml").read_text(encoding="utf-8")
    for old, new in (
        ("architectures: [unet, attention_unet, vnet, deeplabv3]", "architectures: [unet, vnet]"),
        (
            "datasets: [decathlon, acdc, camus]",
            "datasets: [acdc, camus]\n  exclude: [{architecture: vnet, dataset: camus}]",
        ),
        ("data_root: data", f"data_root: {folder / 'none'}\ntracking: {{models: best}}"),
    ):
        assert old in text
        text = text.replace(old, new)
    file, results = folder / "experiments.yaml", folder / "results"
    file.write_text(text, encoding="utf-8")
    first = call("run", str(file), "--profile", "smoke", "--results", str(results))
    return Suite(file, results, first)
