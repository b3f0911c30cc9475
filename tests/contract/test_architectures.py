"""What every architecture must do: one contract over the whole catalogue and all variants."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import architectures

ROOM = Path(architectures.__file__).parent
SHARED = {
    "blocks", "checks", "cost", "folding", "kernels", "layers", "pretrained", "references", "valid",
    "__init__",
}  # fmt: skip

# One narrow network of every form; a new architecture is added by its defaults alone.
FORMS = {
    "unet": [
        {},
        {"upsampling": "bilinear"},
        {"upsampling": "nearest", "normalization": "none"},
        {"variant": "cicek"},
        {"variant": "camus", "auxiliary": True, "dropout": 0.1},
    ],
    "attention_unet": [
        {"variant": "additive"},
        {"variant": "grid"},
        {"variant": "grid", "gates": 1, "deep_supervision": False, "auxiliary": True},
        {"variant": "monai"},
    ],
    "vnet": [
        {},
        {"variant": "prototxt", "auxiliary": True},
        {"variant": "figure", "activation": "elu", "dropout": 0.1},
    ],
    "deeplabv3": [{}, {"output_stride": 16, "auxiliary": True}, {"backbone": "resnet18"}],
}
CASES = [
    pytest.param(name, dims, options, id=f"{name}-{dims}d-{'-'.join(map(str, options.values()))}")
    for name in architectures.NAMES
    for options in FORMS.get(name, [{}])
    for dims in architectures.describe(name).dims
    if dims == 2 or options in ({}, {"variant": "grid"}, {"upsampling": "bilinear"})
]
ALL = [
    pytest.param(name, dims, id=f"{name}-{dims}d")
    for name in architectures.NAMES
    for dims in architectures.describe(name).dims
]
# The expensive questions are asked once, and again where other layers are met in 3D.
FEW = [p for p in ALL if p.values[1] == 2 or p.values[0] == "attention_unet"]
CLASSES = 3


def tiny(name, dims, options=None):
    keras.utils.set_random_seed(1)
    options = {"filters": 4, **(options or {})}
    units = architectures.divisor(name, dims, options)
    shape = (*((32, 32) if dims == 2 else (16, 16, 16)), 1)
    sizes = [max(size, unit) for size, unit in zip(shape, units, strict=False)]
    return architectures.build(name, (*sizes, 1), CLASSES, **options)


def images(model, count=3):
    return np.random.default_rng(0).normal(size=(count, *model.input_shape[1:])).astype("float32")


def listed(value):
    return list(value) if isinstance(value, list | tuple) else [value]


def test_the_catalogue_lists_every_file():
    files = {path.stem for path in ROOM.glob("*.py")} - SHARED
    assert files == set(architectures.NAMES)


def test_the_catalogue_checks_and_describes_without_keras():
    code = """
import sys, architectures
from architectures import references
for name in architectures.NAMES:
    line = architectures.describe(name)
    for dims in line.dims:
        architectures.divisor(name, dims, {})
        shape = architectures.nominal_shape(name, dims, 1, {})
        architectures.check(name, shape, 2, {})
        references.find(name, dims, 1, 2, {})
loaded = {"keras", "tensorflow", "torch", "jax"} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOM.parent)


@pytest.mark.parametrize(("name", "dims", "options"), CASES)
def test_returns_logits_and_a_step_moves_every_weight(name, dims, options):
    model = tiny(name, dims, options)
    x = images(model)
    if options.get("auxiliary"):
        assert model.output_names[0] == "logits"
    for output in listed(model(x)):
        assert output.shape == (*x.shape[:-1], CLASSES)
        assert keras.backend.standardize_dtype(output.dtype) == "float32"
        values = keras.ops.convert_to_numpy(output)
        assert np.isfinite(values).all()
        assert values.min() < 0 or values.max() > 1, "logits, not probabilities"

    y = [np.random.default_rng(1).integers(0, CLASSES, x.shape[:-1])] * len(listed(model.output))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # A bias before a batch normalisation is subtracted again with the mean: it has no gradient.
    norms = {layer.name for layer in model.layers if "BatchNorm" in type(layer).__name__}
    exempt = {w.path for w in model.weights if w.path.replace("_conv/bias", "_bn") in norms}
    exempt |= {w.path for w in model.non_trainable_weights if "seed" in w.path}
    # A weight that no gradient reaches stays as it is, to the last bit.
    model.compile(keras.optimizers.SGD(10.0), loss=[loss] * len(y), run_eagerly=True)
    before = model.get_weights()
    model.train_on_batch(x, y if len(y) > 1 else y[0])
    still = [
        weight.path
        for weight, old, new in zip(model.weights, before, model.get_weights(), strict=True)
        if weight.path not in exempt and np.array_equal(new, old)
    ]
    assert not still


# Keras 3.15 hands numpy 2 its variables in the old way while it writes a file.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("name", "dims"), FEW)
def test_a_saved_model_predicts_the_same(name, dims, tmp_path):
    model = tiny(name, dims)
    x = images(model)
    model(x, training=True)  # moves the averages of the normalisation, which are saved as well
    expected = keras.ops.convert_to_numpy(model(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(keras.ops.convert_to_numpy(loaded(x)), expected)


@pytest.mark.parametrize(("name", "dims"), FEW)
def test_mixed_precision_returns_float32(name, dims):
    policy = "mixed_float16"
    keras.config.set_dtype_policy(policy)
    try:
        model = tiny(name, dims)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {w.dtype for w in model.trainable_weights} == {"float32"}
    computed = {layer.compute_dtype for layer in model.layers if layer.weights}
    assert computed == {policy.removeprefix("mixed_")}
    assert model.output.dtype == "float32"


@pytest.mark.parametrize(("name", "dims"), FEW)
def test_the_size_may_be_left_open(name, dims):
    fixed = tiny(name, dims)
    free = architectures.build(name, (*[None] * dims, 1), CLASSES, filters=4)
    free.set_weights(fixed.get_weights())
    x = images(fixed, 2)
    expected = keras.ops.convert_to_numpy(fixed(x))
    assert keras.ops.convert_to_numpy(free(x)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("name", "dims"), ALL)
def test_impossible_requests_are_refused_with_names(name, dims):
    shape = architectures.nominal_shape(name, dims, 1, {})
    requests = {
        "`classes`.*at least 2.*classes=1": (shape, 1, {}),
        "no option 'filtres'.*Did you mean 'filters'": (shape, 2, {"filtres": 8}),
        "Option 'filters'.*integer.*filters='8'": (shape, 2, {"filters": "8"}),
        "Option 'filters'.*positive.*filters=0": (shape, 2, {"filters": 0}),
        "too small.*multiple of": ((4, *shape[1:]), 2, {}),
        "cannot be pooled evenly.*multiple of": ((shape[0] + 1, *shape[1:]), 2, {}),
        "`input_shape` must be": ((64, 1), 2, {}),
        "channel count": ((*shape[:-1], 0), 2, {}),
    }
    for message, (input_shape, classes, options) in requests.items():
        with pytest.raises(architectures.ArchitectureError, match=message):
            architectures.build(name, input_shape, classes, **options)
