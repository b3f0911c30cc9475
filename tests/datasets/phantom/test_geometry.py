"""Shapes, contours and volumes against formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.phantom.apical import AtrialProfile, Profile, mean, mean_product
from datasets.phantom.atrium import turned
from datasets.phantom.geometry import Contour, coverage, ellipsoid, tube, union, volume_ml
from datasets.phantom.heart import GROUPS, random_heart
from datasets.phantom.texture import rician, smooth_field, stretch

small = st.floats(-0.08, 0.08)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(small, small), min_size=1, max_size=4))
def test_contour_area_is_exact(waves) -> None:
    contour = Contour(tuple(waves))
    angle = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    polar = 0.5 * np.mean(contour.factor(angle) ** 2) * 2 * np.pi
    assert contour.area_factor * np.pi == pytest.approx(polar, rel=1e-9)


def test_volume_of_a_turned_ellipsoid() -> None:
    shape = ellipsoid((3.0, -2.0, 1.0), (12.0, 18.0, 25.0), turned(0.4, -0.3, 0.2))
    assert volume_ml(shape) == pytest.approx(4 / 3 * np.pi * 12 * 18 * 25 / 1000, rel=5e-4)


def test_volume_of_a_tube_and_of_a_union() -> None:
    rod = tube([(0.0, 0.0, 0.0), (0.0, 0.0, 40.0)], (6.0, 6.0))
    exact = (np.pi * 36 * 40 + 4 / 3 * np.pi * 216) / 1000
    assert volume_ml(rod) == pytest.approx(exact, rel=1.5e-3)
    apart = union((rod, ellipsoid((60.0, 0.0, 0.0), (8.0, 8.0, 8.0))), 5.0)
    assert volume_ml(apart) == pytest.approx(exact + 4 / 3 * np.pi * 0.512, rel=1.5e-3)


def test_boxes_hold_their_shapes() -> None:
    body = ellipsoid((0.0, 0.0, 0.0), (10.0, 20.0, 30.0), turned(0.7, 0.5, -0.4))
    shape = union((body, tube([(0, 0, 0), (25, 9, 4)], (5.0, 4.0))), 8.0)
    axis = np.linspace(-50, 50, 101, dtype=np.float32)
    inside = shape.distance(axis[:, None, None], axis[None, :, None], axis[None, None, :]) <= 0
    for dim, (low, high) in enumerate(zip(shape.low, shape.high, strict=True)):
        used = axis[np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != dim)))]
        assert low <= used[0]
        assert used[-1] <= high


def test_coverage_is_half_on_the_surface() -> None:
    found = coverage(np.array([-9.0, 0.0, 0.5, 9.0], np.float32), 2.0)
    np.testing.assert_allclose(found, [1.0, 0.5, 0.25, 0.0])


@pytest.mark.parametrize("group", list(GROUPS))
@pytest.mark.parametrize("seed", range(12))
def test_hearts_are_possible(group: str, seed: int) -> None:
    heart = random_heart(group, rng=np.random.default_rng(seed))
    for phase in (heart.diastole, heart.systole):
        heights = np.linspace(phase.base, phase.base + phase.outer_length, 60)
        wall = [phase.outer_radius_at(z) - phase.inner_radius_at(z) for z in heights]
        assert min(wall[:-1]) > 2.0
        assert max(wall) < 32.0
        assert 3.0 < phase.right_depth < 75.0
    assert heart.systole.inner_volume_ml() < heart.diastole.inner_volume_ml()
    assert heart.systole.right_volume_ml() < heart.diastole.right_volume_ml()


def test_right_ventricle_has_the_volume_asked_for() -> None:
    heart = random_heart("NOR", rng=np.random.default_rng(3)).diastole
    assert heart.with_right_volume(123.0).right_volume_ml() == pytest.approx(123.0, rel=1e-9)


@pytest.mark.parametrize("group", ["NOR", "DCM", "RV"])
def test_right_volume_against_a_plain_sum(group: str) -> None:
    heart = random_heart(group, rng=np.random.default_rng(5)).systole
    u = -1 + 2 * (np.arange(800) + 0.5) / 800
    total = 0.0
    for z in heart.right_base + heart.right_length * (np.arange(1000) + 0.5) / 1000:
        half = heart.half_angle_at(z)
        rest = heart.septal_radius_at(z) * heart.contour.factor(heart.septum + half * u)
        outside = rest + heart.depth_at(z) * heart.crescent(u)
        total += half * float(np.mean(outside**2 - rest**2))
    assert heart.right_volume_ml() == pytest.approx(total * heart.right_length / 1e6, rel=1e-4)


def test_profile_integrals() -> None:
    t = (np.arange(200_000) + 0.5) / 200_000
    first, second = Profile(0.7, 0.4, 2.5), Profile(0.8, 0.3, 3.0)
    assert mean(first) == pytest.approx(float(first(t).mean()), rel=1e-5)
    assert mean_product(first, second) == pytest.approx(
        float((first(t) * second(t)).mean()), rel=1e-5
    )
    half = AtrialProfile(1.0)
    assert mean(half) == pytest.approx(np.pi / 4, rel=1e-6)
    assert mean_product(half, half) == pytest.approx(2 / 3, rel=1e-6)


def test_noise_and_fields() -> None:
    rng = np.random.default_rng(0)
    silent = rician(np.zeros((200, 200), np.float32), 2.0, rng=rng)
    assert silent.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.02)
    field = smooth_field((40, 50), (4, 5), rng=rng, octaves=2)
    assert field.shape == (40, 50)
    assert np.abs(np.diff(field, axis=0)).max() < 1.0
    line = stretch(np.array([0.0, 1.0], np.float32), (5,))
    np.testing.assert_allclose(line, [0.0, 0.15625, 0.5, 0.84375, 1.0])
