"""The figure of one case: which slices, which part of them, and in which proportions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.report.figures.case import (
    MOST_SLICES,
    Picture,
    amount,
    choose_slices,
    draw,
    window,
)

CLASSES = {"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3}


def a_picture(shape, spacing_mm) -> Picture:
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    mask = np.zeros(shape, np.uint8)
    mask[..., 10:30, 20:30], mask[..., 14:20, 22:26] = 2, 3
    return Picture(image, mask, spacing_mm, CLASSES, "title", "subtitle", phantom=False)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=40), st.booleans())
def test_slices_are_labelled_and_reach_from_end_to_end(areas, base_first):
    mask = np.zeros((len(areas), 5, 8), np.uint8)
    for plane, area in zip(mask, areas, strict=True):
        plane.flat[:area] = 1
    chosen = choose_slices(mask, base_first=base_first)
    labelled = [index for index, area in enumerate(areas) if area]
    if not labelled:
        assert chosen == [len(areas) // 2]
        return
    assert len(chosen) == len(set(chosen)) == min(MOST_SLICES, len(labelled))
    assert set(chosen) <= set(labelled)
    assert chosen in (sorted(chosen), sorted(chosen, reverse=True))
    assert {chosen[0], chosen[-1]} == {labelled[0], labelled[-1]}
    assert base_first or chosen == sorted(chosen)
    if base_first:
        half = len(chosen) // 2
        before, after = chosen[:half], chosen[len(chosen) - half :]
        assert sum(areas[i] for i in before) >= sum(areas[i] for i in after)


def test_the_window_leaves_a_margin_and_ends_at_the_edge():
    mask = np.zeros((2, 100, 60), np.uint8)
    mask[1, 50:60, 5:10] = 1
    assert window(mask, (1.0, 5.0)) == (slice(25, 85), slice(0, 15))
    assert window(np.zeros_like(mask), (1.0, 5.0)) == (slice(0, 100), slice(0, 60))


def test_volumes_and_areas():
    volume = a_picture((4, 40, 40), (10.0, 1.5, 1.0))
    assert amount(volume, 3) == "1.4 mL"  # 4 x 24 voxels of 15 mm³
    assert amount(volume, 1) == "none"
    assert amount(a_picture((40, 50), (0.5, 0.5)), 2) == "0.4 cm²"  # 176 of 0.25 mm²


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "panels"),
    [
        ((40, 50), (0.15, 0.3), 1),
        ((7, 40, 60), (10.0, 1.5, 1.5), 7),
        ((30, 60, 40), (1.0, 2.0, 0.7), 12),
        ((1, 40, 40), (5.0, 1.0, 1.0), 1),
    ],
)
def test_panels_have_true_proportions_and_do_not_overlap(shape, spacing_mm, panels):
    picture = a_picture(shape, spacing_mm)
    figure = draw(picture)
    assert len(figure.axes) == panels
    width_in, height_in = figure.get_size_inches()
    assert 3 < width_in < 8
    assert 1 < height_in < 8
    boxes = [axes.get_position() for axes in figure.axes]
    for axes, box in zip(figure.axes, boxes, strict=True):
        left, right, bottom, top = axes.images[0].get_extent()
        true = (right - left) / (bottom - top)
        assert box.width * width_in / (box.height * height_in) == pytest.approx(true, rel=1e-3)
        assert 0 <= box.x0 < box.x1 <= 1.001
        assert 0 < box.y0 < box.y1 < 1
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])
