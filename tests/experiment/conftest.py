"""A small experiment file whose sections a test replaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

SMALL: dict[str, Any] = {
    "name": "small",
    "data": "phantom",
    "matrix": {"architectures": ["unet", "vnet"], "datasets": ["acdc", "camus"]},
    "protocol": {
        "folds": 5, "batch_size_2d": 4, "batch_size_3d": 1, "epochs": 2,
        "steps_per_epoch": [3, 3], "validation_patches_2d": 8, "validation_patches_3d": 2,
        "learning_rate": 0.002,
    },
    "datasets": {
        name: {"spacing_mm": [None, 4.0, 4.0], "patch_2d": [64, 64], "patch_3d": [16, 64, 64]}
        for name in ("acdc", "camus")
    },
    "architectures": {"unet": {"options": {"filters": 4}}, "vnet": {"options": {"filters": 2}}},
    "profiles": {"quick": {}},
}  # fmt: skip


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the file with some sections changed, and gives its path."""

    def write(**sections: Mapping[str, Any]) -> Path:
        content = {**SMALL, **{
            name: {**SMALL.get(name, {}), **section} for name, section in sections.items()
        }}  # fmt: skip
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return path

    return write
