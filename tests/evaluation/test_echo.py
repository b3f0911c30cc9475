import math

import numpy as np
import pytest

from benchmark.evaluation.echo import see, ventricle_volumes

SPACING_MM = (0.5, 0.5)


def image(diameter, length):
    """A half ellipsoid's view, label 1, under a myocardium of label 2."""
    y, x = np.mgrid[:240, :200]
    up, across = 200 - y, x - 100

    def half(width, height):
        return (up >= 0) & ((up / height) ** 2 + (across / width) ** 2 <= 1)

    return np.where(half(diameter, 2 * length), 1, 2 * half(diameter + 15, 2 * length + 20))


def exam(*keys):
    sizes = {
        ("2CH", "ED"): (52, 92),
        ("4CH", "ED"): (50, 92),
        ("2CH", "ES"): (38, 76),
        ("4CH", "ES"): (36, 76),
    }
    return {key: see(image(*sizes[key]).astype(np.uint8), SPACING_MM) for key in keys or sizes}


def test_a_full_exam_is_measured_by_every_method():
    volumes = ventricle_volumes(exam())
    assert list(volumes) == ["simpson_biplane", "simpson_2ch", "simpson_4ch", "camus_official"]
    exact = {"simpson_biplane": (52, 50), "simpson_2ch": (52, 52), "simpson_4ch": (50, 50)}
    for method, (first, second) in exact.items():
        ellipsoid_ml = math.pi / 6 * first * second * 92 / 1000
        assert volumes[method].edv_ml == pytest.approx(ellipsoid_ml, rel=0.015), method
    assert volumes["simpson_biplane"].ef_pct == pytest.approx(56.5, abs=0.7)
    assert volumes["camus_official"].ef_pct < volumes["simpson_biplane"].ef_pct - 7


@pytest.mark.parametrize("view", ["2CH", "4CH"])
def test_one_view_is_measured_in_one_plane(view):
    volumes = ventricle_volumes(exam((view, "ED"), (view, "ES")))
    assert list(volumes) == [f"simpson_{view.lower()}"]


def test_half_a_view_is_not_measured():
    assert ventricle_volumes(exam(("2CH", "ED"), ("4CH", "ES"))) == {}


def test_an_empty_mask_is_not_measurable_and_spoils_only_what_needs_it():
    views = exam()
    views["4CH", "ES"] = see(np.zeros((240, 200), np.uint8), SPACING_MM)
    assert views["4CH", "ES"].empty
    volumes = ventricle_volumes(views)
    assert math.isnan(volumes["simpson_biplane"].ef_pct)
    assert not math.isnan(volumes["simpson_biplane"].edv_ml)
    assert math.isnan(volumes["camus_official"].ef_pct)
    assert not math.isnan(volumes["simpson_2ch"].ef_pct)
