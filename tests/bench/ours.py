"""Our side of the race: the suite's own step and prediction, in a process of its own."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from tests.bench.settings import CLASSES, LEARNING_RATE, WEIGHT_DECAY, Setting, serve

PRECISION = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


class Ours:
    """A network of the suite, compiled as a run compiles it."""

    def __init__(self, setting: Setting, precision: str) -> None:
        import architectures
        from architectures.cost import multiply_accumulates, trainable_parameters
        from architectures.folding import Folded
        from benchmark.evaluation.inference import Predictor
        from benchmark.training import devices
        from benchmark.training.state import State
        from benchmark.training.steps import compile_model

        dims = len(setting.size)
        spec = specification(setting, PRECISION[precision])
        device = devices.configure(
            precision=PRECISION[precision], compilation="auto", dims=dims, seed=0
        )
        options = {} if setting.filters is None else {"filters": setting.filters}
        self.model = architectures.build(setting.name, (*setting.size, 1), CLASSES, **options)
        compile_model(self.model, spec, CLASSES, device)
        self.parameters = trainable_parameters(self.model)
        self.gmacs = setting.batch * multiply_accumulates(self.model) / 1e9
        self.state = State()
        self.image, mask = setting.data()
        self.stream = itertools.repeat((self.image, mask))
        folded = Folded(self.model)
        self.predictor = Predictor(folded, setting.size, batch_size=setting.batch, overlap=0.0)

    def train(self) -> float:
        """Take the step of the training loop."""
        from benchmark.training.steps import step

        return step(self.model, self.stream, self.state, LEARNING_RATE)

    def infer(self) -> np.ndarray:
        """Predict as evaluation does."""
        return self.predictor.logits(self.image)


def specification(setting: Setting, precision: str) -> Any:
    """The specification of a run with this network: as published, but with a batch of its own."""
    from benchmark.experiment.spec import RunSpec
    from tests.protocols import SMALL

    planar = len(setting.size) == 2
    protocol = replace(
        SMALL,
        spacing_mm=(None, 1.0, 1.0),
        patch_2d=setting.size if planar else (1, 1),
        patch_3d=setting.size if not planar else (1, 1, 1),
        batch_size_2d=setting.batch,
        batch_size_3d=setting.batch,
        epochs=1,
        steps_per_epoch=(1, 1),
        validation_patches_2d=1,
        validation_patches_3d=1,
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        precision=precision,
        compile="auto",
    )
    return RunSpec(
        architecture=setting.name,
        options={},
        dims=len(setting.size),
        dataset="acdc",
        source="phantom",
        fingerprint="f" * 16,
        code="c" * 12,
        fold=0,
        seed=0,
        protocol=protocol,
    )


def main() -> None:
    """Serve one race."""
    side: list[Ours] = []

    def build(setting: Setting, precision: str) -> Ours:
        side.append(Ours(setting, precision))
        return side[0]

    def about() -> dict[str, Any]:
        import keras

        from benchmark.training.devices import backend_version

        return {
            "framework": f"Keras {keras.__version__}, {keras.backend.backend()} "
            f"{backend_version()}",
            "gmacs": side[0].gmacs,
        }

    serve(build, about)


if __name__ == "__main__":
    main()
