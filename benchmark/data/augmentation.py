"""Training augmentation with albumentations: the same code for slices and for volumes.

A patch is given to albumentations as a stack of slices (``images`` and ``masks``), which applies
one draw of the parameters to all of them: a volume stays coherent along z, and a slice is a stack
of one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from benchmark.data.preprocessing import Array, Labels

Augment = Callable[[Array, Labels, np.random.Generator], tuple[Array, Labels]]


def augmenter(name: str) -> Augment:
    """Return the augmentation recipe of that name.

    ``standard``: rotation up to 15°, scaling 0.85–1.18, shift up to 5 %, gamma, brightness and
    contrast, Gaussian noise and blur. No flips: hearts have a side, and so do apical views.
    ``mirrored``: the same after flips along x and y.
    ``none``: patches as they are.

    The returned function takes an image in [0, 1] and a label map, both ``(z, y, x)``, and a
    Generator; equal generators give equal results in any thread.
    """
    return _identity if name == "none" else _Drawn(flips=has_flips(name))


def has_flips(name: str) -> bool:
    """Return whether the recipe of that name shows networks mirrored images."""
    return name == "mirrored"


def _identity(image: Array, mask: Labels, rng: np.random.Generator) -> tuple[Array, Labels]:
    return image, mask


class _Drawn:
    """Holds one recipe per thread, because a recipe keeps its random state."""

    def __init__(self, *, flips: bool) -> None:
        self._flips = flips
        self._local = threading.local()

    def __call__(
        self, image: Array, mask: Labels, rng: np.random.Generator
    ) -> tuple[Array, Labels]:
        if not hasattr(self._local, "recipe"):
            from benchmark.data.recipe import Recipe  # albumentations takes half a second

            self._local.recipe = Recipe(flips=self._flips)
        moved, labels = self._local.recipe(image, mask, seed=int(rng.integers(2**31)))
        return moved, labels
