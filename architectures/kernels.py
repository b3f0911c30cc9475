"""Calls of a backend's own kernels, where they are faster than what Keras composes.

Each has the meaning of the Keras operations it stands for, and `usable` says where: elsewhere the
layers fall back to Keras. TensorFlow is imported inside the functions, never by this file.
"""

from __future__ import annotations

from typing import Any

import keras

# The fused kernels of TensorFlow on a CPU know these; in others Keras' way is taken.
DTYPES = ("float32", "bfloat16")


def usable(dtype: str) -> bool:
    """Whether the functions of this file can be called with values of this type."""
    return keras.backend.backend() == "tensorflow" and dtype in DTYPES


def distributed() -> bool:
    """Whether TensorFlow spreads variables over devices, which only Keras' own code can update."""
    import tensorflow as tf

    return bool(tf.distribute.has_strategy())


def normalize_batch(x: Any, scale: Any, offset: Any, *, epsilon: float) -> tuple[Any, Any, Any]:
    """Normalises by the statistics of the batch, in one kernel forward and one backward.

    Args:
        x: `(batch, *spatial, channels)` with 2 or 3 spatial axes.
        scale: Gamma, `(channels,)` in float32.
        offset: Beta, the same.
        epsilon: Added to the variance.

    Returns:
        The values in the type of `x`, the mean and the (biased) variance in float32.
    """
    import tensorflow as tf

    shape = tf.shape(x)
    planes = _planes(x)
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=planes,
        scale=scale,
        offset=offset,
        mean=tf.zeros((0,), tf.float32),
        variance=tf.zeros((0,), tf.float32),
        epsilon=epsilon,
        is_training=True,
    )
    # The kernel gives the unbiased variance, and divides by 1 where there is one value.
    count = tf.cast(tf.reduce_prod(shape[:-1]), tf.float32)
    variance *= tf.maximum(count - 1.0, 1.0) / count
    return _as(y, x), mean, variance


def _planes(x: Any) -> Any:
    """Views `(batch, depth, height, width, channels)` as `(batch · depth, height, width, ...)`."""
    import tensorflow as tf

    if len(x.shape) == 4:
        return x
    height, width, channels = (tf.shape(x)[axis] for axis in (-3, -2, -1))
    return tf.reshape(x, (-1, *(s or d for s, d in zip(x.shape[-3:], (height, width, channels), strict=True))))


def _as(planes: Any, x: Any) -> Any:
    import tensorflow as tf

    if len(x.shape) == 4:
        return planes
    return tf.ensure_shape(tf.reshape(planes, tf.shape(x)), x.shape)


def adam(
    variable: Any,
    momentum: Any,
    velocity: Any,
    gradient: Any,
    *,
    rate: Any,
    step: Any,
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """Updates a float32 variable and its two moments in place, as `keras.optimizers.Adam` does.

    Args:
        variable: TensorFlow's variable.
        momentum: That of its first moment.
        velocity: That of its second moment.
        gradient: Of the variable's type and shape.
        rate: Learning rate.
        step: Number of this step, from 1.
        betas: Decay of both moments.
        epsilon: Added to the root of the second moment.
    """
    import tensorflow as tf

    count = tf.cast(step, tf.float32)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=momentum.handle,
        v=velocity.handle,
        beta1_power=tf.pow(tf.constant(betas[0]), count),
        beta2_power=tf.pow(tf.constant(betas[1]), count),
        lr=tf.cast(rate, tf.float32),
        beta1=betas[0],
        beta2=betas[1],
        epsilon=epsilon,
        grad=tf.cast(gradient, tf.float32),
    )
