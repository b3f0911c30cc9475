"""Training augmentation with albumentations: the same code for slices and for volumes.

A patch is given to albumentations as a stack of slices (``images`` and ``masks``), which applies
one draw of the parameters to all of them: a volume stays coherent along z, and a slice is a stack
of one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmark.data.preprocessing import Array, Labels

Augment = Callable[[Array, Labels, np.random.Generator], tuple[Array, Labels]]


def augmenter(name: str) -> Augment:
    """Return the augmentation recipe of that name.

    ``standard``: rotation up to 15°, scaling 0.85–1.18, shift up to 5 %, gamma, brightness and
    contrast, Gaussian noise and blur. No flips: hearts have a side, and so do apical views.
    ``none``: patches as they are.

    The returned function takes an image in [0, 1] and a label map, both ``(z, y, x)``, and a
    Generator; equal generators give equal results in any thread.
    """
    return _Standard() if name == "standard" else _identity


def _identity(image: Array, mask: Labels, rng: np.random.Generator) -> tuple[Array, Labels]:
    return image, mask


class _Standard:
    """Holds one albumentations pipeline per thread, because a pipeline keeps its random state."""

    def __init__(self) -> None:
        self._local = threading.local()

    def __call__(
        self, image: Array, mask: Labels, rng: np.random.Generator
    ) -> tuple[Array, Labels]:
        if not hasattr(self._local, "pipeline"):
            self._local.pipeline = _pipeline()
        pipeline = self._local.pipeline
        pipeline.set_random_seed(int(rng.integers(2**31)))
        out = pipeline(images=image[..., np.newaxis], masks=mask)
        return np.asarray(out["images"][..., 0], np.float32), np.asarray(out["masks"], np.uint8)


def _pipeline() -> Any:
    import albumentations as A
    import cv2

    cv2.setNumThreads(0)  # parallelism is over patches; OpenCV's own threads would only compete
    return A.Compose(
        [
            A.Affine(
                rotate=(-15, 15),
                scale=(0.85, 1.18),
                translate_percent=(-0.05, 0.05),
                interpolation=cv2.INTER_LINEAR,
                mask_interpolation=cv2.INTER_NEAREST,
                border_mode=cv2.BORDER_CONSTANT,
                fill=0,
                fill_mask=0,
                p=0.9,
            ),
            A.RandomGamma(gamma_limit=(70, 140), p=0.3),
            A.RandomBrightnessContrast(brightness_limit=0.15, contrast_limit=0.2, p=0.5),
            A.GaussNoise(std_range=(0.01, 0.05), p=0.3),
            A.GaussianBlur(sigma_limit=(0.3, 1.0), blur_limit=0, p=0.2),
        ]
    )
