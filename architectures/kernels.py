"""Calls of TensorFlow's own kernels, where they are faster or more right than what Keras calls.

Each stands for an operation of Keras and gives its result. `usable` and `on_processor` say where
one can and should be called; elsewhere the layers are Keras' own. TensorFlow is imported inside the
functions, never by this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

DTYPES = ("float32", "bfloat16")  # what the fused kernels of a processor know
LANES = 16  # float32 values in a vector of AVX-512; fewer channels than that leave it half empty


def usable(dtype: Any) -> bool:
    """Whether the functions of this file take values of this type."""
    known = keras.backend.standardize_dtype(dtype) in DTYPES
    return keras.backend.backend() == "tensorflow" and known


def on_processor() -> bool:
    """Whether TensorFlow computes on a CPU."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")


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

    empty = tf.zeros((0,), tf.float32)
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=_planes(x),
        scale=scale,
        offset=offset,
        mean=empty,
        variance=empty,
        epsilon=epsilon,
        is_training=True,
    )
    if len(x.shape) == 5:
        y = tf.ensure_shape(tf.reshape(y, tf.shape(x)), x.shape)
    # The kernel gives the unbiased variance, having divided by 1 where there is one value.
    count = tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), tf.float32)
    return y, mean, variance * (tf.maximum(count - 1.0, 1.0) / count)


def conv3d(x: Any, kernel: Any) -> Any:
    """Convolves volumes on a processor, with stride 1 and the padding `"same"`.

    In bfloat16 TensorFlow 2.21 (oneDNN) reads memory that nobody wrote in two cases: the gradient
    of a 5×5×5 kernel of 32 channels, and the convolution of a single plane of a single channel.
    There, and where it is faster (few channels come in), a convolution of images is called whose
    channels are those of all planes that the kernel sees. Where few channels go out, the planes of
    the kernel become channels of the result and are added there.

    Args:
        x: `(batch, depth, height, width, channels)`.
        kernel: `(planes, rows, columns, channels, filters)`, odd numbers of the first three.
    """
    import tensorflow as tf

    kernel = tf.convert_to_tensor(kernel)  # as a variable it would be no argument of its gradient
    if kernel.shape[-1] < LANES and kernel.shape[0] > 1:
        return _conv3d_to_few(x, kernel)
    if x.shape[-1] == 1:
        return _conv3d_of_images(x, kernel)
    apart = kernel.shape[0] > 1 and (x.shape[-1] < LANES or x.dtype == tf.bfloat16)
    options = {"strides": [1] * 5, "padding": "SAME"}

    def convolve(x: Any, kernel: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            dx = tf.raw_ops.Conv3DBackpropInputV2(
                input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, **options
            )
            if apart:
                return dx, _kernel_gradient(x, kernel.shape, upstream)
            dkernel = tf.raw_ops.Conv3DBackpropFilterV2(
                input=x, filter_sizes=kernel.shape, out_backprop=upstream, **options
            )
            return dx, dkernel

        return tf.raw_ops.Conv3D(input=x, filter=kernel, **options), gradient

    return tf.custom_gradient(convolve)(x, kernel)


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
        gradient: Of the variable's shape.
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


def _planes(x: Any) -> Any:
    """Views volumes as a larger batch of images; images as they are."""
    import tensorflow as tf

    if len(x.shape) == 4:
        return x
    sizes = tf.shape(x)
    return tf.reshape(x, (-1, *(x.shape[a] or sizes[a] for a in (2, 3, 4))))


def _conv3d_to_few(x: Any, kernel: Any) -> Any:
    """Convolves each plane with all planes of the kernel at once; adds what belongs together."""
    import tensorflow as tf

    planes, rows, columns, channels, filters = kernel.shape
    kernel = tf.reshape(
        tf.transpose(kernel, (1, 2, 3, 0, 4)), (rows, columns, channels, planes * filters)
    )
    images = tf.nn.conv2d(_planes(x), kernel, 1, "SAME")
    sizes = tf.shape(x)[:-1]
    parts = tf.reshape(images, tf.concat([sizes, [planes * filters]], 0))
    parts = _with_margin(parts, planes)
    size = tf.concat([sizes, [filters]], 0)
    starts = [(0, plane, 0, 0, plane * filters) for plane in range(planes)]
    total = tf.add_n([tf.slice(parts, start, size) for start in starts])
    return tf.ensure_shape(total, (*x.shape[:-1], filters))


def _conv3d_of_images(x: Any, kernel: Any) -> Any:
    """Convolves images whose channels are those of all planes that the kernel sees."""
    import tensorflow as tf

    planes, rows, columns, channels, filters = kernel.shape
    kernel = tf.reshape(
        tf.transpose(kernel, (1, 2, 0, 3, 4)), (rows, columns, planes * channels, filters)
    )
    images = tf.nn.conv2d(_seen(x, planes), kernel, 1, "SAME")
    result = tf.reshape(images, tf.concat([tf.shape(x)[:-1], [filters]], 0))
    return tf.ensure_shape(result, (*x.shape[:-1], filters))


def _kernel_gradient(x: Any, shape: Sequence[int], upstream: Any) -> Any:
    """The gradient of a kernel of this shape, by way of such images."""
    import tensorflow as tf

    planes, rows, columns, channels, filters = shape
    flat = tf.raw_ops.Conv2DBackpropFilter(
        input=_seen(x, planes),
        filter_sizes=(rows, columns, planes * channels, filters),
        out_backprop=_planes(upstream),
        strides=[1] * 4,
        padding="SAME",
    )
    apart = tf.reshape(flat, (rows, columns, planes, channels, filters))
    return tf.transpose(apart, (2, 0, 1, 3, 4))


def _seen(x: Any, planes: int) -> Any:
    """Every plane with its neighbours, as an image with `planes` times the channels."""
    import tensorflow as tf

    padded, sizes = _with_margin(x, planes), tf.shape(x)
    parts = [tf.slice(padded, (0, plane, 0, 0, 0), sizes) for plane in range(planes)]
    images = _planes(tf.concat(parts, -1))
    return tf.ensure_shape(images, (None, *x.shape[2:-1], planes * x.shape[-1]))


def _with_margin(x: Any, planes: int) -> Any:
    """Adds the planes of zeros that a kernel sees beyond both ends."""
    import tensorflow as tf

    reach = planes // 2
    return tf.pad(x, [[0, 0], [reach, reach], [0, 0], [0, 0], [0, 0]])
