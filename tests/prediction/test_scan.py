"""Any file that holds an image is read, what is none is refused, masks come out on its grid."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmark.errors import DataError
from benchmark.prediction.output import Probabilities, staged, write_mask
from benchmark.prediction.scan import read_scan
from datasets import acdc, camus, nifti
from datasets.case import DatasetError

LPS = Counter({"LPS": 3})
AFFINE = np.diag([-1.5, -1.5, 8.0, 1.0])


def save(path, array, affine=AFFINE, kind=nib.Nifti1Image, **header):
    image = kind(array, affine)
    for name, value in header.items():
        getattr(image.header, f"set_{name}")(*value)
    nib.save(image, path)
    return path


def noise(*shape, dtype=np.int16):
    return np.random.default_rng(0).integers(0, 900, shape).astype(dtype)


def test_intensities_are_those_of_the_training_reader(tmp_path):
    path = save(tmp_path / "a.nii.gz", noise(9, 8, 5), slope_inter=(0.37, -12.0))
    scan = read_scan(path, acdc.INFO, LPS)
    np.testing.assert_array_equal(scan.frame(0), nifti.read_image(path).array)
    assert scan.spacing_mm == nifti.read_image(path).spacing_mm
    assert scan.turn.order == (0, 1, 2)
    assert (scan.frames, scan.planar, scan.codes) == (1, False, "LPS")


@pytest.mark.parametrize(
    ("shape", "info", "frames", "frame"),
    [
        ((9, 8), acdc.INFO, 1, (8, 9)),
        ((9, 8), camus.INFO, 1, (8, 9)),
        ((9, 8, 1), camus.INFO, 1, (8, 9)),
        ((9, 8, 1), acdc.INFO, 1, (1, 8, 9)),
        ((9, 8, 5, 1), acdc.INFO, 1, (5, 8, 9)),
        ((9, 8, 5, 1, 1), acdc.INFO, 1, (5, 8, 9)),
        ((9, 8, 5, 3), acdc.INFO, 3, (5, 8, 9)),
        ((9, 8, 4), camus.INFO, 4, (8, 9)),
        ((9, 8, 1, 4), camus.INFO, 4, (8, 9)),
    ],
)
def test_pictures_stacks_and_sequences(tmp_path, shape, info, frames, frame):
    scan = read_scan(save(tmp_path / "a.nii", noise(*shape)), info, LPS)
    assert scan.frames == frames
    assert {scan.frame(index).shape for index in range(frames)} == {frame}
    values = [scan.frame(index) for index in range(frames)]
    np.testing.assert_array_equal(scan.place(values), scan.grid.values)


def test_units_other_than_millimetres_are_converted(tmp_path):
    affine = np.diag([-1500.0, -1500.0, 8000.0, 1.0])
    path = save(tmp_path / "a.nii", noise(9, 8, 5, 3), affine, xyzt_units=("micron", "msec"))
    image = nib.load(path)
    image.header.set_zooms((1500, 1500, 8000, 40))
    nib.save(image, path)
    scan = read_scan(path, acdc.INFO, LPS)
    assert scan.spacing_mm == pytest.approx((8, 1.5, 1.5))
    assert scan.time_step_s == pytest.approx(0.04)


def test_a_file_that_does_not_say_how_it_lies_is_left_as_it_is(tmp_path):
    image = nib.Nifti1Image(noise(9, 8, 5), None)
    image.header.set_zooms((1, 1, 3))
    nib.save(image, tmp_path / "a.nii")
    scan = read_scan(tmp_path / "a.nii", acdc.INFO, LPS)
    assert (scan.codes, scan.turn.order, scan.turn.flips) == ("", (0, 1, 2), (False,) * 3)


def test_an_image_that_lies_as_one_of_mixed_training_files_stays(tmp_path):
    path = save(tmp_path / "a.nii", noise(9, 8, 5), np.diag([1.5, 1.5, 8.0, 1.0]))
    mixed = Counter({"LPS": 3, "RAS": 1})
    assert read_scan(path, acdc.INFO, mixed).turn.flips == (False,) * 3
    assert read_scan(path, acdc.INFO, LPS).turn.flips == (False, True, True)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_the_mask_has_the_grid_and_the_codes_of_the_image(tmp_path, kind, endian):
    affine = np.array([[0, 1.4, 0.2, 7], [-1.3, 0, 0.1, 5], [0.1, 0.2, 6, -9], [0, 0, 0, 1.0]])
    header = kind.header_class(endianness=endian)
    image = kind(noise(9, 8, 5), affine, header)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=4)
    image.header.set_xyzt_units("micron", "msec")
    image.header.set_slope_inter(2.0, 5.0)
    image.header["qform_code"], image.header["cal_max"] = 3, 77
    nib.save(image, tmp_path / "a.nii.gz")
    scan = read_scan(tmp_path / "a.nii.gz", acdc.INFO, LPS)
    labels = (scan.frame(0) > 400).astype(np.uint8)
    write_mask(tmp_path / "m.nii.gz", scan, [labels])
    stored, mask = nib.load(tmp_path / "a.nii.gz"), nib.load(tmp_path / "m.nii.gz")
    assert type(mask) is kind
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(mask.affine, stored.affine)
    for name in ("qform_code", "sform_code", "pixdim", "xyzt_units", "srow_x", "srow_y", "srow_z",
                 "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "dim"):  # fmt: skip
        np.testing.assert_array_equal(mask.header[name], stored.header[name], err_msg=name)
    assert mask.header["cal_max"] == 0
    np.testing.assert_array_equal(np.asarray(mask.dataobj), stored.get_fdata() > 400)
    write_mask(tmp_path / "n.nii.gz", scan, [labels])
    assert (tmp_path / "m.nii.gz").read_bytes() == (tmp_path / "n.nii.gz").read_bytes()


@pytest.mark.parametrize(
    ("shape", "info", "stored"),
    [
        ((9, 8, 5), acdc.INFO, (9, 8, 5, 3)),
        ((9, 8, 5, 2), acdc.INFO, (9, 8, 5, 2, 3)),
        ((9, 8), camus.INFO, (9, 8, 1, 3)),
        ((9, 8, 4), camus.INFO, (9, 8, 4, 3)),
    ],
)
def test_probabilities_lie_on_the_grid_with_the_class_last(tmp_path, shape, info, stored):
    affine = np.array([[0, 0, 3.0, 1], [1.2, 0, 0, 2], [0, -1.2, 0, 3], [0, 0, 0, 1]])
    affine = affine if len(shape) > 2 and info is acdc.INFO else AFFINE
    scan = read_scan(save(tmp_path / "a.nii", noise(*shape), affine), info, LPS)
    rng = np.random.default_rng(1)
    frames = []
    kept = Probabilities(tmp_path, scan, 3)
    for index in range(scan.frames):
        size = scan.frame(index).shape
        values = rng.random((1, *size, 3)[-4:], np.float32)
        for start in range(0, len(values), 2):
            kept.put(index, start, values[start : start + 2])
        frames.append(values.reshape(*size, 3))
    kept.close(tmp_path / "p" / "p.nii.gz")
    image = nib.load(tmp_path / "p" / "p.nii.gz")
    assert image.shape == stored
    np.testing.assert_array_equal(image.affine, nib.load(tmp_path / "a.nii").affine)
    for label in range(3):
        expected = scan.place([frame[..., label] for frame in frames]).T
        found = np.asarray(image.dataobj)[..., label].reshape(expected.shape)
        np.testing.assert_array_equal(found, expected)
    assert not (tmp_path / "probabilities.raw").exists()


def broken_nan(path):
    array = noise(9, 8, 5, dtype=np.float32)
    array[2, 3, :4] = np.nan
    save(path, array)


def broken_rgb(path):
    save(path, np.zeros((9, 8, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")]))


def broken_zero_spacing(path):
    save(path, noise(9, 8, 5))
    content = bytearray(path.read_bytes())
    content[84:88] = bytes(4)  # pixdim[2]
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "info", "words"),
    [
        (broken_nan, acdc.INFO, "4 of 360 pixels are NaN or infinite"),
        (broken_rgb, acdc.INFO, "one integer or float per pixel"),
        (broken_zero_spacing, acdc.INFO, "spacing must be positive, received 1.5 x 0 x 8 mm"),
        (lambda path: save(path, noise(9, 8, 5, 2, 3)), acdc.INFO, "received 5 axes"),
        (lambda path: save(path, noise(9, 8, 5, 1, 3)), acdc.INFO, "9 x 8 x 5 x 1 x 3"),
        (lambda path: save(path, np.full((9, 8, 5), 7, np.int16)), acdc.INFO,
         "all 360 pixels have the value 7"),
        (lambda path: save(path, noise(9, 8, 5, 3)), camus.INFO, "3 volumes of 5 slices"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(600)), acdc.INFO,
         "not a NIfTI image"),
        (lambda path: path.write_bytes(b""), acdc.INFO, "empty"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused_and_named(tmp_path, make, info, words):
    path = tmp_path / "bad.nii"
    make(path)
    with pytest.raises((DataError, DatasetError), match=words) as caught:
        read_scan(path, info, LPS).check()
    assert str(path) in str(caught.value)


def test_a_bad_frame_is_named(tmp_path):
    array = noise(9, 8, 5, 3)
    array[..., 1] = 4
    with pytest.raises(DataError, match="frame 2: all 360"):
        read_scan(save(tmp_path / "a.nii", array), acdc.INFO, LPS).check()


def fail_halfway(out):
    with staged(out, last=Path("a.nii.gz")) as work:
        (work / "old.txt").write_text("half")
        raise KeyError


def test_files_appear_together_or_not_at_all(tmp_path):
    out = tmp_path / "new" / "out"
    with pytest.raises(KeyError):
        fail_halfway(out)
    assert list(tmp_path.iterdir()) == []
    out.mkdir(parents=True)
    (out / "old.txt").write_text("old")
    with pytest.raises(KeyError):
        fail_halfway(out)
    assert [path.name for path in out.iterdir()] == ["old.txt"]
    assert (out / "old.txt").read_text() == "old"
    with staged(out, last=Path("a.nii.gz")) as work:
        (work / "a").mkdir()
        (work / "a" / "b.txt").write_text("b")
    assert sorted(path.name for path in out.rglob("*")) == ["a", "b.txt", "old.txt"]
