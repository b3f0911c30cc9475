import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.evaluation.decomposition import DiceLoss, dice_by_position, dice_loss
from benchmark.evaluation.metrics import METRICS

pairs = st.sampled_from([(6, 7), (4, 5, 6)]).flatmap(
    lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape))
)


@settings(max_examples=60, deadline=None)
@given(pairs, st.sampled_from([0.5, 1.0, 3.0]))
def test_the_parts_add_up_to_what_dice_lacks(pair, tolerance_mm):
    truth, prediction = pair
    spacing_mm = (1.5, 1.0, 0.7)[: truth.ndim]
    loss = dice_loss(truth, prediction, spacing_mm, tolerance_mm=tolerance_mm)
    lacking = 1 - METRICS["dice"](truth, prediction, spacing_mm)
    total = loss.boundary + loss.missed + loss.invented
    assert total == pytest.approx(lacking, nan_ok=True)


def square(rows, columns):
    mask = np.zeros((40, 40), bool)
    mask[rows, columns] = True
    return mask


def test_each_kind_of_error_has_its_part():
    truth = square(slice(5, 15), slice(5, 15))
    shifted = dice_loss(truth, square(slice(5, 15), slice(6, 16)), (1.0, 1.0))
    assert shifted == DiceLoss(pytest.approx(20 / 200), 0.0, 0.0)
    # A second structure far away: invented if only predicted, missed if only true.
    both = truth | square(slice(30, 35), slice(30, 35))
    invented = dice_loss(truth, both, (1.0, 1.0))
    assert invented == DiceLoss(0.0, 0.0, pytest.approx(25 / 225))
    # Of a missed structure only what lies deep inside is no shift of its boundary.
    missed = dice_loss(both, truth, (1.0, 1.0), tolerance_mm=1.0)
    assert missed.missed == pytest.approx(1 / 225)
    assert missed.boundary == pytest.approx(24 / 225)


def test_empty_masks():
    full, empty = np.ones((3, 3)), np.zeros((3, 3))
    assert dice_loss(full, empty, (1.0, 1.0)) == DiceLoss(0.0, 1.0, 0.0)
    assert dice_loss(empty, full, (1.0, 1.0)) == DiceLoss(0.0, 0.0, 1.0)
    assert math.isnan(dice_loss(empty, empty, (1.0, 1.0)).boundary)


@pytest.mark.parametrize("flipped", [False, True])
def test_the_base_is_the_larger_end(flipped):
    truth = np.zeros((11, 20, 20), np.uint8)
    for z in range(1, 10):
        truth[z, : 20 - 2 * z, :] = 1
    prediction = truth.copy()
    prediction[7:10] = 0
    stacks = (truth[::-1], prediction[::-1]) if flipped else (truth, prediction)
    rows = dice_by_position(*stacks, {"left_ventricle": 1})
    found = {row["position"]: row["dice"] for row in rows}
    assert found == {"base": 1.0, "mid": 1.0, "apex": 0.0}


def test_what_is_invented_beyond_the_heart_counts():
    truth = np.zeros((9, 4, 4), np.uint8)
    truth[3:6] = 1
    prediction = truth.copy()
    prediction[8] = 1
    found = {r["position"]: r["dice"] for r in dice_by_position(truth, prediction, {"lv": 1})}
    assert found["base"] == found["mid"] == 1.0
    assert found["apex"] == pytest.approx(2 / 3)


def test_positions_need_a_heart_and_a_stack():
    empty = np.zeros((3, 4, 4), np.uint8)
    assert dice_by_position(empty, empty, {"lv": 1}) == []
    with pytest.raises(ValueError, match="two label maps"):
        dice_by_position(empty[0], empty[0], {"lv": 1})
