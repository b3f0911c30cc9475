"""The largest piece of a structure, and the rule that decides whether it is kept."""

from __future__ import annotations

import math

import nibabel as nib
import numpy as np
import pytest

from benchmark.data.cache import Cache
from benchmark.errors import DataError
from benchmark.evaluation.postprocessing import choose, keep_largest
from datasets import acdc
from datasets.case import Case

CLASSES = acdc.INFO.classes


def test_only_the_largest_piece_stays():
    labels = np.zeros((10, 10), np.uint8)
    labels[1:5, 1:5] = 1
    labels[5, 5] = 1  # touches by a corner
    labels[8, 8] = 1
    labels[8, 1] = labels[1, 8] = 2
    cleaned = keep_largest(labels, [1])
    assert cleaned.dtype == labels.dtype
    assert np.count_nonzero(cleaned == 1) == 17
    assert np.count_nonzero(cleaned == 2) == 2
    assert np.count_nonzero(keep_largest(labels, [1, 2]) == 2) == 1
    assert labels[8, 8] == 1, "the input is left alone"


def test_a_mask_without_voxels_stays_as_it_is():
    empty = np.zeros((3, 4, 5), np.uint8)
    np.testing.assert_array_equal(keep_largest(empty, [1, 2]), empty)


@pytest.fixture
def validation(tmp_path):
    """Three cases: a right ventricle of one piece, a left ventricle of two, no myocardium."""
    mask = np.zeros((24, 20, 4), np.uint8)
    mask[2:8, 2:8, 1:3] = CLASSES["right_ventricle"]
    mask[12:18, 2:8, 1:3] = mask[20:22, 14:18, 1:3] = CLASSES["left_ventricle"]
    cases = []
    for name in ("a", "b", "c"):
        for kind, array in (("i", mask.astype(np.int16) * 100), ("m", mask)):
            image = nib.Nifti1Image(array, np.diag([1.5, 1.5, 8, 1]))
            nib.save(image, tmp_path / f"{name}_{kind}.nii.gz")
        paths = tmp_path / f"{name}_i.nii.gz", tmp_path / f"{name}_m.nii.gz"
        cases.append(Case(name, name, *paths, {}))
    return Cache(tmp_path / "cache", acdc.INFO, (None, None, None)).load(cases)


class WithStrays:
    """Predicts the truth, and stray voxels of some labels beside it."""

    def __init__(self, *labels: int) -> None:
        self.labels = labels

    def mask(self, prepared):
        mask = np.array(prepared.mask)
        for row, label in enumerate(self.labels):
            mask[0, 19, row] = label
        return mask


def test_rule_few_patients_decide_nothing(validation):
    decision = choose(WithStrays(CLASSES["right_ventricle"]), validation[:2], acdc.INFO)
    verdict = decision.verdicts["right_ventricle"]
    assert verdict.after > verdict.before
    assert not verdict.applied
    assert decision.labels == ()


def test_rule_a_step_is_kept_per_class_only_if_validation_dice_rises(validation):
    right, left = CLASSES["right_ventricle"], CLASSES["left_ventricle"]
    decision = choose(WithStrays(right, left), validation, acdc.INFO)
    # The stray goes from the right ventricle; from the left one, a true piece would go with it.
    assert decision.labels == (right,)
    assert decision.cases == decision.patients == 3
    verdict = decision.verdicts["right_ventricle"]
    assert verdict.before == pytest.approx(2 * 72 / (72 + 73))
    assert verdict.after == 1.0
    assert decision.verdicts["left_ventricle"].after < decision.verdicts["left_ventricle"].before
    assert math.isnan(decision.verdicts["myocardium"].before)
    assert decision.to_dict()["classes"]["right_ventricle"] == {
        "applied": True,
        "validation_dice_without": verdict.before,
        "validation_dice_with": 1.0,
    }


def test_a_tie_is_no_reason_to_act(validation):
    assert choose(WithStrays(), validation[:1], acdc.INFO).verdicts["right_ventricle"].after == 1.0
    assert choose(WithStrays(), validation, acdc.INFO).labels == ()


def test_a_mask_that_has_gone_is_named(validation):
    validation[1].case.mask.unlink()
    with pytest.raises(DataError, match=r"b_m\.nii\.gz"):
        choose(WithStrays(), validation, acdc.INFO)
