"""What is kept of a case for pictures: which slices and which window, whatever the prediction."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.evaluation.excerpt import LEAST_MARGIN_MM, MARGIN, choose, write_excerpt
from benchmark.report.excerpts import keep_labels, read_excerpt
from benchmark.report.figures.slices import read_slice


def box(shape, rows, columns, slices=slice(None), label=1):
    mask = np.zeros(shape, np.uint8)
    mask[slices, slice(*rows), slice(*columns)] = label
    return mask


def gradient(shape):
    """A picture whose grey values tell where they come from."""
    return np.indices(shape, dtype=np.float32).sum(axis=0)


def kept(folder, image, truth, prediction, spacing_mm, dice=0.5):
    write_excerpt(folder / "slices" / "a.npz", image, truth, prediction, spacing_mm, dice=dice)
    return read_excerpt(folder / "slices" / "a.npz")


def test_window_widens_the_box_by_its_share_on_each_side():
    window = choose(box((4, 200, 200), (80, 130), (60, 160)), (10.0, 1.0, 1.0))
    assert window.corner == (80 - round(MARGIN * 50), 60 - round(MARGIN * 100))
    assert window.shape == (50 + 2 * round(MARGIN * 50), 100 + 2 * round(MARGIN * 100))
    assert window.steps == (1, 1)


def test_small_structures_have_room_in_millimetres_and_the_field_is_the_limit():
    window = choose(box((4, 200, 100), (100, 102), (0, 2)), (10.0, 0.5, 2.0))
    assert window.corner == (100 - round(LEAST_MARGIN_MM / 0.5), 0)
    assert window.shape == (2 + 2 * round(LEAST_MARGIN_MM / 0.5), 2 + round(LEAST_MARGIN_MM / 2))


def test_box_is_that_of_all_slices():
    truth = box((5, 100, 100), (40, 60), (40, 60), slice(1, 2))
    truth |= box((5, 100, 100), (20, 30), (70, 80), slice(3, 4))
    window = choose(truth, (1.0, 10.0, 10.0))
    assert window.corner == (20 - 16, 40 - 16)
    assert window.shape == (40 + 32, 40 + 32)


def test_of_an_empty_truth_the_whole_field_is_kept(tmp_path):
    empty = np.zeros((3, 40, 60), np.uint8)
    excerpt = kept(
        tmp_path, gradient(empty.shape), empty, box(empty.shape, (0, 5), (0, 5)), (8, 1, 1)
    )
    assert excerpt.truth.shape == (3, 40, 60)
    assert excerpt.corner_mm == (0, 0)
    assert excerpt.outside == 0
    assert excerpt.shown == 0


@pytest.mark.parametrize(("depth", "largest"), [(32, 5), (33, 32), (88, 50), (97, 0), (64, 63)])
def test_slices_are_even_at_most_32_and_hold_the_largest(depth, largest):
    truth = box((depth, 30, 30), (10, 14), (10, 14))
    truth[largest, 10:20, 10:20] = 1
    window = choose(truth, (1.0, 1.0, 1.0))
    assert len(window.slices) <= 32
    assert len(window.slices) >= depth // window.every
    assert set(np.diff(window.slices)) == {window.every}
    assert window.slices[window.shown] == largest


@pytest.mark.parametrize("side", [320, 321, 640, 1000])
def test_large_windows_are_reduced_by_a_whole_number(tmp_path, side):
    empty = np.zeros((side, 3 * side // 4), np.uint8)
    image = np.zeros(empty.shape, np.float32)
    image[: side // 2] = 100.0
    excerpt = kept(tmp_path, image, empty, empty, (0.3, 0.2))
    step = -(-side // 320)
    assert excerpt.truth.shape == (1, side // step, 3 * side // 4 // step)
    assert excerpt.spacing_mm[1:] == pytest.approx((0.3 * step, 0.2 * step))
    assert np.isnan(excerpt.spacing_mm[0])
    assert excerpt.image.mean() == pytest.approx(127.5, abs=1.5)


def test_reduced_images_are_means_and_labels_are_labels(tmp_path):
    """A checkerboard becomes grey; every second pixel of it is black, or white."""
    board = 100 * (np.indices((640, 640)).sum(axis=0) % 2).astype(np.float32)
    board[:160], board[160:320] = 0, 100
    truth = np.full(board.shape, 3, np.uint8)
    truth[:320] = 1
    excerpt = kept(tmp_path, board, truth, truth, (1, 1))
    assert set(np.unique(excerpt.image[0, 160:])) == {128}
    assert [set(np.unique(part)) for part in (excerpt.truth[0, :160], excerpt.truth[0, 160:])] == [
        {1},
        {3},
    ]


def test_geometry_and_image_do_not_depend_on_the_prediction(tmp_path):
    truth = box((40, 120, 90), (50, 80), (30, 60), slice(10, 30), label=2)
    image = gradient(truth.shape)
    predictions = [np.zeros_like(truth), truth, np.ones_like(truth), np.roll(truth, 40, axis=1)]
    first, *others = [
        kept(tmp_path / str(i), image, truth, prediction, (2.0, 1.5, 1.5))
        for i, prediction in enumerate(predictions)
    ]
    for other in others:
        assert other.same_grid(first)
        assert np.array_equal(other.image, first.image)
        assert other.shown == first.shown


def test_what_lies_beside_the_window_is_counted_in_all_slices(tmp_path):
    truth = box((70, 100, 100), (40, 60), (40, 60), slice(20, 40))
    prediction = truth | box(truth.shape, (0, 10), (0, 10))  # 100 pixels of each of 70 slices
    excerpt = kept(tmp_path, gradient(truth.shape), truth, prediction, (1.0, 2.0, 2.0))
    assert excerpt.slices == tuple(range(20 % 3, 70, 3))
    assert excerpt.spacing_mm == (3.0, 2.0, 2.0)
    assert excerpt.corner_mm == (64.0, 64.0)
    assert (excerpt.unit, excerpt.outside) == ("mL", pytest.approx(70 * 100 * 4 / 1000))
    planar = kept(tmp_path, gradient((100, 100)), truth[30], prediction[30], (2.0, 2.0))
    assert (planar.unit, planar.outside) == ("cm²", pytest.approx(4.0))


def test_arrays_are_those_of_the_case(tmp_path):
    truth = box((6, 64, 64), (20, 44), (24, 40), slice(1, 5), label=3)
    prediction = np.roll(truth, 3, axis=2)
    image = gradient(truth.shape)
    excerpt = kept(tmp_path, image, truth, prediction, (9.0, 1.0, 1.0), dice=0.75)
    rows, columns = slice(10, 54), slice(14, 50)
    assert np.array_equal(excerpt.truth, truth[:, rows, columns])
    assert np.array_equal(excerpt.prediction, prediction[:, rows, columns])
    assert np.corrcoef(excerpt.image.ravel(), image[:, rows, columns].ravel())[0, 1] > 0.999
    assert (excerpt.dice, excerpt.depth) == (0.75, 6)
    shown = read_slice(tmp_path / "slices" / "a.npz")
    assert np.array_equal(shown.truth, truth[1, rows, columns])
    assert shown.spacing_mm == (1.0, 1.0)


def test_files_of_earlier_versions_are_one_slice(tmp_path):
    truth = box((1, 20, 30), (5, 9), (5, 9), label=2)[0]
    prediction = np.roll(truth, 1, axis=0)
    np.savez_compressed(
        tmp_path / "a.npz", image=truth * 50, truth=truth, prediction=prediction,
        spacing_mm=np.array([1.4, 1.2], np.float32), dice=np.float32(0.5),
    )  # fmt: skip
    excerpt = read_excerpt(tmp_path / "a.npz")
    assert excerpt.truth.shape == (1, 20, 30)
    assert (excerpt.slices, excerpt.depth, excerpt.outside) == ((0,), 1, 0)
    shown = read_slice(tmp_path / "a.npz")
    assert np.array_equal(shown.prediction, prediction)
    assert shown.spacing_mm == pytest.approx((1.4, 1.2))
    assert read_excerpt((tmp_path / "a.npz").read_bytes()).same_grid(excerpt)
    assert set(np.unique(keep_labels(excerpt, [1]).truth)) == {0}
