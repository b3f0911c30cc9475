"""Images are turned to lie as the training files do, and masks are turned back exactly."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from scipy.spatial.transform import Rotation

from benchmark.errors import BenchmarkError
from benchmark.prediction.orientation import Turn, codes_of, trained_codes, turn_to

CODES = ["".join(code) for axes in itertools.permutations(["LR", "AP", "IS"])
         for code in itertools.product(*axes)]  # fmt: skip


def reoriented(array, affine, codes):
    """The same image stored in another order, by nibabel."""
    image = nib.Nifti1Image(array, affine)
    move = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(codes)))
    return image.as_reoriented(move)


def turned(image, codes, *, stacked=True):
    array = np.asarray(image.dataobj).T
    turn = turn_to(
        image.affine, codes, shape=array.shape, spacing_mm=image.header.get_zooms()[::-1],
        stacked=stacked,
    )  # fmt: skip
    return turn, turn.apply(array)


def test_there_are_48():
    assert len(set(CODES)) == 48


@pytest.mark.parametrize("trained", ["LPS", "RAS", "PIR", "SAL"])
def test_every_order_and_flip_comes_to_the_same_array_and_back(trained):
    array = np.arange(5 * 6 * 7).reshape(5, 6, 7).astype(np.int16)
    affine = np.diag([-1.5, -1.4, 1.7, 1.0])
    affine[:3, 3] = 40, -30, 12
    seen = {}
    for codes in CODES:
        image = reoriented(array, affine, codes)
        assert codes_of(image.affine) == codes
        turn, result = turned(image, trained, stacked=False)
        seen[codes] = result
        assert turn.pick(image.header.get_zooms()[::-1]) == pytest.approx(
            reoriented(array, affine, trained).header.get_zooms()[::-1]
        )
        np.testing.assert_array_equal(turn.undo(result), np.asarray(image.dataobj).T)
    expected = np.asarray(reoriented(array, affine, trained).dataobj).T
    for codes, result in seen.items():
        np.testing.assert_array_equal(result, expected, err_msg=codes)


def tilted(affine, angle, axis):
    tilt = np.eye(4)
    rotation = Rotation.from_rotvec(np.radians(angle) * np.array(axis) / np.linalg.norm(axis))
    tilt[:3, :3] = rotation.as_matrix()
    return tilt @ affine


@settings(deadline=None, max_examples=60)
@given(
    angle=st.floats(-40, 40),
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda vector: np.linalg.norm(vector) > 0.1),
    codes=st.sampled_from(CODES),
    steps=st.tuples(*[st.floats(0.7, 1.0)] * 3),
)
def test_an_oblique_image_takes_the_closest_of_the_48(angle, axis, codes, steps):
    upright = reoriented(np.zeros((4, 5, 6), np.uint8), np.diag([*steps, 1.0]), codes)
    oblique = nib.Nifti1Image(np.asarray(upright.dataobj), tilted(upright.affine, angle, axis))
    assert codes_of(oblique.affine) == codes_of(upright.affine) == codes
    assert turned(oblique, "LPS")[0] == turned(upright, "LPS")[0]


@settings(deadline=None, max_examples=60)
@given(
    angle=st.floats(-25, 25),
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda vector: np.linalg.norm(vector) > 0.1),
    codes=st.sampled_from(CODES),
    thick=st.sampled_from([0, 1, 2]),
)
def test_a_tilt_does_not_turn_thick_slices(angle, axis, codes, thick):
    steps = [1.4, 1.4, 1.4]
    steps[thick] = 8.0
    upright = reoriented(np.zeros((4, 5, 6), np.uint8), np.diag([*steps, 1.0]), codes)
    oblique = nib.Nifti1Image(np.asarray(upright.dataobj), tilted(upright.affine, angle, axis))
    assert turned(oblique, "LPS")[0] == turned(upright, "LPS")[0]


@settings(deadline=None, max_examples=60)
@given(st.floats(0, 360), st.floats(0, 180), st.floats(0, 360), st.sampled_from([0, 1, 2]))
def test_thick_slices_stay_slices_in_any_plane_of_a_patient_and_are_never_mirrored(a, b, c, axis):
    steps = [1.5, 1.5, 1.5]
    steps[axis] = 9.0
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("zxz", [a, b, c], degrees=True).as_matrix() * steps
    image = nib.Nifti1Image(np.zeros((7, 8, 9), np.uint8), affine)
    turn, result = turned(image, "LPS")
    assert turn.pick((9, 8, 7)) == result.shape
    assert 2 - turn.order[0] == axis
    columns = [affine[:3, 2 - old] * (-1 if flip else 1)
               for old, flip in zip(turn.order, turn.flips, strict=True)][::-1]  # fmt: skip
    assert np.linalg.det(np.array(columns)) > 0  # as LPS, and as the patient


def test_a_slice_lies_as_scanners_show_it_where_the_header_speaks_of_the_patient():
    # Coronal slices 8 mm apart, stored upside down with x to the right: R, S, A.
    affine = np.array([[1.5, 0, 0, 0], [0, 0, 8, 0], [0, 1.5, 0, 0], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(np.zeros((30, 20, 5), np.uint8), affine)
    turn, _ = turned(image, "LPS")
    assert turn.order == (0, 1, 2)
    assert turn.flips[1:] == (True, True)  # x to the left, y to the feet
    # With thin slices the network may have any of them: the patient's axes decide.
    assert turned(image, "LPS", stacked=False)[0].order == (1, 0, 2)


def test_a_single_slice_is_seen_from_the_front_wherever_its_short_axis_lies():
    for axis in range(3):
        shape = [12, 12, 12]
        shape[axis] = 1
        _, result = turned(nib.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)), "LPS")
        assert result.shape == (1, 12, 12)


def test_a_turn_leaves_leading_axes():
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    turn = Turn((2, 0, 1), (True, False, True))
    assert turn.apply(array).shape == (2, 5, 3, 4)
    np.testing.assert_array_equal(turn.undo(turn.apply(array)), array)
    np.testing.assert_array_equal(turn.apply(array)[1], turn.apply(array[1]))


def test_training_orientation_is_read_from_the_masks_of_the_run(tmp_path):
    (tmp_path / "predictions").mkdir()
    for name, affine in (("a", np.diag([-1, -1, 9, 1.0])), ("b", np.diag([-2, -2, 1, 1.0])),
                         ("c", np.eye(4))):  # fmt: skip
        nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), affine),
                 tmp_path / "predictions" / f"{name}.nii.gz")  # fmt: skip
    assert trained_codes(tmp_path) == {"LPS": 2, "RAS": 1}
    with pytest.raises(BenchmarkError, match="how the images lay"):
        trained_codes(tmp_path / "predictions")


def test_real_files_lie_as_recorded(real_data):
    """ACDC and CAMUS name the axes of their slices, LA2018 those of the patient."""
    for pattern, codes in (
        ("ACDC/training/patient00*/*_frame01.nii.gz", "LPS"),
        ("Task02_Heart/imagesTr/la_*.nii.gz", "RAS"),
        ("CAMUS_public/database_nifti/*/*_ED.nii.gz", "LPS"),
    ):
        files = sorted(real_data.glob(pattern))
        assert {codes_of(nib.load(path).affine) for path in files} == {codes}
