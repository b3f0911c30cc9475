"""A finished run whose network is a formula, and images to try it on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmark.evaluation.inference import Predictor
from benchmark.experiment.spec import RunSpec
from benchmark.records import WEIGHTS, write_record
from benchmark.trained import Trained

LPS = np.diag([-1.5, -1.5, 8.0, 1.0])


class Formula:
    """A network of four classes: the brighter, the higher the class, and more so below and right.

    What depends on the place in the window tells a mirrored or turned image from the true one.
    """

    def __init__(self, lean: float = 0.3) -> None:
        self.lean = lean

    def predict_on_batch(self, batch):
        bright = batch[..., 0]
        rows = np.linspace(-1, 1, bright.shape[-2], dtype=np.float32)[:, np.newaxis]
        columns = np.linspace(-2, 2, bright.shape[-1], dtype=np.float32)
        value = bright + self.lean * (rows + columns)
        return np.stack([-6 * np.abs(value - level) for level in (-0.8, 0.6, 1.6, 2.6)], axis=-1)


@pytest.fixture
def finished(tmp_path: Path, spec: RunSpec) -> Callable[..., str]:
    """Write a finished run into the results folder ``tmp_path / "results"``; return its key."""

    def write(*, dataset: str = "acdc", affine=LPS, record=None, dims_of_masks: int = 3, **changes):
        import datasets

        mine = dataclasses.replace(spec, dataset=dataset, **changes)
        folder = tmp_path / "results" / "runs" / mine.key
        (folder / "predictions").mkdir(parents=True, exist_ok=True)
        mask = np.zeros((4, 4, 4)[:dims_of_masks], np.uint8)
        nib.save(nib.Nifti1Image(mask, affine), folder / "predictions" / "a.nii.gz")
        (folder / WEIGHTS).write_bytes(b"")
        content = {
            "key": mine.key,
            "name": mine.name,
            "spec": mine.to_dict(),
            "status": "ok",
            "classes": dict(datasets.info(dataset).classes),
            "split": {"train": ["patient001"], "validation": ["patient002"],
                      "test": ["patient003"]},
            "summary": {"dice": 0.9, "validation_dice": 0.9},
            "environment": {"device": {"precision": "float32"}},
        }  # fmt: skip
        write_record(folder, content | (record or {}))
        return mine.key

    return write


@pytest.fixture
def formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every run have a formula for its network, with as much lean as its seed says."""

    def predictor(self: Trained, *, precision: str | None = None) -> Predictor:
        return Predictor(
            Formula(0.3 + 0.2 * self.spec.seed), self.spec.patch, batch_size=2, overlap=0.5
        )

    monkeypatch.setattr(Trained, "predictor", predictor)


@pytest.fixture
def scene() -> Callable[..., np.ndarray]:
    """Images ``(x, y, z)`` with three bright ellipsoids, none of them in the middle."""

    def draw(shape=(34, 30, 6), seed=0, scale=1.0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        grid = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
        image = 40 + 8 * rng.random(shape)
        for level, centre, radius in (
            (120, (-0.4, 0.2, 0.1), 0.5),
            (200, (-0.3, 0.25, 0.0), 0.35),
            (300, (0.5, -0.3, 0.2), 0.3),
        ):
            inside = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True))
            image[inside < (scale * radius) ** 2] = level
        return image.astype(np.float32)

    return draw
