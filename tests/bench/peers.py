"""The PyTorch counterparts: the same layers in the same order, with the same parameter counts.

Run by the peer's Python, which need have neither Keras nor TensorFlow: nothing of ours is imported
but the settings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.bench.settings import (
    CLASSES,
    LEARNING_RATE,
    SMOOTH,
    WEIGHT_DECAY,
    Setting,
    serve,
)


def unit(channels: int, filters: int, *, bias: bool) -> list[nn.Module]:
    """3×3 convolution, normalisation, ReLU."""
    convolution = nn.Conv2d(channels, filters, 3, padding=1, bias=bias)
    return [convolution, nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]


def pair(channels: int, filters: int, *, bias: bool) -> nn.Sequential:
    """Two units."""
    return nn.Sequential(*unit(channels, filters, bias=bias), *unit(filters, filters, bias=bias))


class UNet(nn.Module):
    """Ronneberger's U-Net as it is usually written: padded, with batch normalisation."""

    def __init__(self, filters: int, classes: int, depth: int = 4) -> None:
        super().__init__()
        widths = [filters * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            pair(before, width, bias=False)
            for before, width in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[:-1])
        self.merge = nn.ModuleList(pair(2 * w, w, bias=False) for w in widths[:-1])
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(filters, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else self.pool(x))
            skips.append(x)
        for level in reversed(range(len(self.up))):
            x = self.merge[level](torch.cat([skips[level], self.up[level](x)], dim=1))
        return self.head(x)


class Gate(nn.Module):
    """The additive gate of a skip."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gating = nn.Sequential(nn.Conv2d(width, inner, 1), nn.BatchNorm2d(inner))
        self.skip = nn.Sequential(nn.Conv2d(width, inner, 1), nn.BatchNorm2d(inner))
        self.psi = nn.Sequential(nn.Conv2d(inner, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, skip: Tensor, gating: Tensor) -> Tensor:
        return skip * self.psi(F.relu(self.gating(gating) + self.skip(skip)))


class AttentionUNet(nn.Module):
    """The additive Attention U-Net in 2D."""

    def __init__(self, filters: int, classes: int, depth: int = 4) -> None:
        super().__init__()
        widths = [filters * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            pair(before, width, bias=True)
            for before, width in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), *unit(2 * w, w, bias=True))
            for w in widths[:-1]
        )
        self.gates = nn.ModuleList(Gate(w, w // 2) for w in widths[:-1])
        self.merge = nn.ModuleList(pair(2 * w, w, bias=True) for w in widths[:-1])
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(filters, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else self.pool(x))
            skips.append(x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](x)
            gated = self.gates[level](skips[level], x)
            x = self.merge[level](torch.cat([gated, x], dim=1))
        return self.head(x)


class Repeated(nn.Module):
    """5×5×5 convolutions with normalisation and PReLU, the residual added at the end."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.units = nn.Sequential(*(volume_unit(width, width, 5) for _ in range(count)))
        self.act = nn.PReLU(width)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.act(self.units(x) + residual)


def volume_unit(channels: int, filters: int, kernel: int, stride: int = 1, bias: bool = False):
    """Convolution, normalisation, PReLU."""
    padding = kernel // 2 if stride == 1 else 0
    return nn.Sequential(
        nn.Conv3d(channels, filters, kernel, stride, padding, bias=bias),
        nn.BatchNorm3d(filters),
        nn.PReLU(filters),
    )


class VNet(nn.Module):
    """V-Net in MONAI's form, with one slope of the PReLU per channel."""

    def __init__(self, filters: int, classes: int) -> None:
        super().__init__()
        widths = [filters * 2**level for level in range(5)]
        self.first = nn.Sequential(
            nn.Conv3d(1, filters, 5, padding=2, bias=False), nn.BatchNorm3d(filters)
        )
        self.act = nn.PReLU(filters)
        self.down = nn.ModuleList(volume_unit(w, 2 * w, 2, 2) for w in widths[:-1])
        self.encoder = nn.ModuleList(
            Repeated(w, count) for w, count in zip(widths[1:], (1, 2, 3, 2), strict=True)
        )
        # A stage up gives twice its skip's channels: half from below, half from the skip.
        below = [*(2 * w for w in widths[1:-1]), widths[-1]]
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose3d(b, w, 2, 2), nn.BatchNorm3d(w), nn.PReLU(w))
            for b, w in zip(below, widths[:-1], strict=True)
        )
        self.decoder = nn.ModuleList(
            Repeated(2 * w, count) for w, count in zip(widths[:-1], (1, 1, 2, 2), strict=True)
        )
        self.out = volume_unit(2 * filters, classes, 5)
        self.head = nn.Conv3d(classes, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.first(x) + x)
        skips = []
        for down, stage in zip(self.down, self.encoder, strict=True):
            skips.append(x)
            x = down(x)
            x = stage(x, x)
        for level in reversed(range(4)):
            x = torch.cat([self.up[level](x), skips[level]], dim=1)
            x = self.decoder[level](x, x)
        return self.head(self.out(x))


class DeepLabv3(nn.Module):
    """torchvision's network with output stride 8, its stem for one channel."""

    def __init__(self, filters: int, classes: int) -> None:
        super().__init__()
        self.net = torchvision_models().deeplabv3_resnet50(
            weights=None, weights_backbone=None, num_classes=classes, aux_loss=False
        )
        self.net.backbone.conv1 = nn.Conv2d(1, filters, 7, 2, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)["out"]


def torchvision_models() -> Any:
    """Returns `torchvision.models.segmentation`."""
    try:
        import torchvision
    except RuntimeError:
        # A torchvision for another build of torch lacks its compiled operators, of which a
        # segmentation network needs none; it only asks for the names of these two.
        for name in ("nms", "qnms"):
            torch.library.define(
                f"torchvision::{name}",
                "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
            )
        import torchvision
    return torchvision.models.segmentation


NETWORKS = {
    "unet": (UNet, 64),
    "attention_unet": (AttentionUNet, 64),
    "vnet": (VNet, 16),
    "deeplabv3": (DeepLabv3, 64),
}


def loss_function(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy plus batch Dice of the foreground, as `dice_cross_entropy` of the suite."""
    logits = logits.float()
    cross_entropy = F.cross_entropy(logits, truth)
    probability = torch.softmax(logits, dim=1)
    target = torch.zeros_like(probability).scatter_(1, truth[:, None], 1.0)
    axes = (0, *range(2, logits.ndim))
    overlap = (probability * target).sum(axes)[1:]
    total = (probability.sum(axes) + target.sum(axes))[1:]
    return cross_entropy + 1.0 - ((2.0 * overlap + SMOOTH) / (total + SMOOTH)).mean()


class Peer:
    """A PyTorch network: eager, channels last, AdamW (the fused one, which is the fastest)."""

    def __init__(self, setting: Setting, precision: str) -> None:
        torch.manual_seed(0)
        build, filters = NETWORKS[setting.name]
        planar = len(setting.size) == 2
        self.layout = torch.channels_last if planar else torch.channels_last_3d
        model = build(setting.filters or filters, CLASSES)
        self.model = model.to(memory_format=self.layout)
        self.half = precision == "bfloat16"
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
        )
        self.parameters = sum(each.numel() for each in model.parameters())
        self.image, self.labels = setting.data()

    def _batch(self) -> Tensor:
        image = torch.from_numpy(np.moveaxis(self.image, -1, 1))
        return image.contiguous(memory_format=self.layout)

    def train(self) -> float:
        self.model.train()
        image, labels = self._batch(), torch.from_numpy(self.labels).long()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            logits = self.model(image)
        loss = loss_function(logits, labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    @torch.inference_mode()
    def infer(self) -> np.ndarray:
        self.model.eval()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            logits = self.model(self._batch())
        return np.moveaxis(logits.float().numpy(), 1, -1)


if __name__ == "__main__":
    serve(
        Peer,
        lambda: {"framework": f"PyTorch {torch.__version__}", "threads": torch.get_num_threads()},
    )
