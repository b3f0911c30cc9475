"""Errors in pictures: found by colour, and in grey print by what fills them."""

import numpy as np
import pytest

from benchmark.report import layout, style
from benchmark.report.figures import marks


@pytest.fixture
def painted():
    """A slice of grey 100 with one block of each kind of error and one without; its axes."""
    truth, prediction = np.zeros((2, 40, 40), np.uint8)
    truth[2:10, 2:10] = 1  # missed
    prediction[2:10, 20:35] = 2  # extra
    truth[20:35, 2:10], prediction[20:35, 2:10] = 1, 2  # wrong class
    truth[20:35, 20:35] = prediction[20:35, 20:35] = 2
    axes = layout.new_figure(2, 2).add_axes((0, 0, 1, 1))
    marks.paint_errors(axes, np.full((40, 40), 100, np.uint8), truth, prediction)
    return axes


def test_every_kind_has_its_tint_and_what_is_right_has_none(painted):
    picture = np.asarray(painted.get_images()[0].get_array())
    for (row, column), mark in (
        ((5, 5), marks.MISSED),
        ((5, 30), marks.EXTRA),
        ((30, 5), marks.CONFUSED),
    ):
        tint = 0.45 * 100 + 0.55 * 255 * np.array(style.rgb(mark.colour))
        assert np.abs(picture[row, column] - tint).max() <= 1, mark.name
    assert set(picture[0, 0]) == set(picture[30, 30]) == {100}


def test_extra_is_filled_with_lines_and_wrong_class_with_crossed_ones(painted):
    extra, confused = painted.patches
    # Borders run half a pixel outside of the centres of the outermost pixels.
    for filling, box in ((extra, (19.5, 1.5, 15, 8)), (confused, (1.5, 19.5, 8, 15))):
        clip, transform = filling.get_clip_path().get_transformed_path_and_affine()
        edges = painted.transData.inverted().transform(transform.transform(clip.vertices))
        assert np.ptp(edges, axis=0) == pytest.approx(box[2:])
        assert edges.min(axis=0) == pytest.approx(box[:2])
    slopes = []
    for filling in (extra, confused):
        ends = filling.get_path().vertices.reshape(-1, 2, 2)
        ways = np.diff(ends, axis=1)[:, 0]
        slopes.append(set(np.sign(ways[:, 0] * ways[:, 1])))
    assert slopes == [{-1}, {-1, 1}]


def test_the_legend_shows_what_there_can_be():
    one, many = (marks.error_handles(classes) for classes in (["atrium"], ["wall", "cavity"]))
    assert [handle.get_label() for handle in one] == ["missed", "extra"]
    assert [handle.get_label() for handle in many] == ["missed", "extra", "wrong class"]
    assert [handle.get_hatch() or "" for handle in many] == ["", "//////", "xxxxxx"]
