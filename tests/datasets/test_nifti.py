from __future__ import annotations

import gzip
import struct

import nibabel
import numpy as np
import pytest

from datasets import acdc, nifti
from datasets.case import Case, DatasetError, Volume

LABELS = (1, 2, 3)


def edit(path, offset, form, *values):
    """Overwrite fields of the header in place, as a bit of bad luck would."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into(f"<{form}", content, offset, *values)
    path.write_bytes(gzip.compress(bytes(content)))


@pytest.fixture
def image(tmp_path, nifti_file):
    return nifti_file(tmp_path / "image.nii.gz", np.arange(60).reshape(3, 4, 5), dtype="i2")


@pytest.fixture
def case(tmp_path, image, nifti_file):
    mask = nifti_file(tmp_path / "mask.nii.gz", np.arange(60).reshape(3, 4, 5) % 4, dtype="u1")
    return Case("patient001_ED", "patient001", image, mask)


class TestImages:
    def test_axes_and_spacing_are_slowest_first(self, tmp_path, nifti_file):
        array = np.arange(60).reshape(3, 4, 5)
        path = nifti_file(tmp_path / "a.nii.gz", array, (10.0, 1.5, 1.25), dtype="i2")
        volume = nifti.read_image(path)
        np.testing.assert_array_equal(volume.array, array)
        assert volume.array.dtype == np.float32
        assert volume.array.flags.c_contiguous
        assert volume.spacing_mm == (10.0, 1.5, 1.25)
        np.testing.assert_array_equal(volume.array.T, nibabel.load(path).get_fdata())
        np.testing.assert_array_equal(volume.affine, nibabel.load(path).affine)

    @pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5), (1, 1, 4, 5)])
    def test_planar_images_have_two_axes_however_they_were_written(
        self, tmp_path, nifti_file, shape
    ):
        picture = np.arange(20).reshape(shape)
        path = nifti_file(tmp_path / "a.nii.gz", picture, (1.0,) * (len(shape) - 2) + (0.5, 0.25),
                          dtype="u1")  # fmt: skip
        volume = nifti.read_image(path, dims=2)
        np.testing.assert_array_equal(volume.array, picture.reshape(4, 5))
        assert volume.spacing_mm == (0.5, 0.25)

    def test_the_direction_of_the_affine_never_moves_a_pixel(self, tmp_path, nifti_file):
        array = np.arange(60).reshape(3, 4, 5)
        for index, signs in enumerate([(1, 1, 1), (-1, -1, 1), (-1, 1, -1)]):
            affine = np.diag([1.5 * signs[0], 1.5 * signs[1], 10.0 * signs[2], 1.0])
            path = nifti_file(tmp_path / f"{index}.nii.gz", array, affine=affine, dtype="i2")
            np.testing.assert_array_equal(nifti.read_image(path).array, array)

    @pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "f4", "f8", ">i2", ">f4"])
    def test_number_types_and_byte_orders(self, tmp_path, dtype):
        array = np.arange(60).reshape(3, 4, 5).astype(dtype)
        header = nibabel.Nifti1Header(endianness=">" if dtype[0] == ">" else "<")
        header.set_data_dtype(dtype)
        nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4), header), tmp_path / "a.nii.gz")
        np.testing.assert_array_equal(nifti.read_image(tmp_path / "a.nii.gz").array, array)

    def test_nifti_2_and_files_that_are_not_compressed(self, tmp_path):
        array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
        nibabel.save(nibabel.Nifti2Image(array.T, np.eye(4)), tmp_path / "a.nii")
        (tmp_path / "a.nii").rename(tmp_path / "a.nii.gz")  # the suffix lies; the content counts
        np.testing.assert_array_equal(nifti.read_image(tmp_path / "a.nii.gz").array, array)

    def test_integers_scaled_to_floats_are_scaled_back(self, image):
        edit(image, 112, "2f", 0.25, -3.0)
        np.testing.assert_allclose(
            nifti.read_image(image).array, np.arange(60).reshape(3, 4, 5) * 0.25 - 3
        )

    @pytest.mark.parametrize("slope", [0.0, np.nan, np.inf])
    def test_a_slope_that_says_not_scaled(self, image, slope):
        edit(image, 112, "2f", slope, 7.0)
        assert nifti.read_image(image).array.max() == 59

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
    def test_pixels_that_are_not_finite(self, tmp_path, nifti_file, value):
        array = np.zeros((3, 4, 5))
        array[1, 2, 3] = value
        path = nifti_file(tmp_path / "a.nii.gz", array, dtype="f8")
        with pytest.raises(DatasetError, match=r"a\.nii\.gz: 1 of 60 pixels are NaN or infinite"):
            nifti.read_image(path)

    def test_too_many_axes(self, tmp_path, nifti_file):
        path = nifti_file(tmp_path / "patient001_4d.nii.gz", np.zeros((2, 3, 4, 5)), dtype="i2")
        for dims in (None, 3):
            with pytest.raises(DatasetError, match=r"_4d\.nii\.gz: expected .* axes"):
                nifti.read_image(path, dims=dims)

    def test_too_few_axes(self, tmp_path, nifti_file):
        path = nifti_file(tmp_path / "a.nii.gz", np.zeros((4, 5)), dtype="i2")
        with pytest.raises(DatasetError, match="expected 3 axes"):
            nifti.read_image(path, dims=3)

    def test_no_handle_stays_open(self, image, case):
        # An unclosed file is a ResourceWarning, and warnings are errors here.
        nifti.read_pair(case, acdc.INFO)
        image.unlink()


class TestFilesThatAreNoImages:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
                "is a Git LFS pointer.*git lfs pull",
            ),
            (b"\x00\x05\x16\x07" + bytes(300), "is an AppleDouble file"),
            (b"\n<!DOCTYPE html><html>Log in</html>", "is a web page"),
            (b"\xff\xd8\xff\xe0" + bytes(400), "is not a NIfTI image"),
            (bytes(400), "is not a NIfTI image"),
            (b"\x1f\x8b", "is cut short"),
            (gzip.compress(b"", mtime=0), "is not a NIfTI image"),
            (gzip.compress(b"\x5c\x01\x00\x00", mtime=0), "is not a NIfTI image"),
        ],
    )
    def test_each_is_called_what_it_is(self, tmp_path, content, message):
        path = tmp_path / "la_003.nii.gz"
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=rf"la_003\.nii\.gz {message}"):
            nifti.read_image(path)

    def test_missing(self, tmp_path):
        with pytest.raises(DatasetError, match=r"none\.nii\.gz cannot be read: No such file"):
            nifti.read_image(tmp_path / "none.nii.gz")

    def test_a_folder(self, tmp_path):
        (tmp_path / "a.nii").mkdir()
        with pytest.raises(DatasetError, match=r"a\.nii is a folder"):
            nifti.read_image(tmp_path / "a.nii")

    @pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.99])
    def test_cut_short(self, tmp_path, nifti_file, keep):
        noise = np.random.default_rng(0).integers(0, 999, (8, 32, 32))
        path = nifti_file(tmp_path / "a.nii.gz", noise, dtype="i2")
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])
        with pytest.raises(DatasetError, match=r"a\.nii\.gz is cut short or damaged"):
            nifti.read_image(path)

    def test_cut_short_before_it_was_compressed(self, tmp_path, nifti_file):
        path = nifti_file(tmp_path / "a.nii", np.zeros((8, 32, 32)), dtype="i2")
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(DatasetError, match=r"a\.nii: the header claims"):
            nifti.read_image(path)

    def test_one_flipped_bit_of_a_mask(self, tmp_path, nifti_file):
        path = nifti_file(tmp_path / "a.nii.gz", np.ones((8, 32, 32)), dtype="u1")
        content = bytearray(path.read_bytes())
        content[-6] ^= 1  # within the checksum and length that close the stream
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"a\.nii\.gz is cut short or damaged"):
            nifti.read_mask(path, LABELS)


class TestHeaders:
    @pytest.mark.parametrize(
        "dims",
        [
            (3, 30000, 30000, 10000),  # 18 TB
            (7, 32767, 32767, 32767, 32767, 32767, 32767, 32767),
            (3, 5, 4, 4),
            (3, 0, 4, 3),
            (3, -5, 4, 3),
            (3, 4, 4, 3),  # fewer pixels than there are
            (0, 5, 4, 3),
        ],
    )
    def test_shapes_that_the_file_cannot_hold(self, tmp_path, nifti_file, dims):
        path = nifti_file(tmp_path / "a.nii.gz", np.zeros((3, 4, 50)), dtype="i2")
        edit(path, 40, f"{len(dims)}h", *dims)
        with pytest.raises(DatasetError, match=r"a\.nii\.gz.* header"):
            nifti.read_image(path)

    def test_ten_terabytes_in_a_nifti_2_header(self, tmp_path):
        nibabel.save(
            nibabel.Nifti2Image(np.zeros((5, 4, 3), "u1"), np.eye(4)), tmp_path / "a.nii.gz"
        )
        edit(tmp_path / "a.nii.gz", 16, "4q", 3, 100_000, 100_000, 1000)
        with pytest.raises(DatasetError, match=r"10,000,000,000,000 bytes"):
            nifti.read_image(tmp_path / "a.nii.gz")

    @pytest.mark.parametrize(
        ("offset", "form", "values", "message"),
        [
            (70, "h", (32,), "expected one integer or float per pixel"),  # complex
            (70, "h", (128,), "expected one integer or float per pixel"),  # colour
            (70, "h", (999,), "header is broken"),
            (80, "f", (0.0,), "spacing must be positive"),
            (84, "f", (np.nan,), "spacing must be positive"),
            (84, "f", (-1.5,), "spacing must be positive"),
            (88, "f", (np.inf,), "spacing must be positive"),
            (108, "f", (np.nan,), "pixels begin at byte nan"),
            (108, "f", (-8.0,), "pixels begin at byte -8"),
            (108, "f", (1e30,), "pixels begin at byte"),
            (108, "f", (9999.0,), "header claims 120 bytes of pixels"),
            (112, "2f", (1.0, np.nan), "scl_inter"),
            (280, "f", (np.nan,), "affine of the header is not finite"),
            (344, "4s", (b"ni1\0",), "not a NIfTI image in one file"),
        ],
    )
    def test_broken_fields_are_named(self, image, offset, form, values, message):
        edit(image, offset, form, *values)
        with pytest.raises(DatasetError, match=rf"image\.nii\.gz.*{message}"):
            nifti.read_image(image)


class TestMasks:
    def test_labels_come_as_bytes(self, case):
        mask = nifti.read_mask(case.mask, LABELS)
        assert mask.array.dtype == np.uint8
        assert set(np.unique(mask.array)) == {0, 1, 2, 3}

    @pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
    def test_whole_numbers_are_labels_whatever_their_type(self, tmp_path, nifti_file, dtype):
        path = nifti_file(tmp_path / "a.nii.gz", np.arange(60).reshape(3, 4, 5) % 4, dtype=dtype)
        assert nifti.read_mask(path, LABELS).array.dtype == np.uint8

    def test_labels_behind_a_scale(self, tmp_path, nifti_file):
        path = nifti_file(tmp_path / "a.nii.gz", np.eye(4) * 255, dtype="u1")
        edit(path, 112, "2f", 1 / 255, 0.0)
        np.testing.assert_array_equal(nifti.read_mask(path, LABELS).array, np.eye(4))

    @pytest.mark.parametrize("value", [0.5, np.nan, np.inf, -1, 4, 255])
    def test_other_values_are_refused(self, tmp_path, nifti_file, value):
        array = np.zeros((3, 4, 5))
        array[0, 0, 0] = value
        path = nifti_file(tmp_path / "a.nii.gz", array, dtype="f4")
        with pytest.raises(DatasetError, match=r"a\.nii\.gz holds values that are not labels"):
            nifti.read_mask(path, LABELS)

    def test_grey_levels_are_called_so(self, tmp_path, nifti_file):
        path = nifti_file(tmp_path / "a.nii.gz", np.arange(144).reshape(12, 12), dtype="u1")
        with pytest.raises(DatasetError, match=r"labels: 4, 5, 6, 7, 8 and more.*JPEG"):
            nifti.read_mask(path, LABELS)

    def test_a_mask_need_not_hold_every_label(self, tmp_path, nifti_file):
        path = nifti_file(tmp_path / "a.nii.gz", np.zeros((3, 4, 5)), dtype="u1")
        assert not nifti.read_mask(path, LABELS).array.any()


class TestPairs:
    def test_a_pair(self, case):
        image, mask = nifti.read_pair(case, acdc.INFO)
        assert image.array.shape == mask.array.shape == (3, 4, 5)

    def test_shapes_that_differ(self, case, nifti_file):
        nifti_file(case.mask, np.zeros((3, 5, 4)), dtype="u1")
        with pytest.raises(DatasetError, match=r"mask\.nii\.gz has the shape \(3, 5, 4\)"):
            nifti.read_pair(case, acdc.INFO)

    def test_a_mask_with_the_labels_of_another_dataset(self, case, nifti_file):
        nifti_file(case.mask, np.full((3, 4, 5), 4), dtype="u1")
        with pytest.raises(DatasetError, match=r"Expected only \[0, 1, 2, 3\]"):
            nifti.read_pair(case, acdc.INFO)

    def test_one_altered_spacing(self, case):
        edit(case.mask, 80, "f", 1.6)
        with pytest.raises(DatasetError, match=r"mask\.nii\.gz has the spacing"):
            nifti.read_pair(case, acdc.INFO)

    def test_codes_types_and_rounding_may_differ(self, case):
        edit(case.image, 252, "2h", 1, 1)
        edit(case.mask, 252, "2h", 0, 2)
        edit(case.mask, 80, "f", 1.500001)
        edit(case.mask, 280, "4f", -1.500001, 0, 0, 1e-5)
        nifti.read_pair(case, acdc.INFO)

    def test_a_mask_that_says_nothing_of_its_position(self, case):
        edit(case.image, 280, "4f", -1.5, 0, 0, 80.0)
        edit(case.mask, 252, "2h", 0, 0)
        nifti.read_pair(case, acdc.INFO)

    def test_a_mask_that_lies_elsewhere(self, case):
        edit(case.mask, 280, "4f", -1.5, 0, 0, 80.0)
        with pytest.raises(DatasetError, match=r"mask\.nii\.gz lies up to 80 mm away"):
            nifti.read_pair(case, acdc.INFO)

    def test_a_mirrored_mask(self, case):
        edit(case.mask, 280, "f", 1.5)
        with pytest.raises(DatasetError, match="their affines differ"):
            nifti.read_pair(case, acdc.INFO)


class TestWriting:
    @pytest.mark.parametrize("name", ["p.nii.gz", "p.nii"])
    def test_the_grid_is_that_of_the_image(self, tmp_path, case, name):
        image, mask = nifti.read_pair(case, acdc.INFO)
        for like in (image, case.image):
            nifti.write_mask(tmp_path / name, mask.array, like)
            again = nifti.read_pair(Case("a", "a", case.image, tmp_path / name), acdc.INFO)[1]
            np.testing.assert_array_equal(again.array, mask.array)
            np.testing.assert_array_equal(again.affine, image.affine)
            assert again.spacing_mm == image.spacing_mm

    def test_planar_masks(self, tmp_path, nifti_file):
        picture = nifti_file(tmp_path / "a.nii.gz", np.zeros((4, 5)), (0.3, 0.2), dtype="u1")
        nifti.write_mask(tmp_path / "p.nii.gz", np.eye(4, 5, dtype=np.int64), picture)
        mask = nifti.read_mask(tmp_path / "p.nii.gz", LABELS)
        np.testing.assert_array_equal(mask.array, np.eye(4, 5))
        assert mask.spacing_mm == pytest.approx((0.3, 0.2))
        assert nibabel.load(tmp_path / "p.nii.gz").shape == (5, 4)

    def test_the_same_mask_gives_the_same_bytes_and_leaves_nothing_beside(self, tmp_path, case):
        image, mask = nifti.read_pair(case, acdc.INFO)
        (tmp_path / "out").mkdir()
        contents = set()
        for name in ("a.nii.gz", "b.nii.gz"):
            nifti.write_mask(tmp_path / "out" / name, mask.array, image)
            contents.add((tmp_path / "out" / name).read_bytes())
        assert len(contents) == 1
        assert len(list((tmp_path / "out").iterdir())) == 2

    def test_what_cannot_be_written(self, tmp_path):
        like = Volume(np.zeros((4, 5), np.float32), (1.0, 1.0), np.eye(4))
        with pytest.raises(DatasetError, match=r"shape \(5, 4\)"):
            nifti.write_mask(tmp_path / "p.nii", np.zeros((5, 4), np.uint8), like)
        with pytest.raises(ValueError, match="0 to 255"):
            nifti.write_mask(tmp_path / "p.nii", np.full((4, 5), -1), like)
        with pytest.raises(ValueError, match="0 to 255"):
            nifti.write_mask(tmp_path / "p.nii", np.zeros((4, 5)), like)
        with pytest.raises(ValueError, match=r"\.nii\.gz"):
            nifti.write_mask(tmp_path / "p.png", np.zeros((4, 5), np.uint8), like)


def test_source_files(tmp_path, image, mhd_file):
    header = mhd_file(tmp_path / "a.mhd", np.zeros((4, 5), np.uint8))
    assert nifti.source_files(image) == (image,)
    assert nifti.source_files(header) == (header, tmp_path / "a.raw")
