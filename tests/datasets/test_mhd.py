from __future__ import annotations

import zlib

import numpy as np
import pytest

from datasets import mhd, nifti
from datasets.case import DatasetError

PICTURE = np.arange(20, dtype=np.uint8).reshape(4, 5)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_pixels_come_upright_with_their_own_spacing(tmp_path, mhd_file, packed, dtype):
    path = mhd_file(tmp_path / "a.mhd", PICTURE.astype(dtype), packed=packed)
    volume = nifti.read_image(path)
    np.testing.assert_array_equal(volume.array, PICTURE)
    assert volume.array.dtype == np.float32
    assert volume.spacing_mm == (0.308, 0.154)


def test_masks(tmp_path, mhd_file):
    path = mhd_file(tmp_path / "a.mhd", PICTURE % 4)
    np.testing.assert_array_equal(nifti.read_mask(path, (1, 2, 3)).array, PICTURE % 4)
    with pytest.raises(DatasetError, match=r"a\.mhd holds values that are not labels"):
        nifti.read_mask(path, (1, 2))


def test_pixels_behind_the_header(tmp_path, mhd_file):
    path = mhd_file(tmp_path / "a.mhd", PICTURE, ElementDataFile="LOCAL")
    path.write_bytes(path.read_bytes() + PICTURE.tobytes())
    np.testing.assert_array_equal(nifti.read_image(path).array, PICTURE)
    assert mhd.data_file(path) == path


def test_the_other_byte_order(tmp_path, mhd_file):
    path = mhd_file(tmp_path / "a.mhd", PICTURE.astype(np.int16), BinaryDataByteOrderMSB="True")
    path.with_suffix(".raw").write_bytes(PICTURE.astype(">i2").tobytes())
    np.testing.assert_array_equal(nifti.read_image(path).array, PICTURE)


def test_bytes_before_the_pixels(tmp_path, mhd_file):
    path = mhd_file(tmp_path / "a.mhd", PICTURE, HeaderSize=-1)
    path.with_suffix(".raw").write_bytes(bytes(77) + PICTURE.tobytes())
    # HeaderSize comes after ElementDataFile in the fixture, so it is not part of the header yet.
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[-1], *lines[:-1]]))
    np.testing.assert_array_equal(nifti.read_image(path).array, PICTURE)


def test_a_volume_with_its_position(tmp_path, mhd_file):
    path = mhd_file(
        tmp_path / "a.mhd",
        PICTURE,
        spacing=(2.0, 3.0, 4.0),
        DimSize="5 2 2",
        Offset="10 20 30",
        TransformMatrix="0 1 0 1 0 0 0 0 1",
    )
    volume = nifti.read_image(path)
    assert volume.array.shape == (2, 2, 5)
    assert volume.spacing_mm == (4.0, 3.0, 2.0)
    # One step along x goes 2 mm along the second axis of the patient; left and back are negative.
    np.testing.assert_allclose(
        volume.affine,
        [[0, -3, 0, -10], [-2, 0, 0, -20], [0, 0, 4, 30], [0, 0, 0, 1]],
    )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"NDims": "x"}, "expected `NDims =`"),
        ({"NDims": "99"}, "expected NDims"),
        ({"NDims": "nan"}, "expected `NDims =`"),
        ({"DimSize": "5 4"}, "expected `DimSize =` and 3 numbers"),
        ({"DimSize": "100000 100000 1000"}, "10,000,000,000,000 bytes"),
        ({"DimSize": "0 4 1"}, "claims the shape"),
        ({"DimSize": "-5 -4 1"}, "claims the shape"),
        ({"DimSize": "5 3 1"}, "20 bytes but .* claims 15"),
        ({"ElementSpacing": "a b c"}, "expected `ElementSpacing =`"),
        ({"ElementSpacing": "0 1 1"}, "spacing must be positive"),
        ({"ElementSpacing": "nan 1 1"}, "expected `ElementSpacing =`"),
        ({"ElementType": "MET_ULTRA"}, "expected an ElementType among"),
        ({"ElementNumberOfChannels": "3"}, "expected one channel"),
        ({"CompressedData": "True"}, "is damaged"),
        ({"ElementDataFile": "gone.raw"}, r"gone\.raw cannot be read: No such file"),
        ({"ElementDataFile": "../a.raw"}, "must name a file in the same folder"),
        ({"ElementDataFile": "/etc/passwd"}, "must name a file in the same folder"),
        ({"ElementDataFile": "a\0.raw"}, "must name a file in the same folder"),
        ({"ElementDataFile": ".."}, "must name a file in the same folder"),
        ({"ElementDataFile": ""}, "must name a file in the same folder"),
        ({"ElementDataFile": "LIST"}, "several files"),
        ({"ElementDataFile": "a%03d.raw 1 5 1"}, "several files"),
    ],
)
def test_a_broken_header_is_named(tmp_path, mhd_file, entries, message):
    channels = entries.pop("ElementNumberOfChannels", None)
    path = mhd_file(tmp_path / "a.mhd", PICTURE, **entries)
    if channels:
        path.write_text(f"ElementNumberOfChannels = {channels}\n{path.read_text()}")
    with pytest.raises(DatasetError, match=message) as caught:
        nifti.read_image(path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a = b\n" * 9999, b"NDims 3\n"])
def test_what_is_no_header_is_named(tmp_path, content):
    (tmp_path / "a.mhd").write_bytes(content)
    with pytest.raises(DatasetError, match=r"a\.mhd is "):
        nifti.read_image(tmp_path / "a.mhd")


@pytest.mark.parametrize(
    "content",
    [
        zlib.compress(PICTURE.tobytes())[:-6],
        zlib.compress(PICTURE.tobytes()[:-1]),
        zlib.compress(bytes(100_000)),
        b"no zlib at all, and long enough",
    ],
)
def test_broken_compressed_pixels_are_named(tmp_path, mhd_file, content):
    path = mhd_file(tmp_path / "a.mhd", PICTURE, packed=True)
    path.with_suffix(".zraw").write_bytes(content)
    with pytest.raises(DatasetError, match=r"a\.zraw"):
        nifti.read_image(path)
