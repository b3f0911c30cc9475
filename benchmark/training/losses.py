"""Losses on logits, written once for all backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

Loss = Callable[[Any, Any], Any]


def dice_cross_entropy(classes: int, *, smooth: float = 1e-5) -> Loss:
    """Return cross-entropy plus soft Dice loss over the foreground classes.

    The Dice term sums over the whole batch before dividing ("batch Dice", as nnU-Net trains 2D
    networks), which keeps slices without a structure from giving a useless gradient; a class that
    neither truth nor prediction shows in a batch adds nothing. Sum of both terms as in Isensee et
    al., Nature Methods 2021.

    Args:
        classes: Number of classes including the background.
        smooth: Added to numerator and denominator, in voxels.

    The returned function takes labels ``(batch, *spatial)`` and logits ``(batch, *spatial,
    classes)`` and returns a scalar.
    """

    def loss(truth: Any, logits: Any) -> Any:
        logits = keras.ops.cast(logits, "float32")
        truth = keras.ops.cast(truth, "int32")
        target = keras.ops.one_hot(truth, classes, dtype="float32")
        log_probability = keras.ops.log_softmax(logits, axis=-1)
        cross_entropy = -keras.ops.mean(keras.ops.sum(target * log_probability, axis=-1))
        probability = keras.ops.exp(log_probability)
        axes = tuple(range(len(logits.shape) - 1))
        overlap = keras.ops.sum(probability * target, axis=axes)[1:]
        total = (keras.ops.sum(probability, axis=axes) + keras.ops.sum(target, axis=axes))[1:]
        dice = keras.ops.mean((2.0 * overlap + smooth) / (total + smooth))
        return cross_entropy + 1.0 - dice

    return loss


def make_loss(name: str, classes: int) -> Loss:
    """Return the loss of that name; see the functions of this module."""
    return {"dice_cross_entropy": dice_cross_entropy}[name](classes)
