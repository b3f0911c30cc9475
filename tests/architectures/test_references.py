"""The networks have exactly the sizes that the papers and their implementations have."""

import json

import pytest

import architectures
from architectures import cost, references

# Of the entries that differ in channels and classes alone, one is built, and these as well.
ISSUED = {
    ("unet", 4): 31_036_676,
    ("unet", 2): 31_030_658,
    ("attention_unet", 4): 34_877_616,
    ("attention_unet", 2): 6_472_784,
    ("vnet", 2): 45_601_516,
    ("vnet", 4): 9_360_348,
    ("deeplabv3", 4): 39_628_228,
    ("deeplabv3", 2): 58_619_842,
}


def distinct():
    chosen = {}
    for reference in references.references():
        if {"backbone", "auxiliary"} <= set(reference.options):
            continue  # built apart: the head with the one trunk, the other trunk without it
        options = json.dumps(reference.options, sort_keys=True)
        key = (reference.architecture, reference.dims, options)
        named = reference.trainable_params in ISSUED.values()
        if key not in chosen or named:
            chosen[key] = reference
    return list(chosen.values())


def test_the_named_counts_are_among_those_built():
    counts = {reference.trainable_params for reference in distinct()}
    assert counts >= {*ISSUED.values(), 61_982_682, 65_191_134}


@pytest.mark.parametrize(
    "reference", distinct(), ids=lambda r: f"{r.source}-{r.trainable_params}".replace(" ", "_")
)
def test_parameters_to_the_unit_and_cost(reference, empty_weights):
    name, dims = reference.architecture, reference.dims
    nominal = architectures.nominal_shape(name, dims, reference.channels, reference.options)
    assert reference.size in (None, nominal[:-1])
    model = architectures.build(name, nominal, reference.classes, **reference.options)
    assert cost.trainable_parameters(model) == reference.trainable_params
    if reference.gmacs is not None:
        gmacs = cost.multiply_accumulates(model) / 1e9
        assert gmacs == pytest.approx(reference.gmacs, abs=0.0006)


def test_deeplabv3_on_resnet101_at_both_output_strides(empty_weights):
    costs = {}
    for stride in (8, 16):
        options = {"backbone": "resnet101", "output_stride": stride}
        model = architectures.build("deeplabv3", (256, 256, 3), 21, **options)
        assert cost.trainable_parameters(model) == 58_630_997
        costs[stride] = cost.multiply_accumulates(model) / 1e9
    assert costs[8] == pytest.approx(60.29, abs=0.005)
    assert costs[16] == pytest.approx(16.95, abs=0.005)


def test_deeplabv3_on_resnet50_at_output_stride_16(empty_weights):
    model = architectures.build("deeplabv3", (256, 256, 1), 4, output_stride=16)
    assert cost.trainable_parameters(model) == 39_628_228
    assert cost.multiply_accumulates(model) / 1e9 == pytest.approx(12.0, abs=0.06)


@pytest.mark.parametrize(
    ("name", "channels", "classes", "options", "moving"),
    [
        ("unet", 1, 4, {}, 11_776),
        ("unet", 1, 4, {"upsampling": "bilinear"}, 8_832),
        ("attention_unet", 1, 4, {}, 15_624),
        ("vnet", 1, 4, {}, 5_320),
        ("deeplabv3", 3, 21, {}, 56_704),
    ],
)
def test_moving_averages_are_counted_apart(name, channels, classes, options, moving, empty_weights):
    model = architectures.build(name, (64, 64, channels), classes, **options)
    statistics = [w for w in model.non_trainable_weights if "moving" in w.path]
    assert sum(w.shape[0] for w in statistics) == moving


def test_a_reference_is_found_however_the_request_is_spelled():
    found = references.find("unet", 2, 1, 4, {})
    assert found is not None
    assert found.trainable_params == 31_036_676
    spelled = {"filters": 64, "depth": 4, "strides": [[2, 2]] * 4, "upsampling": "transpose"}
    assert references.find("unet", 2, 1, 4, {**spelled, "bias": False, "dropout": 0.2}) == found
    additive = references.find("attention_unet", 2, 1, 4, {"variant": "additive"})
    assert additive == references.find("attention_unet", 2, 1, 4, {})
    assert references.find("vnet", 3, 1, 2, {"activation": "prelu", "bias": False}).gmacs


def test_a_request_that_nobody_published_has_no_reference():
    assert references.find("unet", 2, 1, 4, {"filters": 16}) is None
    assert references.find("unet", 2, 1, 7, {}) is None
    assert references.find("vnet", 3, 1, 2, {"strides": [[1, 2, 2]] * 4}) is None
    assert references.find("unet", 2, 1, 4, {"strides": [[2, 2]] * 3}) is None


def test_the_output_stride_changes_the_cost_but_not_the_count():
    found = references.find("deeplabv3", 2, 1, 4, {"output_stride": 16})
    assert found is not None
    assert (found.trainable_params, found.gmacs, found.size) == (39_628_228, None, None)
