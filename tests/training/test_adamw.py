from __future__ import annotations

import keras
import numpy as np
import pytest

from benchmark.training.adamw import AdamW


def steps(kind, count=5):
    """Values after some steps, with a decay that spares the second variable."""
    rng = np.random.default_rng(0)
    variables = [
        keras.Variable(rng.normal(size=shape).astype("float32"), name=name)
        for shape, name in (((3, 4), "kernel"), ((4,), "bias"))
    ]
    optimizer = kind(0.0, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(variables)
    for index in range(count):
        optimizer.learning_rate = 0.1 / (1 + index)
        gradients = [rng.normal(size=v.shape).astype("float32") for v in variables]
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    return variables, optimizer


def test_it_is_the_adamw_of_keras():
    plain, theirs = steps(keras.optimizers.AdamW)
    found, ours = steps(AdamW)
    for a, b in zip([*found, *ours.variables], [*plain, *theirs.variables], strict=True):
        assert np.asarray(a) == pytest.approx(np.asarray(b), rel=1e-5, abs=1e-5)


def test_its_configuration_makes_it_again():
    _, optimizer = steps(AdamW, 1)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is AdamW
    assert again.get_config() == optimizer.get_config()
