import math
import os
from pathlib import Path

import numpy as np
import pytest

from benchmark.evaluation import contour, simpson
from benchmark.evaluation.surfels import codes, is_border

REPOSITORY = Path(__file__).resolve().parents[2]
REAL_DATA = REPOSITORY / os.environ.get("BENCHMARK_REAL_DATA", "data")
CAMUS = REAL_DATA / "CAMUS_public" / "database_nifti"

LEFT = np.arange(20) / 20
MIDDLE = (np.arange(20) + 0.5) / 20
# A half ellipsoid with different diameters in the two views, at both ends of the beat; all in mm.
DIASTOLE, SYSTOLE = ((52, 92), (50, 92)), ((38, 76), (36, 76))
EXACT = simpson.Ventricle(125.245, 54.438)


def ellipsoid_diameters(diameter, fractions):
    return diameter * np.sqrt(1 - fractions**2)


def half_ellipse(diameter, length, spacing_mm, tilt_deg=0.0):
    """Half an ellipse with its base below and its apex above, in an image of 130 × 110 mm."""
    height, width = (int(size / step) for size, step in zip((130, 110), spacing_mm, strict=True))
    y, x = np.mgrid[:height, :width]
    up, right = 110 - y * spacing_mm[0], x * spacing_mm[1] - 55.05
    tilt = math.radians(tilt_deg)
    along = up * math.cos(tilt) + right * math.sin(tilt)
    across = right * math.cos(tilt) - up * math.sin(tilt)
    return (along >= 0) & ((along / length) ** 2 + (across / (diameter / 2)) ** 2 <= 1)


def views(measure, shapes, spacing_mm, **options):
    return tuple(measure(half_ellipse(*s, spacing_mm, **options), spacing_mm) for s in shapes)


@pytest.mark.parametrize(
    ("diameters", "length_mm", "volume_ml"),
    [
        pytest.param(ellipsoid_diameters(50, MIDDLE), 90, 117.8465, id="half ellipsoid, middle"),
        pytest.param(ellipsoid_diameters(50, LEFT), 90, 122.1540, id="half ellipsoid, lower end"),
        pytest.param(np.full(20, 40), 80, 100.530965, id="cylinder"),
        pytest.param(40 * (1 - MIDDLE), 80, 33.489377, id="cone, middle"),
    ],
)
def test_disks_meet_the_oracles(diameters, length_mm, volume_ml):
    assert simpson.disks_ml(diameters, diameters, length_mm) == pytest.approx(volume_ml, abs=5e-5)


def test_disks_meet_the_closed_forms():
    whole = math.pi / 4 * 50**2 * 90 / 1000
    for fractions, factor in ((LEFT, 0.69125), (MIDDLE, 2 / 3 + 1 / 4800)):
        diameters = ellipsoid_diameters(50, fractions)
        assert simpson.disks_ml(diameters, diameters, 90) == pytest.approx(factor * whole)


def test_many_disks_approach_the_exact_volumes():
    fractions = (np.arange(20_000) + 0.5) / 20_000
    for diameters, length_mm, exact_ml in (
        (ellipsoid_diameters(50, fractions), 90, 117.8097),
        (40 * (1 - fractions), 80, 33.510322),
    ):
        measured_ml = simpson.disks_ml(diameters, diameters, length_mm)
        assert measured_ml == pytest.approx(exact_ml, abs=5e-5)


@pytest.mark.parametrize("spacing_mm", [(0.3, 0.3), (0.308, 0.154), (0.5, 0.5)])
@pytest.mark.parametrize("tilt_deg", [0, -10, 25])
def test_biplane_measures_half_ellipsoids(spacing_mm, tilt_deg):
    measured = simpson.biplane(
        views(simpson.measure, DIASTOLE, spacing_mm, tilt_deg=tilt_deg),
        views(simpson.measure, SYSTOLE, spacing_mm, tilt_deg=tilt_deg),
    )
    assert measured.edv_ml == pytest.approx(EXACT.edv_ml, rel=0.01)
    assert measured.esv_ml == pytest.approx(EXACT.esv_ml, rel=0.01)
    assert measured.ef_pct == pytest.approx(56.535, abs=0.5)


@pytest.mark.parametrize(
    ("spacing_mm", "edv_ml", "esv_ml"),
    [((0.3, 0.3), 124, 66), ((0.308, 0.154), 124, 65), ((0.5, 0.5), 131, 69)],
)
def test_the_official_method_overestimates_systole(spacing_mm, edv_ml, esv_ml):
    measured = simpson.camus_official(
        views(simpson.measure_official, DIASTOLE, spacing_mm),
        views(simpson.measure_official, SYSTOLE, spacing_mm),
    )
    # The reference values are of phantoms drawn elsewhere in their image, so pixels differ.
    assert measured.edv_ml == pytest.approx(edv_ml, rel=0.05)
    assert measured.esv_ml == pytest.approx(esv_ml, rel=0.05)
    assert measured.ef_pct == pytest.approx(47.5, abs=1)
    assert measured.edv_ml == round(measured.edv_ml)


def test_single_plane_takes_disks_as_round():
    ed, es = (
        simpson.measure(half_ellipse(50, length, (0.4, 0.4)), (0.4, 0.4)) for length in (90, 60)
    )
    measured = simpson.single_plane(ed, es)
    assert measured.edv_ml == pytest.approx(117.8465, rel=0.01)
    assert measured.esv_ml == pytest.approx(117.8465 * 60 / 90, rel=0.01)


def test_biplane_takes_the_longer_of_two_long_axes():
    first, second = simpson.View(np.full(20, 40.0), 80.0), simpson.View(np.full(20, 30.0), 70.0)
    assert simpson.biplane((first, second), (second, first)) == simpson.Ventricle(
        *[pytest.approx(math.pi / 4 * 40 * 30 * 80 / 1000)] * 2
    )


@pytest.mark.parametrize("measure", [simpson.measure, simpson.measure_official])
def test_a_speck_above_the_ventricle_changes_nothing(measure):
    spacing_mm = (0.5, 0.5)
    mask = half_ellipse(50, 90, spacing_mm)
    wanted = measure(mask, spacing_mm)
    mask[2:6, 2:6] = True
    speckled = measure(mask, spacing_mm)
    assert speckled.length_mm == wanted.length_mm
    np.testing.assert_array_equal(speckled.diameters_mm, wanted.diameters_mm)


def degenerate_masks():
    shape = (30, 40)
    yield "empty", np.zeros(shape, bool)
    yield "full", np.ones(shape, bool)
    for name, place in {
        "a pixel": np.s_[3, 3],
        "a corner pixel": np.s_[0, 0],
        "a row": np.s_[5, :],
        "a column": np.s_[:, 5],
        "a short column": np.s_[4:9, 7],
    }.items():
        mask = np.zeros(shape, bool)
        mask[place] = True
        yield name, mask
    yield "a checkerboard", np.indices(shape).sum(axis=0) % 2 == 0
    yield "noise", np.random.default_rng(0).random(shape) < 0.5
    ring = np.zeros(shape, bool)
    ring[5:25, 5:25] = True
    ring[8:22, 8:22] = False
    yield "a ring", ring


@pytest.mark.parametrize("measure", [simpson.measure, simpson.measure_official])
@pytest.mark.parametrize("name", [name for name, _ in degenerate_masks()])
def test_degenerate_masks_never_fail(measure, name):
    view = measure(dict(degenerate_masks())[name], (0.3, 0.3))
    if view is not None:
        assert view.length_mm > 0
        assert np.isfinite(view.diameters_mm).all()


@pytest.mark.parametrize("measure", [simpson.measure, simpson.measure_official])
def test_an_empty_mask_is_not_measurable(measure):
    assert measure(np.zeros((20, 20), np.uint8), (0.3, 0.3)) is None


def test_what_is_not_measurable_is_nan_in_every_method():
    view = simpson.View(np.full(20, 40.0), 80.0)
    for measured in (
        simpson.single_plane(None, view),
        simpson.biplane((view, None), (view, view)),
        simpson.camus_official((None, view), (view, view)),
    ):
        assert math.isnan(measured.edv_ml)
        assert math.isnan(measured.ef_pct)
    assert not math.isnan(simpson.biplane((view, None), (view, view)).esv_ml)


def test_an_endless_outline_is_not_searched():
    # Every second row joined on one side: as long an outline as an image can have.
    comb = np.zeros((200, 200), bool)
    comb[::2] = True
    comb[:, 0] = True
    assert simpson.measure(comb, (0.3, 0.3)) is None


def test_an_outline_goes_clockwise_from_the_top_around_one_pixel():
    mask = np.zeros((5, 5), bool)
    mask[2, 3] = True
    outline = contour.outline(mask).tolist()
    assert outline == [[1.5, 3.0], [2.0, 3.5], [2.5, 3.0], [2.0, 2.5]]


def test_an_outline_passes_every_border_once():
    mask = contour.main_body(np.random.default_rng(3).random((40, 40)) < 0.6)
    outline = contour.outline(mask)
    assert len(np.unique(outline, axis=0)) == len(outline)
    steps = np.abs(np.roll(outline, -1, axis=0) - outline).max(axis=1)
    assert steps.max() <= 1.0
    crossings = sum(np.count_nonzero(np.diff(np.pad(mask, 1), axis=axis)) for axis in (0, 1))
    assert len(outline) == crossings
    assert is_border(codes(mask)).sum() <= len(outline)


@pytest.mark.skipif(not CAMUS.is_dir(), reason="the CAMUS exams are not here")
def test_real_ventricles_are_measurable_and_both_methods_agree_on_them():
    nib = pytest.importorskip("nibabel")
    for path in sorted(CAMUS.glob("*/*_gt.nii.gz"))[:8]:
        image = nib.load(path)
        spacing_mm = tuple(float(step) for step in image.header.get_zooms()[:2][::-1])
        mask = np.squeeze(np.asarray(image.dataobj)).T == 1
        ours, theirs = simpson.measure(mask, spacing_mm), simpson.measure_official(mask, spacing_mm)
        assert ours.length_mm == pytest.approx(theirs.length_mm, rel=0.03), path.name
        volumes_ml = [
            simpson.disks_ml(view.diameters_mm, view.diameters_mm, view.length_mm)
            for view in (ours, theirs)
        ]
        assert volumes_ml[0] == pytest.approx(volumes_ml[1], rel=0.05), path.name
        assert 10 < volumes_ml[0] < 250
