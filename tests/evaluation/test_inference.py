from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.preprocessing import prepare
from benchmark.evaluation.inference import Predictor, softmax


class Threshold:
    """A network whose logits depend on one voxel only: where it is bright is class 1."""

    def __init__(self) -> None:
        self.shapes: set[tuple[int, ...]] = set()

    def predict_on_batch(self, batch):
        self.shapes.add(batch.shape)
        return np.concatenate([np.zeros_like(batch), 20 * batch], axis=-1)


def prepared(shape, seed=0, target=(None, None, None), spacing=None):
    rng = np.random.default_rng(seed)
    image = np.zeros(shape, np.float32)
    region = tuple(slice(size // 4, max(size // 4 + 1, 3 * size // 4)) for size in shape)
    image[region] = 1.0
    image += 0.05 * rng.random(shape, np.float32)
    return prepare(image, np.zeros(shape, np.uint8), spacing or (1.0,) * len(shape), target), region


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.integers(1, 6), st.integers(3, 40), st.integers(3, 40)),
    st.sampled_from([0.0, 0.25, 0.5, 0.75]),
    st.sampled_from([(16, 16), (4, 16, 16)]),
)
def test_windows_cover_every_voxel_whatever_the_size(shape, overlap, patch):
    case, region = prepared(shape)
    model = Threshold()
    predictor = Predictor(model, patch, batch_size=3, overlap=overlap)
    probabilities = predictor.probabilities(case)
    assert probabilities.shape == (*shape, 2)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    expected = np.zeros(shape, np.uint8)
    expected[region] = 1
    np.testing.assert_array_equal(predictor.mask(case), expected)
    assert model.shapes == {(3, *patch, 1)}  # one shape: no backend compiles twice


def test_planar_case_comes_back_in_the_shape_of_its_file():
    case, region = prepared((30, 50), target=(None, 0.5, 0.5))
    assert case.image.shape == (1, 60, 100)
    mask = Predictor(Threshold(), (32, 32), batch_size=2, overlap=0.5).mask(case)
    assert mask.shape == (30, 50)
    assert mask.dtype == np.uint8
    truth = np.zeros((30, 50), np.uint8)
    truth[region] = 1
    assert (mask != truth).mean() < 0.02


def test_prediction_returns_to_the_native_grid():
    case, region = prepared((6, 48, 40), target=(None, 2.0, 3.0), spacing=(10.0, 1.0, 1.0))
    assert case.image.shape == (6, 24, 13)
    mask = Predictor(Threshold(), (16, 16), batch_size=2, overlap=0.5).mask(case)
    truth = np.zeros((6, 48, 40), np.uint8)
    truth[region] = 1
    overlap = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
    assert overlap > 0.9


def test_overlapping_windows_weigh_their_middle_most():
    class Position:
        """Says 1 in the first window and 0 in the others."""

        def __init__(self):
            self.calls = 0

        def predict_on_batch(self, batch):
            value = 10.0 if self.calls == 0 else -10.0
            self.calls += 1
            return np.stack([np.zeros(batch.shape[:-1]), np.full(batch.shape[:-1], value)], -1)

    case, _ = prepared((1, 16, 24))
    result = Predictor(Position(), (16, 16), batch_size=1, overlap=0.5).probabilities(case)
    line = result[0, 8, :, 1]
    assert line[:8] == pytest.approx(1, abs=1e-3)
    assert line[16:] == pytest.approx(0, abs=1e-3)
    assert np.all(np.diff(line[8:16]) < 0)
    assert line[11] + line[12] == pytest.approx(1, abs=1e-3)


def test_softmax_does_not_overflow():
    result = softmax(np.array([[1e4, 0.0], [-1e4, -1e4]], np.float32))
    np.testing.assert_allclose(result, [[1, 0], [0.5, 0.5]])


def test_evaluation_of_perfect_masks(spec, tmp_path: Path):
    """Truth as prediction: Dice 1 on the native grid, and every file of the record is there."""
    import nibabel as nib
    import pandas as pd

    from benchmark.data.cache import Cache
    from benchmark.evaluation.cases import CASE_COLUMNS, evaluate, unannotated_classes
    from benchmark.evaluation.endpoints import CLINICAL_COLUMNS
    from datasets import acdc
    from datasets.case import Case

    mask = np.zeros((40, 36, 5), np.uint8)
    mask[8:20, 8:20, 1:4], mask[22:30, 8:20, 1:4] = 1, 3
    for name, array in (("i", mask.astype(np.int16) * 100), ("m", mask)):
        nib.save(nib.Nifti1Image(array, np.diag([1.5, 1.5, 8, 1])), tmp_path / f"{name}.nii.gz")
    case = Case("patient001_ED", "patient001", tmp_path / "i.nii.gz", tmp_path / "m.nii.gz",
                {"phase": "ED", "group": "DCM"})  # fmt: skip
    cached = Cache(tmp_path / "cache", acdc.INFO, (None, None, None)).load([case])
    missing = unannotated_classes(acdc.INFO, cached)
    assert missing == ["myocardium"]

    class Oracle:
        def warm_up(self):
            pass

        def mask(self, prepared):
            return np.asarray(prepared.mask)

    result = evaluate(Oracle(), cached, spec=spec, info=acdc.INFO, unannotated=missing,
                      folder=tmp_path / "run")  # fmt: skip
    frame = pd.read_csv(tmp_path / "run" / "cases.csv")
    assert tuple(frame.columns) == CASE_COLUMNS
    assert list(frame["class"]) == ["right_ventricle", "left_ventricle"]
    assert (frame["dice"] == 1).all()
    assert (frame["hd95_mm"] == 0).all()
    assert (frame[["loss_boundary", "loss_missed", "loss_invented"]] == 0).all(axis=None)
    assert (frame[["dice_base", "dice_mid", "dice_apex"]] == 1).all(axis=None)
    assert (frame["phase"] == "ED").all()
    assert (frame["group"] == "DCM").all()
    assert frame["volume_truth_ml"].iloc[0] == pytest.approx(12 * 12 * 3 * 1.5 * 1.5 * 8 / 1000)
    assert result.summary() == {"dice": 1.0, "iou": 1.0}
    clinical = pd.read_csv(tmp_path / "run" / "clinical.csv")
    assert tuple(clinical.columns) == CLINICAL_COLUMNS
    assert list(clinical["endpoint"]) == ["lv_edv", "rv_edv"]
    assert (clinical["truth"] == clinical["prediction"]).all()
    assert (clinical["run"] == spec.key).all()
    written = nib.load(tmp_path / "run" / "predictions" / "patient001_ED.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), mask)
    picture = np.load(tmp_path / "run" / "slices" / "patient001_ED.npz")
    assert picture["image"].dtype == np.uint8
    assert picture["truth"].shape == picture["image"].shape == (5, 26, 39)  # around the truth
    assert float(picture["dice"]) == 1.0


def test_rule_reading_is_not_inference(spec, tmp_path):
    """The clock sees arrays in memory, never the memory-mapped cache."""
    import nibabel as nib

    from benchmark.data.cache import Cache
    from benchmark.evaluation.cases import evaluate
    from datasets import acdc
    from datasets.case import Case

    mask = np.zeros((16, 16, 2), np.uint8)
    mask[4:8, 4:8] = 1
    for name, array in (("i", mask.astype(np.int16)), ("m", mask)):
        nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / f"{name}.nii.gz")
    case = Case("a", "p", tmp_path / "i.nii.gz", tmp_path / "m.nii.gz", {})
    cached = Cache(tmp_path / "cache", acdc.INFO, (None, None, None)).load([case])
    assert isinstance(cached[0].prepared.image, np.memmap)
    calls = []

    class Watch:
        def warm_up(self):
            calls.append("warm-up")

        def mask(self, prepared):
            calls.append(type(prepared.image))
            return np.array(prepared.mask)

    evaluate(Watch(), cached, spec=spec, info=acdc.INFO, unannotated=[], folder=tmp_path / "r")
    assert calls == ["warm-up", np.ndarray]
