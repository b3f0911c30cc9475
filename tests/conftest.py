"""Fixtures that several rooms share."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from benchmark.experiment.spec import RunSpec
from tests.protocols import SMALL

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with real scans; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("BENCHMARK_REAL_DATA", ROOT / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real scans in {folder}")
    return folder


# One small phantom of every dataset, by its number of patients.
PHANTOM_PATIENTS = {"decathlon": 1, "acdc": 5, "camus": 3}
PHANTOM_SEED = 7


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a phantom of every dataset, to be read only.

    It is written once, whichever of the processes of a parallel test run comes first.
    """
    from datasets.phantom import write_phantom

    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "phantoms"
    root.mkdir(exist_ok=True)
    for dataset, patients in PHANTOM_PATIENTS.items():
        with (root / f"{dataset}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            write_phantom(dataset, root, patients=patients, seed=PHANTOM_SEED)
    return root


@pytest.fixture
def experiment_text() -> str:
    """The published experiment file."""
    return (ROOT / "experiments.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def spec() -> RunSpec:
    """The specification of a very small run."""

    return RunSpec(
        architecture="unet",
        options={"filters": 4},
        dims=2,
        dataset="acdc",
        source="phantom",
        fingerprint="f" * 16,
        code="c" * 12,
        fold=0,
        seed=0,
        protocol=SMALL,
    )
