"""AdamW in one pass over each variable where the backend has a kernel for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from architectures import kernels


@keras.saving.register_keras_serializable(package="cardiac_segmentation_benchmark")
class AdamW(keras.optimizers.AdamW):
    """Keras' AdamW: the same formula and the same state, with fewer passes over the memory."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable and its moments."""
        if self.amsgrad or not _in_one_pass(variable):
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        kernels.adam(
            variable,
            self._momentums[index].value,
            self._velocities[index].value,
            gradient,
            rate=learning_rate,
            step=self.iterations + 1,
            betas=(self.beta_1, self.beta_2),
            epsilon=self.epsilon,
        )

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        if self.weight_decay is None:
            return
        if not all(_in_one_pass(variable) for variable in variables):
            super()._apply_weight_decay(variables)
            return
        kept = 1.0 - keras.ops.cast(self.learning_rate, "float32") * self.weight_decay
        for variable in variables:
            if self._use_weight_decay(variable):
                variable.assign(variable * kept)


def _in_one_pass(variable: Any) -> bool:
    dtype = keras.backend.standardize_dtype(variable.dtype)
    return dtype == "float32" and kernels.usable(dtype) and not kernels.distributed()
