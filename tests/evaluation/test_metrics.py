import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from benchmark.evaluation import surface
from benchmark.evaluation.comparison import GeometryError
from benchmark.evaluation.metrics import METRICS, score

CLASSES = {"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3}
OVERLAPS = ("dice", "iou", "precision", "recall", "nsd")
DISTANCES = ("hd_mm", "hd95_mm", "assd_mm", "masd_mm")
DIRECTED = ("precision", "recall", "volume_truth_ml", "volume_prediction_ml", "volume_error_ml")

masks = st.sampled_from([(5, 6), (3, 4, 5)]).flatmap(
    lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape))
)
spacings = st.lists(st.sampled_from([0.3, 0.625, 1.0, 1.37, 10.0]), min_size=3, max_size=3)
definitions = st.sampled_from(surface.DEFINITIONS)


def every_metric(truth, prediction, spacing_mm, **options):
    return {n: metric(truth, prediction, spacing_mm, **options) for n, metric in METRICS.items()}


def ball(shape, centre, radius):
    grid = np.ogrid[tuple(slice(size) for size in shape)]
    return sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)) <= radius**2


def brute_force(truth, prediction, spacing_mm):
    """Distances between border voxels by comparing every pair, with SciPy's erosion."""
    borders = [
        np.argwhere(mask & ~ndimage.binary_erosion(mask)) * spacing_mm
        for mask in (truth, prediction)
    ]
    between = np.linalg.norm(borders[0][:, None] - borders[1][None], axis=-1)
    return between.min(axis=1), between.min(axis=0)


def test_both_empty_is_excluded():
    empty = np.zeros((4, 5, 6), np.uint8)
    (row,) = score(empty, empty, (1.0, 1.0, 1.0), {"atrium": 1})
    assert row["outcome"] == "both_empty"
    assert row["volume_truth_ml"] == row["volume_prediction_ml"] == 0
    for name in (*OVERLAPS, *DISTANCES, "volume_error_ml"):
        assert math.isnan(row[name]), name


@pytest.mark.parametrize("outcome", ["missed", "spurious"])
@pytest.mark.parametrize("definition", surface.DEFINITIONS)
def test_one_empty_scores_zero_and_the_diagonal(outcome, definition):
    empty, full = np.zeros((4, 5, 6), np.uint8), np.zeros((4, 5, 6), np.uint8)
    full[1:3, 1:3, 1:3] = 1
    pair = (full, empty) if outcome == "missed" else (empty, full)
    (row,) = score(*pair, (10.0, 1.0, 2.0), {"atrium": 1}, definition=definition)
    assert row["outcome"] == outcome
    assert [row[name] for name in OVERLAPS] == [0.0] * len(OVERLAPS)
    diagonal_mm = math.sqrt(40**2 + 5**2 + 12**2)
    assert [row[name] for name in DISTANCES] == pytest.approx([diagonal_mm] * len(DISTANCES))
    sign = -1 if outcome == "missed" else 1
    assert row["volume_error_ml"] == pytest.approx(sign * 8 * 20 / 1000)


def test_a_missed_structure_is_worse_than_any_found():
    truth, found = np.zeros((2, 8, 9), np.uint8)
    truth[0, 0] = found[-1, -1] = 1
    missed, bad = (
        score(truth, prediction, (1.0, 3.0), {"atrium": 1})[0]
        for prediction in (np.zeros_like(truth), found)
    )
    assert all(missed[name] > bad[name] for name in DISTANCES)


def test_the_rows_of_score():
    truth = np.zeros((6, 20, 20), np.uint8)
    truth[1:5, 4:12, 4:12] = 2
    truth[1:5, 6:10, 6:10] = 3
    prediction = np.roll(truth, 1, axis=2)
    regions = {"epicardium": (2, 3)}
    spacing_mm = (10.0, 1.5, 1.25)
    rows = score(truth, prediction, spacing_mm, CLASSES, regions=regions)
    assert [row["class"] for row in rows] == [*CLASSES, "epicardium"]
    assert [row["outcome"] for row in rows] == ["both_empty", "scored", "scored", "scored"]
    assert [row["kind"] for row in rows] == ["class", "class", "class", "region"]
    assert all(list(row) == ["class", "kind", "outcome", *METRICS] for row in rows)
    for row, labels in zip(rows[1:], ([2], [3], [2, 3]), strict=True):
        wanted = every_metric(np.isin(truth, labels), np.isin(prediction, labels), spacing_mm)
        assert {name: row[name] for name in METRICS} == wanted
    assert rows[3]["volume_truth_ml"] == pytest.approx(4 * 64 * 18.75 / 1000)


def test_truth_against_itself_is_perfect():
    truth = np.random.default_rng(0).integers(0, 4, (5, 9, 9)).astype(np.uint8)
    for definition in surface.DEFINITIONS:
        for row in score(truth, truth, (10.0, 1.5, 1.5), CLASSES, definition=definition):
            assert [row[name] for name in OVERLAPS] == pytest.approx([1.0] * len(OVERLAPS))
            assert [row[name] for name in DISTANCES] == [0.0] * len(DISTANCES)
            assert row["volume_error_ml"] == 0.0


def test_planar_masks_have_no_volume():
    mask = np.ones((4, 4), np.uint8)
    (row,) = score(mask, mask, (0.3, 0.3), {"left_atrium": 1})
    assert all(math.isnan(row[f"volume_{name}_ml"]) for name in ("truth", "prediction", "error"))


def test_the_tolerance_is_inclusive_and_can_be_chosen():
    truth, prediction = np.zeros((2, 12, 12), bool)
    truth[3:6, 3:6] = prediction[3:6, 5:8] = True
    exactly = 2 * 0.7
    nsd = METRICS["nsd"]
    spacing_mm = (0.7, 0.7)
    assert nsd(truth, prediction, spacing_mm, tolerance_mm=exactly) == 1.0
    assert nsd(truth, prediction, spacing_mm, tolerance_mm=exactly - 0.01) < 1.0


@pytest.mark.parametrize(
    ("truth", "prediction", "spacing_mm", "said"),
    [
        (np.zeros((3, 3)), np.zeros((3, 4)), (1.0, 1.0), "of one shape"),
        (np.zeros(3), np.zeros(3), (1.0,), "of one shape"),
        (np.zeros((3, 3)), np.zeros((3, 3)), (1.0, 1.0, 1.0), "spacing in mm for each of 2"),
        (np.zeros((3, 3)), np.zeros((3, 3)), (1.0, 0.0), "positive spacing"),
        (np.zeros((3, 3)), np.zeros((3, 3)), (1.0, math.nan), "positive spacing"),
    ],
)
def test_what_does_not_fit_together_is_refused(truth, prediction, spacing_mm, said):
    with pytest.raises(GeometryError, match=said):
        score(truth.astype(np.uint8), prediction.astype(np.uint8), spacing_mm, {"atrium": 1})


@pytest.mark.parametrize("regions", [{"atrium": (1, 2)}, {"epicardium": ()}])
def test_regions_need_names_and_labels_of_their_own(regions):
    mask = np.ones((3, 3), np.uint8)
    with pytest.raises(ValueError, match="regions with labels"):
        score(mask, mask, (1.0, 1.0), {"atrium": 1}, regions=regions)


def test_an_unknown_definition_is_refused():
    mask = np.ones((3, 3), np.uint8)
    with pytest.raises(ValueError, match=r"among metrics_reloaded.*Received: medpy"):
        score(mask, mask, (1.0, 1.0), {"atrium": 1}, definition="medpy")


def test_surfaces_of_an_empty_mask_are_refused():
    with pytest.raises(ValueError, match="not empty"):
        surface.surface_distances(np.ones((3, 3), bool), np.zeros((3, 3), bool), (1.0, 1.0))


def test_concentric_balls():
    shape, centre, spacing_mm = (41, 41, 41), (20, 20, 20), (0.5, 0.5, 0.5)
    inner, outer = ball(shape, centre, 12), ball(shape, centre, 16)
    scores = every_metric(outer, inner, spacing_mm)
    assert scores["precision"] == 1.0
    assert scores["recall"] == pytest.approx((12 / 16) ** 3, abs=0.01)
    assert scores["volume_truth_ml"] == pytest.approx(4 / 3 * math.pi * 8**3 / 1000, rel=0.01)
    for name in DISTANCES:
        assert scores[name] == pytest.approx(2.0, abs=0.3), name


def test_shifted_slabs_are_their_shift_apart():
    truth, prediction = np.zeros((2, 20, 6, 6), bool)
    truth[4:5], prediction[9:10] = True, True
    scores = every_metric(truth, prediction, (1.5, 1.0, 1.0))
    assert [scores[name] for name in DISTANCES] == [7.5] * 4


@pytest.mark.parametrize("few_points", [0, 10**9], ids=["transform", "tree"])
def test_both_ways_to_find_distances_agree_with_brute_force(few_points, monkeypatch):
    monkeypatch.setattr(surface, "_FEW_POINTS", few_points)
    monkeypatch.setattr(surface, "_VOXELS_PER_POINT", 10**9)
    rng = np.random.default_rng(5)
    for shape, spacing_mm in (((9, 14, 13), (10.0, 1.5625, 1.5625)), ((40, 37), (0.308, 0.154))):
        noise = rng.normal(size=(2, *shape))
        truth, prediction = (ndimage.gaussian_filter(one, 1.0) > 0 for one in noise)
        wanted = brute_force(truth, prediction, spacing_mm)
        given_ = surface.surface_distances(truth, prediction, spacing_mm)
        np.testing.assert_allclose(given_.from_truth.distances_mm, wanted[0], rtol=1e-6)
        np.testing.assert_allclose(given_.from_prediction.distances_mm, wanted[1], rtol=1e-6)


def test_a_structure_at_the_edge_of_the_image_has_its_surface_there():
    mask = np.ones((4, 5), bool)
    border = surface.surface_voxels(mask)
    assert border.sum() == 2 * 4 + 2 * 5 - 4
    np.testing.assert_array_equal(border, mask & ~ndimage.binary_erosion(mask))


@settings(max_examples=60, deadline=None)
@given(masks, spacings, definitions)
def test_bounds_and_relations(pair, spacing_mm, definition):
    truth, prediction = pair
    spacing_mm = tuple(spacing_mm[: truth.ndim])
    scores = every_metric(truth, prediction, spacing_mm, definition=definition)
    for name, metric in METRICS.items():
        value = scores[name]
        assert math.isnan(value) or metric.low <= value <= metric.high + 1e-12, name
    if truth.any() and prediction.any():
        diagonal_mm = math.dist([0] * truth.ndim, np.multiply(truth.shape, spacing_mm))
        # Surfels lie between voxels, so theirs is the one definition that can reach the corners.
        assert scores["hd_mm"] <= diagonal_mm * (1 + 1e-9)
        assert scores["hd95_mm"] <= scores["hd_mm"]
        assert scores["assd_mm"] <= scores["hd_mm"] * (1 + 1e-12)
        assert scores["iou"] == pytest.approx(scores["dice"] / (2 - scores["dice"]))
        p, r = scores["precision"], scores["recall"]
        assert scores["dice"] == pytest.approx(2 * p * r / (p + r) if p + r else 0.0)


@settings(max_examples=40, deadline=None)
@given(masks, spacings, definitions)
def test_truth_and_prediction_can_change_places(pair, spacing_mm, definition):
    truth, prediction = pair
    spacing_mm = tuple(spacing_mm[: truth.ndim])
    there = every_metric(truth, prediction, spacing_mm, definition=definition)
    back = every_metric(prediction, truth, spacing_mm, definition=definition)
    for name in METRICS:
        if name not in DIRECTED:
            assert there[name] == pytest.approx(back[name], nan_ok=True), name
    assert there["precision"] == pytest.approx(back["recall"], nan_ok=True)
    assert there["volume_error_ml"] == pytest.approx(-back["volume_error_ml"], nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(masks, spacings, definitions, st.integers(0, 4))
def test_scores_do_not_depend_on_the_place_in_the_image(pair, spacing_mm, definition, offset):
    spacing_mm = tuple(spacing_mm[: pair[0].ndim])
    # The same frame both times: the diagonal of the image is part of the score.
    here, there = (
        every_metric(
            *(np.pad(mask, [(before, 4 - before)] * mask.ndim) for mask in pair),
            spacing_mm,
            definition=definition,
        )
        for before in (0, offset)
    )
    assert here == pytest.approx(there, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(masks, spacings, definitions)
def test_distances_scale_with_the_spacing(pair, spacing_mm, definition):
    truth, prediction = pair
    spacing_mm = tuple(spacing_mm[: truth.ndim])
    once = every_metric(truth, prediction, spacing_mm, definition=definition)
    twice = every_metric(
        truth,
        prediction,
        tuple(2 * step for step in spacing_mm),
        definition=definition,
        tolerance_mm=4.0,
    )
    for name in DISTANCES:
        assert twice[name] == pytest.approx(2 * once[name], nan_ok=True), name
    for name in OVERLAPS:
        assert twice[name] == pytest.approx(once[name], nan_ok=True), name
    if truth.ndim == 3:
        assert twice["volume_truth_ml"] == pytest.approx(8 * once["volume_truth_ml"])
