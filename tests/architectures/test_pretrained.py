"""ImageNet weights for the residual network come from a local file."""

import json

import numpy as np
import pytest

import architectures
from architectures import ArchitectureError
from architectures.pretrained import read_arrays, source_name

OPTIONS = {"backbone": "resnet18", "filters": 8}


def resnet(model, seed=0):
    """Random weights under torchvision's names, in the shapes that `model` takes."""
    rng = np.random.default_rng(seed)
    names = {"gamma": "weight", "beta": "bias", "kernel": "weight"}
    names |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    arrays = {"fc.weight": np.zeros((10, 64), "float32"), "fc.bias": np.zeros(10, "float32")}
    for layer in model.layers:
        source = source_name(layer.name)
        for weight in layer.weights if source else []:
            shape = tuple(weight.shape)
            shape = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape
            arrays[f"{source}.{names[weight.name]}"] = rng.normal(size=shape).astype("float32")
    return arrays


@pytest.fixture(scope="module")
def arrays():
    return resnet(architectures.build("deeplabv3", (32, 32, 3), 2, **OPTIONS))


def write_safetensors(path, arrays):
    header, start = {"__metadata__": {"format": "pt"}}, 0
    for name, value in arrays.items():
        end = start + value.nbytes
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    data = b"".join(value.tobytes() for value in arrays.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        ("stem_conv", "conv1"),
        ("stem_bn", "bn1"),
        ("stage1_block1_1_conv", "layer1.0.conv1"),
        ("stage3_block23_3_bn", "layer3.22.bn3"),
        ("stage4_block1_skip_conv", "layer4.0.downsample.0"),
        ("stage4_block1_skip_bn", "layer4.0.downsample.1"),
        ("stage4_block1_act", None),
        ("aspp_1x1_conv", None),
    ],
)
def test_layers_have_torchvisions_names(layer, name):
    assert source_name(layer) == name


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_file_fills_the_trunk(suffix, arrays, tmp_path):
    path = tmp_path / f"resnet{suffix}"
    if suffix == ".npz":
        np.savez(path, **{f"encoder.{name}": value for name, value in arrays.items()})
    else:
        write_safetensors(path, arrays)
    model = architectures.build("deeplabv3", (32, 32, 3), 2, weights=str(path), **OPTIONS)
    kernel = model.get_layer("stage4_block2_2_conv").kernel.numpy()
    assert np.array_equal(kernel, arrays["layer4.1.conv2.weight"].transpose(2, 3, 1, 0))
    mean = model.get_layer("stage2_block1_skip_bn").moving_mean.numpy()
    assert np.array_equal(mean, arrays["layer2.0.downsample.1.running_mean"])


@pytest.mark.parametrize("channels", [1, 2])
def test_a_grey_image_excites_the_stem_as_its_colour_copy_would(channels, arrays, tmp_path):
    np.savez(tmp_path / "r.npz", **arrays)
    path = str(tmp_path / "r.npz")
    model = architectures.build("deeplabv3", (32, 32, channels), 2, weights=path, **OPTIONS)
    kernel = model.get_layer("stem_conv").kernel.numpy()
    total = arrays["conv1.weight"].transpose(2, 3, 1, 0).sum(axis=2)
    assert kernel.sum(axis=2) == pytest.approx(total, abs=1e-5)


def test_a_file_that_does_not_fit_is_refused_and_changes_nothing(arrays, tmp_path):
    lacking = {name: value for name, value in arrays.items() if name != "layer4.1.bn2.weight"}
    np.savez(tmp_path / "lacking.npz", **lacking)
    wrong = arrays | {"bn1.weight": np.zeros(3, "float32")}
    np.savez(tmp_path / "wrong.npz", **wrong)
    (tmp_path / "broken.npz").write_bytes(b"PK no archive")
    (tmp_path / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    (tmp_path / "weights.h5").write_bytes(b"")
    for file, message in (
        ("lacking.npz", r"Missing: 'layer4\.1\.bn2\.weight'.*'backbone'"),
        ("wrong.npz", r"'bn1\.weight'.*shape \(8,\).*Received: \(3,\)"),
        ("broken.npz", "whole .npz file"),
        ("broken.safetensors", "whole .safetensors file"),
        ("weights.h5", r"one of \.safetensors, \.npz"),
    ):
        options = {**OPTIONS, "weights": str(tmp_path / file)}
        with pytest.raises(ArchitectureError, match=message):
            architectures.build("deeplabv3", (32, 32, 3), 2, **options)


def test_half_precision_safetensors_are_read(tmp_path):
    header = {"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    data = np.array([1, 2], "<f2").tobytes()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    assert list(read_arrays(tmp_path / "a.safetensors")["a"]) == [1, 2]
