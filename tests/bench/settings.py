"""What is raced, and the conversation between the race and its workers.

Both sides read this file, so it imports neither ours nor a framework.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

CLASSES = 4
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4
PRECISIONS = ("float32", "bfloat16")
SMOOTH = 1e-5  # of the Dice term, as in benchmark/training/losses.py


@dataclass(frozen=True)
class Setting:
    """One network and its input.

    Attributes:
        name: Name in the catalogue of architectures.
        title: Name for people.
        batch: Samples per step.
        size: `(y, x)` or `(z, y, x)`.
        filters: Channels of the finest level; None is the reference width.
    """

    name: str
    title: str
    batch: int
    size: tuple[int, ...]
    filters: int | None = None

    @property
    def input(self) -> str:
        """The input in words, as `4×256×256`."""
        return "×".join(map(str, (self.batch, *self.size)))

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Images `(batch, *size, 1)` and labels `(batch, *size)`, the same in every process."""
        rng = np.random.default_rng(0)
        labels = rng.integers(0, CLASSES, (self.batch, *self.size)).astype(np.uint8)
        noise = rng.normal(size=labels.shape)
        return (labels + noise)[..., np.newaxis].astype(np.float32), labels


REFERENCE = (
    Setting("unet", "U-Net", 4, (256, 256)),
    Setting("attention_unet", "Attention U-Net", 4, (256, 256)),
    Setting("vnet", "V-Net", 1, (32, 128, 128)),
    Setting("deeplabv3", "DeepLabv3 (output stride 8)", 4, (256, 256)),
)
# The networks of the quick profile, where what surrounds the convolutions weighs most.
NARROW = (
    Setting("unet", "U-Net", 8, (96, 96), 16),
    Setting("attention_unet", "Attention U-Net", 8, (96, 96), 16),
    Setting("vnet", "V-Net", 2, (16, 64, 64), 4),
    Setting("deeplabv3", "DeepLabv3 (output stride 8)", 8, (96, 96), 16),
)
WIDTHS = {"reference": REFERENCE, "narrow": NARROW}


class Side(Protocol):
    """One framework with one network."""

    parameters: int

    def train(self) -> float:
        """Take one step and return its loss."""

    def infer(self) -> np.ndarray:
        """Return logits of the batch as an array."""


def serve(build: Callable[[Setting, str], Side], about: Callable[[], dict[str, Any]]) -> None:
    """Build what the command line names, then take and time one step for every line of input.

    Args:
        build: From a setting and a precision to the network.
        about: Describes the framework in force.
    """
    width, name, precision = sys.argv[1:4]
    setting = next(each for each in WIDTHS[width] if each.name == name)
    begin = time.perf_counter()
    side = build(setting, precision)
    answer: dict[str, Any] = {"build_s": time.perf_counter() - begin}
    answer |= {"parameters": side.parameters, **about()}
    say(json.dumps(answer))
    for line in sys.stdin:
        begin = time.perf_counter()
        value = side.train() if line.strip() == "train" else float(side.infer().mean())
        answer = {"s": time.perf_counter() - begin, "value": value, "peak_mib": peak_mib()}
        say(json.dumps(answer))


def say(text: str) -> None:
    """Write a line at once, to whoever reads it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def peak_mib() -> float:
    """The largest resident memory of this process so far."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 1024
    return float("nan")
