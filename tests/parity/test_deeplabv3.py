"""With torchvision's weights our DeepLabv3 computes what torchvision's computes.

Not compared with segmentation-models-pytorch, which dilates the first block of a dilated stage
like the others, unlike torchvision and the paper.
"""

import numpy as np
import pytest

import architectures
from architectures import pretrained

torch = pytest.importorskip("torch")
# Keras 3.15 hands numpy 2 its variables in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
BACKBONES = ["resnet50", "resnet101"]


def _torchvision(*names):
    # A torchvision of another build than torch raises RuntimeError where it is imported.
    errors = (ImportError, RuntimeError)
    return [pytest.importorskip(name, exc_type=errors) for name in names]


def resnet_modules(model, resnet):
    """Names every module of a torchvision ResNet as the layer of ours."""
    parts = dict(resnet.named_modules())
    modules = {}
    for layer in model.layers:
        source = pretrained.source_name(layer.name)
        if source is not None and layer.weights:
            modules[layer.name] = parts[source]
    return modules


def head_modules(head, rates):
    """Names the modules of torchvision's `DeepLabHead`."""
    pyramid, _conv, _norm, _relu, final = head[0], head[1], head[2], head[3], head[4]
    modules = {"aspp_1x1_conv": pyramid.convs[0][0], "aspp_1x1_bn": pyramid.convs[0][1]}
    for index, rate in enumerate(rates, start=1):
        modules[f"aspp_rate{rate}_conv"] = pyramid.convs[index][0]
        modules[f"aspp_rate{rate}_bn"] = pyramid.convs[index][1]
    modules["aspp_image_conv"] = pyramid.convs[4][1]
    modules["aspp_image_bn"] = pyramid.convs[4][2]
    modules["aspp_project_conv"] = pyramid.project[0]
    modules["aspp_project_bn"] = pyramid.project[1]
    return modules | {"head_conv": head[1], "head_bn": head[2], "logits_conv": final}


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("size", [(64, 96), (128, 128)])
def test_torchvision(backbone, size, transfer, relative_error, shaken):
    (segmentation,) = _torchvision("torchvision.models.segmentation")
    build = getattr(segmentation, f"deeplabv3_{backbone}")
    theirs = shaken(build(weights=None, weights_backbone=None, num_classes=5, aux_loss=True))
    model = architectures.build("deeplabv3", (*size, 3), 5, backbone=backbone, auxiliary=True)
    modules = resnet_modules(model, theirs.backbone) | head_modules(theirs.classifier, (12, 24, 36))
    modules |= {
        "auxiliary_head_conv": theirs.aux_classifier[0],
        "auxiliary_head_bn": theirs.aux_classifier[1],
        "auxiliary_conv": theirs.aux_classifier[4],
    }
    transfer(model, modules)
    for index, key in enumerate(("out", "aux")):
        error = relative_error(
            lambda x, training, index=index: model(x, training=training)[index],
            lambda x, key=key: theirs(x)[key],
            (2, *size, 3),
        )
        assert error < 1e-4


def test_the_setting_of_the_paper(transfer, relative_error, shaken):
    """Output stride 16 with one channel, put together from torchvision's parts."""
    models, deeplab = _torchvision(
        "torchvision.models", "torchvision.models.segmentation.deeplabv3"
    )
    trunk = models.resnet50(weights=None, replace_stride_with_dilation=[False, False, True])
    trunk.conv1 = torch.nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    layers = {"layer4": "out"}
    getter = models._utils.IntermediateLayerGetter(trunk, return_layers=layers)
    rates = (6, 12, 18)
    theirs = shaken(deeplab.DeepLabV3(getter, deeplab.DeepLabHead(2048, 4, rates)))
    model = architectures.build("deeplabv3", (160, 224, 1), 4, output_stride=16)
    transfer(model, resnet_modules(model, theirs.backbone) | head_modules(theirs.classifier, rates))
    error = relative_error(model, lambda x: theirs(x)["out"], (1, 160, 224, 1))
    assert error < 1e-4


def test_a_file_of_torch_weights_fills_the_trunk(tmp_path):
    (models,) = _torchvision("torchvision.models")
    resnet = models.resnet18(weights=None)
    torch.save(resnet.state_dict(), tmp_path / "resnet18.pth")
    model = architectures.build(
        "deeplabv3",
        (32, 32, 3),
        2,
        backbone="resnet18",
        weights=str(tmp_path / "resnet18.pth"),
    )
    kernel = model.get_layer("stage4_block2_2_conv").get_weights()[0]
    theirs = resnet.layer4[1].conv2.weight.detach().numpy()
    assert np.array_equal(kernel, theirs.transpose(2, 3, 1, 0))
