"""What masks say of a heart: exact where the body is known, a reason where nothing can be said."""

import math

import numpy as np
import pytest

from benchmark.evaluation.endpoints import unit_of
from benchmark.evaluation.measure import HeartMask, measure_mask, measure_patient
from benchmark.evaluation.quantities import METHODS, QUANTITIES, tell
from benchmark.report import clinical as reported

CINE = {"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3}
ECHO = {"left_ventricle": 1, "myocardium": 2, "left_atrium": 3}
SPACING_MM = (10.0, 1.5, 1.25)
APICAL_MM = (0.5, 0.5)


def stack(cavity_mm, wall_mm, *, slices=6, right=True):
    """Short-axis slices: a cylinder in a shell that fill the stack, a block at their side."""
    y, x = np.meshgrid(
        np.arange(72) * SPACING_MM[1] - 50.3, np.arange(100) * SPACING_MM[2] - 60.1, indexing="ij"
    )
    distance = np.hypot(y, x)
    plane = np.zeros(y.shape, np.uint8)
    plane[distance < cavity_mm + wall_mm] = CINE["myocardium"]
    plane[distance < cavity_mm] = CINE["left_ventricle"]
    if right:
        plane[20:40, 85:95] = CINE["right_ventricle"]
    return np.repeat(plane[np.newaxis], slices, axis=0)


def beat(diastole, systole):
    masks = [
        HeartMask(each, SPACING_MM, phase)
        for phase, each in (("ED", diastole), ("ES", systole))
        if each is not None
    ]
    return {each.name: each for each in measure_patient(masks, CINE, dims=3, beats=True)}


def apical(diameter_mm, length_mm, *, height=240):
    """A half ellipsoid's view, its base below."""
    y, x = np.mgrid[:height, :200]
    up, across = (200 - y) * APICAL_MM[0], (x - 100) * APICAL_MM[1]
    inside = (up >= 0) & ((up / length_mm) ** 2 + (2 * across / diameter_mm) ** 2 <= 1)
    return inside.astype(np.uint8)


SIZES = {
    ("2CH", "ED"): (52, 92),
    ("4CH", "ED"): (50, 92),
    ("2CH", "ES"): (38, 76),
    ("4CH", "ES"): (36, 76),
}


def exam(**replaced):
    """The measurements of an exam by method and name; a mask may be replaced, or left out."""
    masks = []
    for (view, phase), size in SIZES.items():
        label_map = replaced.get(f"_{view}_{phase}", apical(*size))
        if label_map is not None:
            masks.append(HeartMask(label_map, APICAL_MM, phase, view))
    found = measure_patient(masks, ECHO, dims=2, beats=True)
    return {(each.method, each.name): each for each in found}


def test_a_beat_of_known_volumes_mass_and_wall():
    found = beat(stack(25.0, 9.0), stack(16.0, 13.0))
    voxel_ml = math.prod(SPACING_MM) / 1000

    def ml(label_map, name):
        return int((label_map == CINE[name]).sum()) * voxel_ml

    edv, esv = (ml(stack(*size), "left_ventricle") for size in ((25.0, 9.0), (16.0, 13.0)))
    assert edv == pytest.approx(math.pi * 25**2 * 60 / 1000, rel=0.01)
    assert {name: each.value for name, each in found.items()} == pytest.approx(
        {
            "lv_edv": edv, "lv_esv": esv, "lv_sv": edv - esv, "lv_ef": 100 * (edv - esv) / edv,
            "rv_edv": 1200 * voxel_ml, "rv_esv": 1200 * voxel_ml, "rv_sv": 0.0, "rv_ef": 0.0,
            "lv_mass": 1.05 * ml(stack(25.0, 9.0), "myocardium"),
            "lv_wall_mean_ed": 9.0, "lv_wall_max_ed": 9.0,
            "lv_wall_mean_es": 13.0, "lv_wall_max_es": 13.0,
        },
        abs=0.6,
    )  # fmt: skip
    assert found["lv_wall_mean_ed"].value == pytest.approx(9.0, abs=0.2)
    assert not any(each.reason for each in found.values())
    assert {each.unit for each in found.values()} == {"mL", "%", "g", "mm"}


def test_a_phase_without_a_mask_is_the_reason_of_all_that_needs_it():
    found = beat(stack(25.0, 9.0), None)
    lacking = {name for name, each in found.items() if each.reason}
    assert lacking == {
        "lv_esv", "lv_sv", "lv_ef", "rv_esv", "rv_sv", "rv_ef", "lv_wall_mean_es", "lv_wall_max_es"
    }  # fmt: skip
    assert {found[name].reason for name in lacking} == {"no ES mask"}
    assert all(math.isnan(each.value) == bool(each.reason) for each in found.values())


def test_a_lost_structure_an_open_wall_and_a_cut_off_one_say_so():
    diastole, systole = stack(25.0, 9.0, right=False), stack(16.0, 13.0)
    systole[:, :, 60:66][systole[:, :, 60:66] == CINE["myocardium"]] = 0
    found = beat(diastole, systole)
    assert found["rv_edv"].reason == "no right ventricle in ED"
    assert found["rv_ef"].reason == "no right ventricle in ED"
    assert found["lv_wall_mean_es"].reason == (
        "no slice in ES whose myocardium encloses the cavity"
    )
    cut = np.roll(diastole, 26, axis=1)
    found = beat(cut, stack(16.0, 13.0))
    assert found["lv_mass"].reason == "myocardium cut off by the edge of the image in ED"
    assert found["lv_wall_max_ed"].reason == found["lv_mass"].reason
    assert math.isnan(found["lv_mass"].value)
    # The first and the last slice of a stack are no edge: it ends inside the heart.
    assert found["lv_esv"].reason == ""


def test_one_mask_alone():
    label_map = stack(25.0, 9.0)
    found = {each.name: each for each in measure_mask(label_map, SPACING_MM, CINE)}
    assert set(found) == {
        "lv_volume", "rv_volume", "myocardium_volume", "lv_wall_mean", "lv_wall_max"
    }  # fmt: skip
    at = {each.name: each for each in measure_mask(label_map, SPACING_MM, CINE, phase="ED")}
    assert at["lv_edv"].value == found["lv_volume"].value
    assert at["lv_mass"].value == pytest.approx(1.05 * found["myocardium_volume"].value)
    only = measure_mask(label_map, SPACING_MM, {"left_ventricle": 3})
    assert [each.name for each in only] == ["lv_volume"]


def test_an_atrium_of_known_size():
    spacing_mm = (1.37, 1.25, 1.25)
    axes = (np.arange(64) * step - 40.2 for step in spacing_mm)
    z, y, x = np.meshgrid(*axes, indexing="ij")
    ball = (z**2 + y**2 + x**2 < 30**2).astype(np.uint8)
    speck = ball.copy()
    speck[60, 60, 60] = 1
    found = {each.name: each for each in measure_mask(ball, spacing_mm, {"left_atrium": 1})}
    assert found["la_volume"].value == pytest.approx(4 / 3 * math.pi * 27, rel=0.01)
    assert found["la_volume"].value == pytest.approx(ball.sum() * math.prod(spacing_mm) / 1000)
    assert found["la_diameter_max"].value == pytest.approx(60, abs=1.5)
    assert found["la_surface"].value == pytest.approx(1.085 * 4 * math.pi * 9, rel=0.02)
    assert found["la_sphericity"].value == pytest.approx(0.92, abs=0.01)
    # A speck counts as volume; it does not make the atrium long.
    spoiled = {each.name: each for each in measure_mask(speck, spacing_mm, {"left_atrium": 1})}
    assert spoiled["la_diameter_max"] == found["la_diameter_max"]
    assert spoiled["la_volume"].value > found["la_volume"].value


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_atrium_at_the_edge_is_not_measurable(axis):
    label_map = np.zeros((9, 9, 9), np.uint8)
    label_map[3:6, 3:6, 3:6] = 1
    label_map = np.moveaxis(label_map[3:], 0, axis)
    found = measure_mask(label_map, (1.0, 1.0, 1.0), {"left_atrium": 1})
    edge = "first or last slice" if axis == 0 else "edge of the image"
    assert [each.reason for each in found] == [f"left atrium cut off by the {edge}"] * 4
    assert all(math.isnan(each.value) for each in found)


def test_an_empty_atrium():
    found = measure_mask(np.zeros((4, 4, 4), np.uint8), (1.0, 1.0, 1.0), {"left_atrium": 1})
    assert {each.reason for each in found} == {"no left atrium"}
    assert len(found) == 4


def test_an_exam_by_every_method():
    found = exam()
    assert {method for method, _ in found} == {
        "simpson_biplane", "simpson_2ch", "simpson_4ch", "camus_official"
    }  # fmt: skip
    assert found["simpson_biplane", "lv_edv"].value == pytest.approx(125.245, rel=0.01)
    assert found["simpson_biplane", "lv_ef"].value == pytest.approx(56.535, abs=0.5)
    assert found["camus_official", "lv_ef"].value == pytest.approx(47.5, abs=1)
    assert not any(each.reason for each in found.values())


def test_a_missing_view_leaves_the_other():
    found = exam(_2CH_ED=None, _2CH_ES=None)
    assert found["simpson_4ch", "lv_ef"].reason == ""
    assert found["simpson_2ch", "lv_ef"].reason == "no 2CH ED mask, no 2CH ES mask"
    assert found["simpson_biplane", "lv_edv"].reason == "no 2CH ED mask"
    assert found["camus_official", "lv_edv"].reason == "no 2CH ED mask, no 2CH ES mask"


def test_what_spoils_one_view_is_named():
    line = np.zeros((240, 200), np.uint8)
    line[50:150, 100] = 1
    for spoiled, reason in (
        (np.zeros((240, 200), np.uint8), "no left ventricle in 4CH ES"),
        (line, "no measurable long axis in 4CH ES"),
        (apical(36, 76, height=190), "left ventricle cut off by the edge of the image in 4CH ES"),
    ):
        found = exam(_4CH_ES=spoiled)
        assert found["simpson_4ch", "lv_esv"].reason == reason
        assert found["simpson_4ch", "lv_edv"].reason == ""
        assert found["simpson_biplane", "lv_ef"].reason == reason
        assert found["camus_official", "lv_edv"].reason == reason
        assert found["simpson_2ch", "lv_ef"].reason == ""


def test_a_single_view_alone():
    (one,) = measure_mask(apical(50, 90), APICAL_MM, ECHO, phase="ED", view="4CH")
    assert (one.name, one.method) == ("lv_edv", "simpson_4ch")
    assert one.value == pytest.approx(117.81, rel=0.01)
    (unknown,) = measure_mask(apical(50, 90), APICAL_MM, ECHO)
    assert (unknown.name, unknown.method) == ("lv_volume", "simpson_single")
    assert unknown.value == one.value


def test_names_units_and_methods_are_those_of_the_report():
    for name, title in reported.ENDPOINTS.items():
        assert QUANTITIES[name].title == title
        assert QUANTITIES[name].unit == unit_of(name)
    assert METHODS.items() >= reported.METHODS.items()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [("lv_ef", 56.55, "56.5"), ("lv_ef", -0.04, "0.0"), ("lv_ef", -0.06, "-0.1"),
     ("la_sphericity", 0.7126, "0.713"), ("lv_edv", math.nan, "—")],
)  # fmt: skip
def test_values_are_told_with_their_decimals(name, value, told):
    assert tell(name, value) == told
