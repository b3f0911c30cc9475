"""What the phantoms' markers say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import datasets
from datasets.phantom import MARKER, folder_name


@pytest.fixture(scope="session")
def markers(phantoms: Path) -> dict[str, dict]:
    return {
        dataset: json.loads((phantoms / folder_name(dataset) / MARKER).read_text())
        for dataset in datasets.NAMES
    }
