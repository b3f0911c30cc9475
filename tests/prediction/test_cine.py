"""ED and ES of a sequence, from the curve of the left ventricle."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.prediction.cine import find_phases


def beat(frames, systole, largest=150.0, smallest=60.0):
    """A smooth cycle that begins at end diastole."""
    rise = np.arange(frames) / systole
    fall = (frames - np.arange(frames)) / (frames - systole)
    part = np.minimum(rise, fall)
    return smallest + (largest - smallest) * 0.5 * (1 + np.cos(np.pi * part))


@given(st.integers(8, 40), st.data())
def test_a_smooth_cycle_gives_its_extremes(frames, data):
    systole = data.draw(st.integers(2, frames - 3))
    curve = beat(frames, systole)
    turn = data.draw(st.integers(0, frames - 1))
    rolled = np.roll(curve, turn)
    found = {phase: frame for frame, phase in find_phases(rolled.tolist()).items()}
    assert rolled[found["ED"]] == pytest.approx(curve.max(), rel=0.05)
    assert rolled[found["ES"]] == pytest.approx(curve.min(), rel=0.05)
    if 1 < turn < frames - 1:
        assert (found["ED"], found["ES"]) == (int(rolled.argmax()), int(rolled.argmin()))


def test_one_frame_that_failed_is_no_instant_of_the_cycle():
    curve = beat(20, 8)
    curve[4], curve[13] = 3.0, 400.0
    assert find_phases(curve.tolist()) == {0: "ED", 8: "ES"}


def test_frames_without_a_ventricle_do_not_count():
    curve = beat(12, 5)
    curve[5], curve[6] = 0.0, math.nan
    assert find_phases(curve.tolist())[0] == "ED"
    assert set(find_phases(curve.tolist())) & {5, 6} == set()


@pytest.mark.parametrize("sizes", [[], [5.0], [0.0, 0.0, 7.0], [4.0, 4.0, 4.0], [math.nan] * 4])
def test_without_a_difference_there_is_no_instant(sizes):
    assert find_phases(sizes) == {}


def test_two_frames_are_a_beat():
    assert find_phases([3.0, 9.0]) == {1: "ED", 0: "ES"}
