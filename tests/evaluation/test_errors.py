import math

import numpy as np
import pytest

from benchmark.evaluation.errors import ERROR_COLUMNS, locate_errors
from benchmark.evaluation.metrics import score

CLASSES = {"left_ventricle": 1, "myocardium": 2}


def volume():
    """Nine slices, wider towards the last: base there."""
    truth = np.zeros((9, 32, 32), np.uint8)
    for z in range(9):
        truth[z, 10 : 14 + z, 10:20] = 2
        truth[z, 11 : 13 + z, 12:18] = 1
    return truth


def test_perfect_masks_lose_nothing_anywhere():
    truth = volume()
    for values in locate_errors(truth, truth, (8.0, 1.5, 1.5), CLASSES).values():
        assert tuple(values) == ERROR_COLUMNS
        assert [values[name] for name in ERROR_COLUMNS[1:]] == [0, 0, 0, 1, 1, 1]
        assert math.isnan(values["area_truth_cm2"])


def test_slices_that_are_missed_are_found_at_their_end():
    truth = volume()
    prediction = truth.copy()
    prediction[:3] = 0  # the narrow end
    for name, values in locate_errors(truth, prediction, (8.0, 1.5, 1.5), CLASSES).items():
        assert (values["dice_base"], values["dice_mid"], values["dice_apex"]) == (1, 1, 0)
        scored = score(truth, prediction, (8.0, 1.5, 1.5), CLASSES)
        dice = {row["class"]: row["dice"] for row in scored}
        lost = values["loss_missed"] + values["loss_boundary"]
        assert lost == pytest.approx(1 - dice[name])
        assert values["loss_invented"] == 0


def test_planes_have_an_area_and_no_ends():
    truth = volume()[8]
    values = locate_errors(truth, np.zeros_like(truth), (0.5, 2.0), CLASSES)["left_ventricle"]
    assert values["area_truth_cm2"] == pytest.approx(10 * 6 * 0.5 * 2.0 / 100)
    assert values["loss_missed"] == 1
    assert all(math.isnan(values[f"dice_{end}"]) for end in ("base", "mid", "apex"))


def test_only_a_left_ventricle_has_base_and_apex():
    truth = volume()
    values = locate_errors(truth, truth, (8.0, 1.5, 1.5), {"left_atrium": 1})["left_atrium"]
    assert all(math.isnan(values[f"dice_{end}"]) for end in ("base", "mid", "apex"))
    assert values["loss_boundary"] == 0


def test_space_around_the_heart_changes_nothing():
    truth = volume()
    prediction = np.roll(truth, 2, axis=1)
    wide = [np.pad(array, ((3, 5), (40, 1), (0, 30))) for array in (truth, prediction)]
    near, far = (
        locate_errors(*pair, (8.0, 1.5, 1.5), CLASSES) for pair in ((truth, prediction), wide)
    )
    for name in CLASSES:
        np.testing.assert_equal(far[name], near[name])
        assert 0 < near[name]["loss_boundary"] < 1


def test_what_is_absent_from_both_has_no_error():
    empty = np.zeros((4, 8, 8), np.uint8)
    for values in locate_errors(empty, empty, (1.0, 1.0, 1.0), CLASSES).values():
        assert all(math.isnan(values[name]) for name in ERROR_COLUMNS)
