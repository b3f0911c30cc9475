"""Walls of known thickness: rings, ellipses and shells in pixels that are no squares."""

import numpy as np
import pytest

from benchmark.evaluation.wall import SliceWall, mid_ventricular, wall_thickness

MUSCLE, CAVITY = 2, 3


def ring(inner_mm, outer_mm, spacing_mm, *, shift_mm=(0.0, 0.0), squash=1.0):
    """A slice with a cavity in a wall; the outer border may be shifted against the inner."""
    size_mm = 110.0
    y, x = np.meshgrid(
        *(np.arange(int(size_mm / step)) * step - 0.503 * size_mm for step in spacing_mm),
        indexing="ij",
    )
    plane = np.zeros(y.shape, np.uint8)
    plane[np.hypot((y - shift_mm[0]) / squash, x - shift_mm[1]) < outer_mm] = MUSCLE
    plane[np.hypot(y / squash, x) < inner_mm] = CAVITY
    return plane


def walls(*planes, spacing_mm):
    found = wall_thickness(np.stack(planes), (8.0, *spacing_mm), myocardium=MUSCLE, cavity=CAVITY)
    return {each.index: each for each in found}


@pytest.mark.parametrize("spacing_mm", [(0.5, 0.5), (1.0, 1.0), (1.56, 1.56), (1.8, 1.2)])
@pytest.mark.parametrize(("inner_mm", "thickness_mm"), [(25, 10), (20, 6), (15, 12), (25, 4)])
def test_the_wall_of_a_cylinder_shell(spacing_mm, inner_mm, thickness_mm):
    plane = ring(inner_mm, inner_mm + thickness_mm, spacing_mm)
    found = walls(plane, plane, spacing_mm=spacing_mm)
    assert set(found) == {0, 1}
    assert found[0].mean_mm == pytest.approx(thickness_mm, abs=0.15 * max(spacing_mm))
    assert found[0].max_mm == pytest.approx(thickness_mm, abs=0.5 * max(spacing_mm))
    assert found[0].max_mm >= found[0].mean_mm


def test_a_wall_that_is_thicker_on_one_side():
    """The outer circle moved by 4 mm makes a wall of 10 mm one of 6 to 14 mm."""
    spacing_mm = (1.25, 1.25)
    found = walls(ring(20, 30, spacing_mm, shift_mm=(0.0, 4.0)), spacing_mm=spacing_mm)[0]
    assert found.mean_mm == pytest.approx(10, abs=0.4)
    assert found.max_mm == pytest.approx(14, abs=0.7)


def test_turning_the_slice_changes_nothing():
    spacing_mm = (1.6, 1.1)
    plane = ring(20, 27, spacing_mm, shift_mm=(2.0, 1.0), squash=1.3)
    (one,) = walls(plane, spacing_mm=spacing_mm).values()
    (other,) = walls(plane.T, spacing_mm=spacing_mm[::-1]).values()
    assert other.mean_mm == pytest.approx(one.mean_mm, abs=1e-6)


def test_open_walls_and_slices_without_are_left_out():
    spacing_mm = (1.25, 1.25)
    closed = ring(20, 28, spacing_mm)
    opened = closed.copy()
    middle = len(closed) // 2
    gap = opened[:middle, middle - 4 : middle + 4]
    gap[gap == MUSCLE] = 0
    empty, muscle, cavity = np.zeros_like(closed), closed.copy(), closed.copy()
    muscle[muscle == CAVITY] = MUSCLE
    cavity[cavity == MUSCLE] = 0
    found = walls(empty, opened, closed, muscle, cavity, spacing_mm=spacing_mm)
    assert list(found) == [2]


def test_a_papillary_muscle_and_a_speck_are_no_wall():
    spacing_mm = (1.25, 1.25)
    plane = ring(20, 28, spacing_mm)
    spoiled = plane.copy()
    middle = len(plane) // 2
    spoiled[middle : middle + 3, middle : middle + 3] = MUSCLE
    spoiled[2:4, 2:4] = MUSCLE
    assert walls(spoiled, spacing_mm=spacing_mm) == walls(plane, spacing_mm=spacing_mm)


@pytest.mark.parametrize(
    ("count", "kept"), [(0, []), (1, [0]), (2, [0, 1]), (3, [1]), (4, [1, 2]), (9, [3, 4, 5])]
)
def test_the_middle_third_of_the_slices(count, kept):
    slices = [SliceWall(index, 1.0, 1.0) for index in range(count)]
    assert [each.index for each in mid_ventricular(slices)] == kept
