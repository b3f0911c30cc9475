"""One small phantom of every dataset, written once and read by all tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from datasets.phantom import MARKER, folder_name, write_phantom

PATIENTS: Mapping[str, int] = {"decathlon": 1, "acdc": 5, "camus": 3}
SEED = 7


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with all three phantoms."""
    root = tmp_path_factory.mktemp("phantoms")
    for dataset, patients in PATIENTS.items():
        write_phantom(dataset, root, patients=patients, seed=SEED)
    return root


@pytest.fixture(scope="session")
def markers(phantoms: Path) -> dict[str, dict]:
    return {
        dataset: json.loads((phantoms / folder_name(dataset) / MARKER).read_text())
        for dataset in PATIENTS
    }
