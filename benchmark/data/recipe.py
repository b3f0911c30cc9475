"""The recipes of augmentation, written for stacks of slices.

albumentations draws the parameters and names the operations; what it does slowly for stacks is done
here with the same OpenCV calls on the same numbers, so that every byte is the same
(`tests/data/test_recipe.py` holds it against plain albumentations).
"""

from __future__ import annotations

import random
from typing import Any

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt
from albumentations.augmentations.geometric import functional as geometry

# OpenCV warps one to four interleaved channels in one go, at hardly more than the price of one.
CHANNELS = 4


class StackAffine(A.Affine):
    """`A.Affine` without bounding boxes, and without tests and copies for every slice."""

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Draw as `A.Affine` does, in the same order; leave out the matrix of bounding boxes."""
        shape = params["shape"][:2]
        translate = self._get_translate_params(shape)
        shear = self._get_shear_params()
        scale = self._get_scale(self.scale, self.keep_ratio, self.balanced_scale, self.py_random)
        rotate = self.py_random.uniform(*self.rotate)
        centre = geometry.center(shape)
        matrix = geometry.create_affine_transformation_matrix(
            translate, shear, scale, rotate, centre
        )
        return {"matrix": matrix, "output_shape": shape}

    def apply_to_images(
        self, images: npt.NDArray[Any], *, matrix: Any, **params: Any
    ) -> npt.NDArray[Any]:
        """Warp images ``(z, y, x, 1)``, linearly."""
        return warp(images[..., 0], matrix, self.interpolation)[..., np.newaxis]

    def apply_to_masks(
        self, masks: npt.NDArray[Any], *, matrix: Any, **params: Any
    ) -> npt.NDArray[Any]:
        """Warp masks ``(z, y, x)``; each voxel takes the nearest label."""
        return warp(masks, matrix, self.mask_interpolation)


class StackBrightness(A.RandomBrightnessContrast):
    """`A.RandomBrightnessContrast` without arrays full of its two numbers."""

    def apply(
        self, img: npt.NDArray[Any], alpha: float, beta: float, **params: Any
    ) -> npt.NDArray[Any]:
        """Return alpha times the image plus beta within [0, 1], in double precision between."""
        wide = np.multiply(img, float(np.float32(alpha)), dtype=np.float64)
        wide += beta
        return np.asarray(np.clip(wide, 0.0, 1.0, out=wide), img.dtype)


def warp(stack: npt.NDArray[Any], matrix: npt.NDArray[np.float64], flags: int) -> npt.NDArray[Any]:
    """Return slices ``(z, y, x)`` under one affine map; what comes from outside is zero.

    Args:
        stack: Images or masks.
        matrix: From the source's ``(x, y, 1)`` to the target's.
        flags: OpenCV's interpolation.
    """
    if np.abs(matrix - np.eye(3)).max() < 1e-8:
        return stack
    size = stack.shape[:0:-1]
    out = np.empty_like(stack)
    start = 0
    while start < len(stack):
        rest = len(stack) - start
        # OpenCV rounds two channels otherwise than one, three or four.
        count = 1 if rest == 2 else min(rest, CHANNELS)
        part = stack[start : start + count]
        source = part[0] if count == 1 else cv2.merge(list(part))
        target = cv2.warpAffine(source, matrix[:2], size, flags=flags)
        out[start : start + count] = target if count == 1 else cv2.split(target)
        start += count
    return out


class Recipe:
    """A recipe; one for each thread, since the transforms keep their random state.

    Args:
        flips: Whether patches are mirrored first, along x and along y, each with probability 0.5.
    """

    def __init__(self, *, flips: bool = False) -> None:
        cv2.setNumThreads(0)  # parallelism is over patches; OpenCV's own would only compete
        mirrors = [A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)] if flips else []
        self._pipeline = A.Compose(
            [
                *mirrors,
                StackAffine(
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
                StackBrightness(brightness_limit=0.15, contrast_limit=0.2, p=0.5),
                A.GaussNoise(std_range=(0.01, 0.05), p=0.3),
                A.GaussianBlur(sigma_limit=(0.3, 1.0), blur_limit=0, p=0.2),
            ],
            is_check_shapes=False,  # a patch and its mask were cut with one window
        )

    def __call__(
        self, image: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8], *, seed: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """Return image and mask ``(z, y, x)`` under the draw of a seed."""
        # `Compose.set_random_seed` would start every transform at the same point of one sequence: a
        # patch that is turned far would always be dark and blurred too. Here they draw in turn.
        self._pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))
        out = self._pipeline(images=image[..., np.newaxis], masks=mask)
        return np.asarray(out["images"][..., 0], np.float32), np.asarray(out["masks"], np.uint8)
