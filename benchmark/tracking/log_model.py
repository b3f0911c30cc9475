"""Logs the network of one run: ``python -m benchmark.tracking.log_model RUN_FOLDER MLFLOW_RUN``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from benchmark.trained import open_run

# Named, since MLflow would find them out by loading the model in a process of its own (9 s).
REQUIREMENTS = ("keras", "numpy", "tensorflow", "jax", "torch")


def log_model(folder: Path, run: str) -> str:
    """Log the network of a finished run with its best weights, in float32; return the model's id.

    It is linked to the run and to its scores. To load it, ``import architectures.layers`` first
    where the network has layers of its own.

    Args:
        folder: The run's folder.
        run: Identity of the run in the store that ``MLFLOW_TRACKING_URI`` names.

    Raises:
        BenchmarkError: The folder holds no finished run.
    """
    trained = open_run(folder)
    spec = trained.spec
    network = trained.network(precision="float32")
    versions = trained.record["environment"]["versions"]
    used = {*REQUIREMENTS[:2], spec.protocol.backend}
    info = Model.log(
        None,
        mlflow.keras,
        name=f"{spec.architecture}-{spec.dataset}",
        run_id=run,
        step=0,  # that of the scores, which are linked to the model
        tags={"bench.key": spec.key, "bench.protocol": spec.protocol_hash},
        model=network,
        signature=signature(network),
        pip_requirements=[f"{name}=={versions[name]}" for name in REQUIREMENTS if name in used],
    )
    return str(info.model_id)


def signature(network: Any) -> ModelSignature:
    """Return what goes in (standardised patches) and what comes out (logits, finest first)."""
    shapes = [tuple(output.shape[1:]) for output in network.outputs]
    outputs = [
        TensorSpec(np.dtype("float32"), (-1, *shape), f"output_{level}" if level else "logits")
        for level, shape in enumerate(shapes)
    ]
    if len(outputs) == 1:
        outputs = [TensorSpec(np.dtype("float32"), (-1, *shapes[0]))]
    image = TensorSpec(np.dtype("float32"), (-1, *network.input_shape[1:]))
    return ModelSignature(inputs=Schema([image]), outputs=Schema(outputs))


if __name__ == "__main__":
    log_model(Path(sys.argv[1]), sys.argv[2])
