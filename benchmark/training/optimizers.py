"""Optimisers with their schedule."""

from __future__ import annotations

from typing import Any

import keras

from benchmark.experiment.spec import Protocol

# Part of the steps in which the learning rate rises linearly to its peak; adaptive optimisers
# have no estimate of the gradient's scale before.
WARM_UP = 0.05


def make_optimizer(protocol: Protocol, *, steps: int) -> Any:
    """Return the optimiser with a warm-up and a cosine decay to zero over the whole training.

    Args:
        protocol: Names the optimiser and its rates.
        steps: Gradient steps of the whole training.
    """
    warm_up = max(1, round(WARM_UP * steps))
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, steps - warm_up),
        warmup_target=protocol.learning_rate,
        warmup_steps=warm_up,
    )
    decay = protocol.weight_decay
    if protocol.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=0.99, nesterov=True, weight_decay=decay)
    else:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=decay)
    # Decay is meant for kernels: shrinking scales and offsets only fights normalisation.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "alpha"])
    return optimizer
