"""Losses on logits, written once for all backends.

Sums that are divided by each other are sums over the whole batch, also where several devices
compute a part of it each; what is a mean over samples needs no such care.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from benchmark.training.distribution import sum_over_devices

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
        logits, target = keras.ops.cast(logits, "float32"), _one_hot(truth, classes)
        log_probability = keras.ops.log_softmax(logits, axis=-1)
        cross_entropy = -keras.ops.mean(keras.ops.sum(target * log_probability, axis=-1))
        probability = keras.ops.exp(log_probability)
        axes = tuple(range(len(logits.shape) - 1))
        overlap = keras.ops.sum(probability * target, axis=axes)[1:]
        total = (keras.ops.sum(probability, axis=axes) + keras.ops.sum(target, axis=axes))[1:]
        overlap, total = sum_over_devices(overlap, total)
        dice = keras.ops.mean((2.0 * overlap + smooth) / (total + smooth))
        return cross_entropy + 1.0 - dice

    return loss


def dice_squared(classes: int, *, smooth: float = 1e-5) -> Loss:
    """Return the Dice loss of V-Net, with squared denominators.

    ``1 - 2 Σ p g / (Σ p² + Σ g²)`` per foreground class and sample, averaged (Milletari et al.
    2016, section 3; there with one foreground class).

    Args:
        classes: Number of classes including the background.
        smooth: Added to numerator and denominator, in voxels.

    Labels ``(batch, *spatial)``, logits ``(batch, *spatial, classes)``, returns a scalar.
    """

    def loss(truth: Any, logits: Any) -> Any:
        probability, target = _softmax(logits), _one_hot(truth, classes)
        axes = tuple(range(1, len(logits.shape) - 1))
        overlap = keras.ops.sum(probability * target, axis=axes)
        squares = keras.ops.sum(probability * probability + target, axis=axes)  # g² = g
        dice = (2.0 * overlap + smooth) / (squares + smooth)
        return 1.0 - keras.ops.mean(dice[..., 1:])

    return loss


def one_vs_rest(classes: int, *, smooth: float = 1.0) -> Loss:
    """Return binary cross-entropy plus Dice loss on a sigmoid per class: one mask per class.

    Every class, the background included, is a binary problem of its own; a label map is made of
    them by taking the most probable class.

    Args:
        classes: Number of classes including the background.
        smooth: Added to numerator and denominator of Dice, in voxels.

    Labels ``(batch, *spatial)``, logits ``(batch, *spatial, classes)``, returns a scalar.
    """

    def loss(truth: Any, logits: Any) -> Any:
        logits, target = keras.ops.cast(logits, "float32"), _one_hot(truth, classes)
        # softplus(x) - x t is the cross-entropy of a sigmoid without its overflow
        cross_entropy = keras.ops.mean(keras.ops.softplus(logits) - logits * target)
        probability = keras.ops.sigmoid(logits)
        axes = tuple(range(len(logits.shape) - 1))
        overlap = keras.ops.sum(probability * target, axis=axes)
        total = keras.ops.sum(probability + target, axis=axes)
        overlap, total = sum_over_devices(overlap, total)
        dice = keras.ops.mean(((2.0 * overlap + smooth) / (total + smooth))[1:])
        return cross_entropy + 1.0 - dice

    return loss


def focal_tversky(
    classes: int,
    *,
    alpha: float = 0.7,
    beta: float = 0.3,
    gamma: float = 4.0 / 3.0,
    smooth: float = 1.0,
) -> Loss:
    """Return the focal Tversky loss of Abraham and Khan (ISBI 2019).

    ``(1 - TI)^(1/gamma)`` with ``TI = TP / (TP + alpha FN + beta FP)`` per foreground class over
    the whole batch, averaged.

    Args:
        classes: Number of classes including the background.
        alpha: Weight of false negatives.
        beta: Weight of false positives.
        gamma: Focus on hard classes; the paper's best is 4/3.
        smooth: Added to numerator and denominator, in voxels.

    Labels ``(batch, *spatial)``, logits ``(batch, *spatial, classes)``, returns a scalar.
    """

    def loss(truth: Any, logits: Any) -> Any:
        probability, target = _softmax(logits), _one_hot(truth, classes)
        axes = tuple(range(len(logits.shape) - 1))
        hit = keras.ops.sum(probability * target, axis=axes)[1:]
        missed = keras.ops.sum((1.0 - probability) * target, axis=axes)[1:]
        invented = keras.ops.sum(probability * (1.0 - target), axis=axes)[1:]
        hit, missed, invented = sum_over_devices(hit, missed, invented)
        index = (hit + smooth) / (hit + alpha * missed + beta * invented + smooth)
        # a floor under the root, whose slope is infinite at zero
        return keras.ops.mean(keras.ops.power(keras.ops.maximum(1.0 - index, 1e-7), 1.0 / gamma))

    return loss


LOSSES: dict[str, Callable[[int], Loss]] = {
    "dice_cross_entropy": dice_cross_entropy,
    "dice_squared": dice_squared,
    "one_vs_rest": one_vs_rest,
    "focal_tversky": focal_tversky,
}


def make_loss(name: str, classes: int) -> Loss:
    """Return the loss of that name; see the functions of this module."""
    return LOSSES[name](classes)


def _softmax(logits: Any) -> Any:
    return keras.ops.softmax(keras.ops.cast(logits, "float32"), axis=-1)


def _one_hot(truth: Any, classes: int) -> Any:
    return keras.ops.one_hot(keras.ops.cast(truth, "int32"), classes, dtype="float32")
