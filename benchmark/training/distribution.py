"""One training on several devices of a machine: each computes its part of every batch.

Every device holds a copy of all variables. It computes the gradient of its part of the batch, the
gradients are added up, and all copies take the same step, which is the step that one device would
take on the whole batch: sums that a loss divides by each other, and the statistics of batch
normalisation, are those of the whole batch. With JAX, arrays are global and the compiler sees to
all this (``keras.distribution.DataParallel``). With TensorFlow, Keras knows
``tf.distribute.MirroredStrategy`` only, and what a batch means is told here.

On a machine without GPUs the path can be tried on one processor that poses as several devices; see
:data:`VIRTUAL`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from benchmark.errors import BenchmarkError

# Number of devices that the processor poses as where there is no GPU: for tests, never faster.
VIRTUAL = "BENCHMARK_VIRTUAL_DEVICES"


def virtual_devices() -> int:
    """Return the number that the environment asks the processor to pose as, by default 1.

    Raises:
        BenchmarkError: It is no number of devices.
    """
    text = os.environ.get(VIRTUAL, "1")
    if not text.isdecimal() or int(text) < 1:
        raise BenchmarkError(f"{VIRTUAL}: expected a number of devices from 1 on, got {text!r}.")
    return int(text)


def distribute(devices: int) -> None:
    """Let every network that this process builds from now on train on so many devices.

    Call it once, before anything is computed.

    Args:
        devices: Number of devices; 1 changes nothing.

    Raises:
        BenchmarkError: There are fewer, or the backend cannot do it.
    """
    if devices == 1:
        return
    import keras

    backend = keras.backend.backend()
    if backend == "torch":
        raise BenchmarkError(
            f"devices: {devices}: Keras trains on several devices with TensorFlow or JAX only. Set "
            "protocol.backend to one of them, or devices to 1."
        )
    _pose(backend, virtual_devices())
    found = keras.distribution.list_devices()
    if len(found) < devices:
        raise BenchmarkError(
            f"devices: {devices}: expected as many for one run, found {len(found)} "
            f"({', '.join(found)}). Set protocol.devices to what the machine has."
        )
    if backend == "jax":
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(devices=found[:devices])
        )
        return
    import tensorflow as tf

    names = [name.upper() for name in found[:devices]]
    tf.distribute.experimental_set_strategy(tf.distribute.MirroredStrategy(names))


def parallelise(model: Any) -> None:
    """Make the steps of a network those of its whole batch; call it once, before it is compiled.

    ``train_on_batch`` and ``predict_on_batch`` take whole batches as ever, whose size is a multiple
    of the devices. Layers of batch normalisation are told by their property ``synchronized``, which
    a layer that computes its statistics in another way has to look at.

    Args:
        model: Built by a process that has called :func:`distribute`; one of a single device, or of
            JAX, is left as it is.
    """
    import keras

    count = _copies(model)
    if count == 1:
        return
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
    # Keras hands what it is given to every device, unless it comes from a dataset of TensorFlow.
    model.train_step = _on_own_part(model.train_step, count)
    model.predict_step = _on_own_part(model.predict_step, count)
    spread_seeds(model)


def spread_seeds(model: Any) -> None:
    """Let dropout draw other numbers on every device; call it after variables were given values."""
    if _copies(model) == 1:
        return
    strategy = model.distribute_strategy
    for variable in model.variables:
        if variable.path.endswith("seed_generator_state"):
            first, *others = strategy.experimental_local_results(variable.value)
            seed, drawn = first.numpy()
            for number, own in enumerate(others, 1):
                own.assign([seed + number, drawn])


def sum_over_devices(*values: Any) -> Any:
    """Return sums over a device's part of a batch as sums over the whole batch.

    Args:
        values: Tensors, two or more.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return values
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def share_of(loss: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a loss divided by the number of devices, whose gradients add up to that of the batch.

    Keras divides losses that it averages itself, but leaves one that is a scalar as it is.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return loss
    import tensorflow as tf

    def share(truth: Any, logits: Any) -> Any:
        return loss(truth, logits) / float(tf.distribute.get_strategy().num_replicas_in_sync)

    return share


def _pose(backend: str, count: int) -> None:
    """Make the processor pose as several devices; without effect where there is a GPU."""
    if count == 1:
        return
    if backend == "jax":
        flag = f"--xla_force_host_platform_device_count={count}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
        return
    import tensorflow as tf

    processor, *_ = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(processor, parts)


def _copies(model: Any) -> int:
    """Number of copies that TensorFlow keeps of a model's variables."""
    strategy = getattr(model, "distribute_strategy", None)
    return 1 if strategy is None else int(strategy.num_replicas_in_sync)


def _on_own_part(step: Callable[[Any], Any], count: int) -> Callable[[Any], Any]:
    """Return a step of one device that takes its part of what all are given."""
    import tensorflow as tf

    def cut(array: Any) -> Any:
        if array is None:  # weights of samples that nobody gave
            return None
        size = (array.shape[0] or tf.shape(array)[0]) // count
        begin = size * tf.distribute.get_replica_context().replica_id_in_sync_group
        return array[begin : begin + size]

    return lambda data: step(tf.nest.map_structure(cut, data))
