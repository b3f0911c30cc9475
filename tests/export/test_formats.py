"""Every architecture leaves as ONNX, SavedModel and Keras with the same answers."""

import keras
import numpy as np
import pytest

import architectures
from benchmark.errors import BenchmarkError
from benchmark.export import formats
from benchmark.export.check import TOLERANCE, compare, trial_images

# The smallest form of each that still holds every kind of layer it may have.
OPTIONS = {
    "unet": {"depth": 2, "upsampling": "bilinear"},
    "attention_unet": {"depth": 2},
    "deeplabv3": {"backbone": "resnet18"},
    "vnet": {"activation": "prelu"},
}
# Each as it is used most, since tracing takes seconds; the other forms where minutes are at hand.
USUAL = {"vnet": 3}
NETWORKS = [
    pytest.param(
        name, dims, id=f"{name}-{dims}d",
        marks=[] if dims == USUAL.get(name, 2) else pytest.mark.faults,
    )
    for name in architectures.NAMES
    for dims in architectures.describe(name).dims
]  # fmt: skip
CLASSES = 3


def tiny(name, dims, **options):
    """A network in which no weight is still what it was initialised to."""
    keras.utils.set_random_seed(1)
    options = {"filters": 2, **OPTIONS.get(name, {}), **options}
    units = architectures.divisor(name, dims, options)
    sizes = [max(size, unit) for size, unit in zip((32, 32, 32)[:dims], units, strict=True)]
    model = architectures.build(name, (*sizes, 1), CLASSES, **options)
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign_add(rng.normal(scale=0.02, size=weight.shape).astype(np.float32))
    model(rng.normal(size=(4, *sizes, 1)).astype(np.float32), training=True)
    return model


def there_and_back(model, form, path):
    """What was written and loaded again, and how far it is from the model."""
    made = formats.FORMATS[form]
    made.write(model, path / f"net{made.suffix}", {"run": "0123"})
    received = made.load(path / f"net{made.suffix}")
    shape = tuple(model.input_shape[1:])
    return received, compare(formats.apply(model), received, shape, exclusive=True)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Write a network as ONNX and SavedModel; return it, its folder and what came back."""
    known = {}

    def make(name, dims):
        if (name, dims) not in known:
            model, folder = tiny(name, dims), tmp_path_factory.mktemp("exported")
            known[name, dims] = (
                model,
                folder,
                {form: there_and_back(model, form, folder) for form in ("onnx", "savedmodel")},
            )
        return known[name, dims]

    return make


@pytest.mark.parametrize(("name", "dims"), NETWORKS)
def test_every_architecture_predicts_the_same_elsewhere(name, dims, exported):
    _, _, received = exported(name, dims)
    for _, agreement in received.values():
        assert agreement.logits <= TOLERANCE
        assert agreement.probabilities <= TOLERANCE
        assert agreement.largest_logit > 0.1
        assert agreement.images == 6


def test_these_networks_have_the_layers_that_are_not_keras_own(exported):
    """Should one leave the networks above, another has to be found that has it."""
    models = [exported(*each.values)[0] for each in NETWORKS if not each.marks]
    own = set().union(*map(formats.own_layers, models))
    assert {"LinearUpsampling", "DilatedConv2D", "Spread"} <= own
    layers = (layer for model in models for layer in model.layers)
    assert any(isinstance(layer, keras.layers.PReLU) for layer in layers)


def test_the_command_offers_every_format():
    from benchmark.commands.export import FORMATS

    assert tuple(formats.FORMATS) == FORMATS


def test_onnx_names_its_ends_and_takes_any_batch(exported):
    import onnx

    _, folder, received = exported("unet", 2)
    apply, _ = received["onnx"]
    assert apply(np.zeros((5, 32, 32, 1), np.float32)).shape == (5, 32, 32, CLASSES)
    graph = onnx.load(folder / "net.onnx")
    assert [each.version for each in graph.opset_import if each.domain == ""] == [formats.OPSET]
    assert {each.key: each.value for each in graph.metadata_props} == {"run": "0123"}
    for value, name in ((graph.graph.input[0], "image"), (graph.graph.output[0], "logits")):
        assert value.name == name
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_savedmodel_has_a_signature_with_names(exported):
    import tensorflow as tf

    model, folder, _ = exported("unet", 2)
    loaded = tf.saved_model.load(folder / "net").signatures["serving_default"]
    images = np.random.default_rng(0).normal(size=(4, 32, 32, 1)).astype(np.float32)
    found = loaded(image=tf.constant(images))
    assert list(found) == ["logits"]
    np.testing.assert_allclose(found["logits"], model(images), atol=TOLERANCE)


def test_keras_keeps_every_bit_and_only_the_finest_output(tmp_path):
    model = tiny("unet", 2, depth=3, auxiliary=True)
    assert len(model.outputs) > 1
    one = formats.finest(model)
    received, agreement = there_and_back(one, "keras", tmp_path)
    assert agreement.logits == 0.0
    images = trial_images(one.input_shape[1:])[1]
    np.testing.assert_array_equal(received(images), formats.apply(one)(images))
    np.testing.assert_allclose(received(images), model(images, training=False)[0], atol=1e-6)


def test_large_logits_are_known_to_fewer_decimals():
    def scaled(factor, error=0.0):
        def call(images):
            return factor * np.concatenate([images + 1, -images - 1], axis=-1) + error

        return call

    shape = (16, 16, 1)
    assert compare(scaled(50), scaled(50, 2e-4), shape, exclusive=True).largest_logit > 100
    with pytest.raises(BenchmarkError, match="in logits"):
        compare(scaled(1), scaled(1, 2e-4), shape, exclusive=True)


def test_a_network_that_answers_otherwise_is_refused():
    def expected(images):
        return np.concatenate([images, -images], axis=-1)

    shape = (16, 16, 1)
    assert compare(expected, expected, shape, exclusive=True).logits == 0.0
    for wrong, words in (
        (lambda images: expected(images) + 2e-4, r"by 0\.0002 in logits of up to 9"),
        (lambda images: expected(images)[..., :1], "expected"),
        (lambda images: expected(images) * np.nan, "finite"),
    ):
        with pytest.raises(BenchmarkError, match=words):
            compare(expected, wrong, shape, exclusive=True)


@pytest.mark.parametrize("shape", [(32, 32, 1), (8, 16, 24, 1)])
def test_trial_images_are_standardised_and_come_in_several_batches(shape):
    batches = trial_images(shape)
    assert [len(batch) for batch in batches] == [1, 2, 3]
    for batch in batches:
        assert batch.dtype == np.float32
        assert batch.shape[1:] == shape
    hearts = batches[2][:2]
    assert np.abs(hearts.mean(axis=tuple(range(1, hearts.ndim)))).max() < 1e-3
    np.testing.assert_allclose(hearts.std(axis=tuple(range(1, hearts.ndim))), 1, atol=1e-3)
    assert all(
        (one == other).all() for one, other in zip(batches, trial_images(shape), strict=True)
    )
