"""Size and roundness of bodies whose measures are known, in voxels that are no cubes."""

import math

import numpy as np
import pytest

from benchmark.evaluation.shape import largest_diameter_mm, sphericity, surface_mm2

RADII_MM = (30.0, 20.0, 14.0)


def ellipsoid(radii_mm, spacing_mm, size_mm=80.0):
    axes = (np.arange(int(size_mm / step)) * step - size_mm / 2 for step in spacing_mm)
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return sum((axis / radius) ** 2 for axis, radius in zip((z, y, x), radii_mm, strict=True)) <= 1


def ellipsoid_surface_mm2(radii_mm):
    """Thomsen's approximation, within 1.1 %."""
    a, b, c = (radius**1.6075 for radius in radii_mm)
    return 4 * math.pi * ((a * b + a * c + b * c) / 3) ** (1 / 1.6075)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (1.37, 1.25, 1.25), (2.5, 0.8, 1.2)])
@pytest.mark.parametrize("radii_mm", [(25.0, 25.0, 25.0), RADII_MM, RADII_MM[::-1]])
def test_largest_diameter_is_right_to_a_voxel(spacing_mm, radii_mm):
    found = largest_diameter_mm(ellipsoid(radii_mm, spacing_mm), spacing_mm)
    assert found == pytest.approx(2 * max(radii_mm), abs=1.1 * max(spacing_mm))


def test_largest_diameter_may_lie_askew():
    """Of a box it is the diagonal, here to the voxels' faces: half a voxel beyond on one axis."""
    spacing_mm = (3.0, 1.0, 0.5)
    box = np.zeros((14, 30, 60), bool)
    box[2:12, 5:25, 10:50] = True
    sides = np.array([9 * 3.0, 19 * 1.0, 39 * 0.5])
    # The surface between voxels passes half a voxel outside the centres, along one axis at a time.
    beyond = [np.linalg.norm(sides + np.array(more)) for more in ((3.0, 0, 0), (0, 1.0, 0))]
    assert largest_diameter_mm(box, spacing_mm) == pytest.approx(max(beyond))


@pytest.mark.parametrize(
    ("spacing_mm", "excess"),
    [((1.0, 1.0, 1.0), 1.09), ((1.37, 1.25, 1.25), 1.09), ((3.0, 1.0, 1.0), 1.16)],
)
@pytest.mark.parametrize("radius_mm", [20.0, 35.0])
def test_the_surface_of_a_ball_exceeds_it_as_stated(spacing_mm, excess, radius_mm):
    ball = ellipsoid((radius_mm,) * 3, spacing_mm)
    surface = surface_mm2(ball, spacing_mm)
    assert surface == pytest.approx(excess * 4 * math.pi * radius_mm**2, rel=0.01)
    volume = ball.sum() * math.prod(spacing_mm)
    assert sphericity(volume, surface) == pytest.approx(1 / excess, rel=0.015)


def test_the_surface_of_a_box_lacks_its_edges_only():
    spacing_mm = (2.0, 1.0, 0.5)
    box = np.zeros((24, 44, 84), bool)
    box[2:22, 2:42, 2:82] = True
    assert surface_mm2(box, spacing_mm) == pytest.approx(6 * 40 * 40, rel=0.02)


def test_sphericity_is_one_for_a_ball_and_less_for_all_else():
    assert sphericity(4 / 3 * math.pi * 8, 4 * math.pi * 4) == pytest.approx(1.0)
    assert sphericity(1.0, 6.0) == pytest.approx((math.pi / 6) ** (1 / 3))  # a cube
    spacing_mm = (1.37, 1.25, 1.25)
    values = []
    for radii_mm in ((20.0, 20.0, 20.0), (24.0, 20.0, 17.0), (36.0, 14.0, 14.0)):
        mask = ellipsoid(radii_mm, spacing_mm)
        volume = mask.sum() * math.prod(spacing_mm)
        values.append(sphericity(volume, surface_mm2(mask, spacing_mm)))
        exact = sphericity(4 / 3 * math.pi * math.prod(radii_mm), ellipsoid_surface_mm2(radii_mm))
        assert values[-1] == pytest.approx(exact / 1.09, rel=0.03)
    assert values == sorted(values, reverse=True)


def test_a_single_voxel_has_a_size():
    one = np.zeros((3, 3, 3), bool)
    one[1, 1, 1] = True
    assert largest_diameter_mm(one, (4.0, 1.0, 1.0)) == pytest.approx(4.0)
    assert surface_mm2(one, (4.0, 1.0, 1.0)) > 0
