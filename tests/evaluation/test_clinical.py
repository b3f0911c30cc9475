import math

import numpy as np
import pytest

from benchmark.evaluation.clinical import Ventricle, myocardial_mass_g, volume_ml


def test_a_volume_is_voxels_times_their_size():
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[:2, :3, :4] = 1
    assert volume_ml(mask, 1, (10.0, 1.5, 1.25)) == pytest.approx(24 * 18.75 / 1000)


@pytest.mark.parametrize("edv_ml", [0.0, math.nan])
def test_no_ejection_fraction_without_a_diastolic_volume(edv_ml):
    assert math.isnan(Ventricle(edv_ml, 10.0).ef_pct)


def test_an_absent_chamber_is_not_measurable():
    assert math.isnan(volume_ml(np.zeros((4, 5, 6), np.uint8), 1, (1.0, 1.0, 1.0)))


def test_ejection_fraction_and_stroke_volume():
    left = Ventricle(120.0, 48.0)
    assert (left.ef_pct, left.stroke_volume_ml) == (60.0, 72.0)


def test_mass_of_100_ml_of_muscle():
    assert myocardial_mass_g(100.0) == pytest.approx(105.0)


def test_planar_masks_are_sent_to_simpson():
    with pytest.raises(ValueError, match=r"comes from benchmark\.evaluation\.simpson"):
        volume_ml(np.ones((3, 3), np.uint8), 1, (1.0, 1.0))
