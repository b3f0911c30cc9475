"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmark.experiment.spec import Protocol, RunSpec

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with real scans; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("BENCHMARK_REAL_DATA", ROOT / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real scans in {folder}")
    return folder


@pytest.fixture
def experiment_text() -> str:
    """The published experiment file."""
    return (ROOT / "experiments.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def spec() -> RunSpec:
    """The specification of a very small run."""
    protocol = Protocol(
        split="kfold",
        folds=5,
        validation_fraction=0.1,
        split_seed=0,
        spacing_mm=(None, 4.0, 4.0),
        patch_2d=(32, 32),
        patch_3d=(8, 32, 32),
        batch_size_2d=4,
        batch_size_3d=1,
        epochs=2,
        steps_per_epoch=(3, 3),
        validation_patches_2d=6,
        validation_patches_3d=2,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=0.0,
        loss="dice_cross_entropy",
        augmentation="none",
        precision="float32",
        compile="none",
        backend="tensorflow",
        overlap=0.0,
        postprocessing="none",
        surface_definition="metrics_reloaded",
        nsd_tolerance_mm=2.0,
        track="epochs",
        max_steps=None,
        max_train_s=None,
        target_dice=None,
        deterministic=False,
    )
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
        protocol=protocol,
    )
