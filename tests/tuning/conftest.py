"""A plan of one run, and a study around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from benchmark.experiment.layers import one_run
from benchmark.experiment.plan import Plan, make_plan
from benchmark.experiment.tuning_section import Range, TuningSection
from benchmark.tuning.study import Study

EXPERIMENT = {
    "name": "small",
    "data": "phantom",
    "matrix": {"architectures": ["unet"], "datasets": ["acdc"]},
    "protocol": {
        "folds": 5, "batch_size_2d": 4, "batch_size_3d": 1, "epochs": 3,
        "steps_per_epoch": [2, 2], "validation_patches_2d": 8, "validation_patches_3d": 2,
        "learning_rate": 0.002,
    },
    "datasets": {
        "acdc": {"spacing_mm": [None, 4.0, 4.0], "patch_2d": [32, 32], "patch_3d": [8, 32, 32],
                 "phantom_patients": 5},
    },
    "architectures": {"unet": {"options": {"filters": 4, "depth": 2}}},
    "tuning": {
        "search": {
            "protocol.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
            "options.filters": [2, 4],
        },
        "startup_trials": 2,
    },
    "profiles": {"smoke": {}},
}  # fmt: skip

AXES = {"x": Range(low=0.0, high=1.0), "kind": ("a", "b")}


@pytest.fixture
def experiment(tmp_path) -> Path:
    path = tmp_path / "e.yaml"
    path.write_text(yaml.safe_dump(EXPERIMENT), encoding="utf-8")
    return path


@pytest.fixture
def plan(experiment, tmp_path) -> Plan:
    layers = [one_run("unet", "acdc", fold=0, seed=0)]
    return make_plan(experiment, results=tmp_path / "results", profile="smoke", layers=layers)


@pytest.fixture
def study(tmp_path) -> Iterator[Callable[..., Study]]:
    """Open studies of one name, as processes that share it do."""
    opened = []

    def enter(**how) -> Study:
        section = TuningSection(search={"x": [0]}, **how)
        opened.append(Study(tmp_path, "fake", AXES, section).__enter__())
        return opened[-1]

    yield enter
    for each in opened:
        each.__exit__()
