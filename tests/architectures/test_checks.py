"""Impossible requests are refused with the parameter, what came, and what is allowed."""

import pytest

import architectures
from architectures import ArchitectureError
from architectures.valid import output_size, valid_crops

REFUSED = [
    ("unett", (64, 64, 1), {}, r"no architecture 'unett'.*Did you mean 'unet'"),
    ("unet", (64, 64, 1), {"normalization": "bach"}, r"'batch', 'none'.*Did you mean 'batch'"),
    ("unet", (64, 64, 1), {"filters": True}, r"filters.*integer.*filters=True \(of type bool\)"),
    ("unet", (64, 64, 1), {"depth": 2.0}, r"depth.*integer.*depth=2\.0"),
    ("unet", (64, 64, 1), {"depth": 0}, r"'depth' must be a positive integer.*depth=0"),
    ("unet", (64, 64, 1), {"dropout": 1.0}, r"'dropout'.*below 1.*dropout=1\.0"),
    ("unet", (64, 64, 1), {"strides": "2"}, r"list of per-level strides.*strides='2'"),
    ("unet", (64, 64, 1), {"strides": [2, 2]}, r"list of per-level strides"),
    ("unet", (64, 64, 1), {"strides": [[2, 2, 2]] * 4}, r"4 lists .* of 2 positive"),
    ("unet", (64, 64, 1), {"strides": [[2, 0]] * 4}, r"4 lists .* of 2 positive"),
    ("unet", (64, 64, 1), {"strides": [[2, 2]] * 3, "depth": 4}, r"must hold 4 lists"),
    ("unet", (64, 64, 1), {"variant": "camus", "depth": 4}, r"'depth' must be 5"),
    ("unet", (64, 64, 1), {"variant": "cicek", "upsampling": "bilinear"}, r"'upsampling'.*null"),
    ("unet", (570, 572, 1), {"padding": "valid"}, r"570 of axis 0.*next possible size is 572"),
    ("unet", (572, 572, 1), {"padding": "valid", "auxiliary": True}, r"'auxiliary' needs"),
    ("attention_unet", (64, 64, 1), {"gates": 2}, r"'gates' must be null.*variant='grid'"),
    ("attention_unet", (16, 16, 16, 1), {"gates": 3}, r"'gates' must be 1, 2 or null"),
    (
        "attention_unet",
        (81, 81, 1),
        {"variant": "monai", "strides": [[3, 3]]},
        r"'strides'.*1 and 2",
    ),
    ("vnet", (64, 64, 3), {}, r"must divide 'filters'.*1, 2, 4, 8, 16.*Received: 3 channels"),
    ("vnet", (64, 64, 4), {"filters": 6}, r"Allowed with filters=6: 1, 2, 3, 6"),
    ("vnet", (64, 64, 1), {"variant": "figure", "bias": True}, r"'bias' must be null"),
    ("vnet", (64, 64, 1), {"strides": [[2, 2]] * 3}, r"must hold 4 lists"),
    ("deeplabv3", (64, 64, 64, 1), {}, r"must be \(height, width, channels\)"),
    ("deeplabv3", (64, 64, 1), {"output_stride": 32}, r"one of 8, 16.*output_stride=32"),
    ("deeplabv3", (64, 64, 1), {"backbone": "resnet5"}, r"Did you mean 'resnet50'"),
    ("deeplabv3", (64, 64, 3), {"weights": "no.npz"}, r"'weights'.*path of a file.*no\.npz"),
]


@pytest.mark.parametrize(("name", "shape", "options", "message"), REFUSED)
def test_refuses(name, shape, options, message):
    with pytest.raises(ArchitectureError, match=message):
        architectures.check(name, shape, 2, options)


@pytest.mark.parametrize("classes", [1, 0, -1, 2.0, "2", True, None])
def test_refuses_a_class_count(classes):
    with pytest.raises(ArchitectureError, match="`classes` must be an integer of at least 2"):
        architectures.check("unet", (64, 64, 1), classes, {})


@pytest.mark.parametrize("shape", [(64, 64), 5, "64", (64.0, 64, 1), (64, -64, 1), (64, 64, None)])
def test_refuses_an_input_shape(shape):
    with pytest.raises(ArchitectureError, match="`input_shape` must"):
        architectures.check("unet", shape, 2, {})


def test_options_come_back_with_tuples():
    options = architectures.check_options("unet", {"strides": [[1, 2, 2], [2, 2, 2]], "bias": None})
    assert options == {"strides": ((1, 2, 2), (2, 2, 2)), "bias": None}
    assert architectures.check_options("deeplabv3", {"dropout": 0}) == {"dropout": 0}


@pytest.mark.parametrize(
    ("name", "dims", "options", "expected"),
    [
        ("unet", 2, {}, (16, 16)),
        ("unet", 3, {"variant": "cicek"}, (8, 8, 8)),
        ("unet", 2, {"variant": "camus"}, (32, 32)),
        ("unet", 2, {"depth": 2}, (4, 4)),
        ("unet", 3, {"strides": [[1, 2, 2], [1, 2, 2], [2, 2, 2]]}, (2, 8, 8)),
        ("attention_unet", 3, {}, (16, 16, 16)),
        ("vnet", 3, {"strides": [[1, 2, 2]] * 4}, (1, 16, 16)),
        ("deeplabv3", 2, {}, (8, 8)),
        ("deeplabv3", 2, {"output_stride": 16}, (16, 16)),
    ],
)
def test_divisor(name, dims, options, expected):
    assert architectures.divisor(name, dims, options) == expected


def test_divisor_of_dimensions_that_do_not_exist():
    with pytest.raises(ArchitectureError, match=r"exists in 2 spatial dimensions.*dims=3"):
        architectures.divisor("deeplabv3", 3, {})


def test_a_size_left_open_is_not_checked():
    architectures.check("unet", (None, None, 1), 2, {})


def test_nominal_shapes_are_those_of_the_references():
    assert architectures.nominal_shape("unet", 2, 1, {}) == (256, 256, 1)
    assert architectures.nominal_shape("unet", 2, 1, {"padding": "valid"}) == (572, 572, 1)
    assert architectures.nominal_shape("vnet", 3, 2, {}) == (96, 96, 96, 2)
    assert architectures.nominal_shape("unet", 3, 1, {"depth": 6}) == (128, 128, 128, 1)


def test_the_u_net_of_the_paper_crops_as_in_its_figure():
    strides = ((2, 2),) * 4
    assert output_size(572, [2] * 4) == 388
    assert valid_crops((572, 572, 1), strides) == [(88, 88), (40, 40), (16, 16), (4, 4)]
    assert valid_crops((None, None, 1), strides) == valid_crops((572, 572, 1), strides)
    # Figure 2 of the 3D U-Net: 132 × 132 × 116 in, 44 × 44 × 28 out.
    assert [output_size(size, [2] * 3) for size in (132, 132, 116)] == [44, 44, 28]
    assert output_size(100, [2] * 4) is None
