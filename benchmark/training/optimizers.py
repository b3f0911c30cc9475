"""Optimisers and their schedule."""

from __future__ import annotations

import math
from typing import Any

import keras

from benchmark.experiment.spec import Protocol
from benchmark.training.adamw import AdamW

# Part of the training in which the learning rate rises linearly to its peak; adaptive optimisers
# have no estimate of the gradient's scale before.
WARM_UP = 0.05


def make_optimizer(protocol: Protocol) -> Any:
    """Return the optimiser; its learning rate is a variable that the training loop sets.

    Args:
        protocol: Names the optimiser and its weight decay.
    """
    decay = protocol.weight_decay
    if protocol.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(0.0, momentum=0.99, nesterov=True, weight_decay=decay)
    else:
        optimizer = AdamW(0.0, weight_decay=decay)
    # Decay is meant for kernels: shrinking scales and offsets only fights normalisation.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "alpha"])
    return optimizer


def learning_rate(peak: float, share: float) -> float:
    """Return the learning rate when a share of the budget is used: warm-up, then cosine to zero.

    A function of the share and not of the step, so that a budget of seconds has the same schedule
    as one of steps (Loshchilov and Hutter 2017, with a linear warm-up).

    Args:
        peak: Largest learning rate.
        share: Used part of the budget, in [0, 1].
    """
    if share < WARM_UP:
        return peak * share / WARM_UP
    return peak * 0.5 * (1.0 + math.cos(math.pi * (share - WARM_UP) / (1.0 - WARM_UP)))
