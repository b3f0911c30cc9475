"""The section ``protocol`` of an experiment file: the rules shared by all runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from benchmark.experiment.config_types import Positive, Section, known
from datasets.splits import SPLITS


def _ascending(bounds: tuple[int, int]) -> tuple[int, int]:
    if bounds[0] > bounds[1]:
        raise ValueError("expected [least, most]")
    return bounds


# The field that each track needs beside ``epochs``.
TRACKS = {
    "epochs": None, "steps": "max_steps", "time": "max_train_s", "target": "target_dice",
}  # fmt: skip


def _measured(track: str, info: ValidationInfo) -> str:
    """Check that the field of a track is given, and that of no other."""
    for name, field in TRACKS.items():
        if field is None or field not in info.data:  # absent: the field itself is at fault
            continue
        if name == track and info.data[field] is None:
            raise ValueError(f"track {track} needs {field}; add it")
        if name != track and info.data[field] is not None:
            raise ValueError(
                f"{field} belongs to track {name}, the track is {track}; "
                f"set track: {name} or remove {field}"
            )
    return track


class ProtocolSection(Section):
    """Rules shared by all runs; see :class:`benchmark.experiment.spec.Protocol`."""

    split: Annotated[str, known("split", tuple(SPLITS))] = "kfold"
    folds: Annotated[int, Field(ge=2)] = 5
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    split_seed: Annotated[int, Field(ge=0)] = 0
    batch_size_2d: Positive
    batch_size_3d: Positive
    epochs: Positive
    steps_per_epoch: Annotated[tuple[Positive, Positive], AfterValidator(_ascending)]
    validation_patches_2d: Positive
    validation_patches_3d: Positive
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    loss: Literal["dice_cross_entropy", "dice_squared", "one_vs_rest", "focal_tversky"] = (
        "dice_cross_entropy"
    )
    augmentation: Literal["standard", "mirrored", "none"] = "standard"
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    compile: Literal["auto", "xla", "none"] = "auto"
    backend: Literal["tensorflow", "jax", "torch"] = "tensorflow"
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    postprocessing: Literal["none", "largest_component"] = "largest_component"
    # The names of benchmark.evaluation.surface.DEFINITIONS, which a plan need not import.
    surface_definition: Literal["metrics_reloaded", "pooled", "area_weighted"] = "metrics_reloaded"
    nsd_tolerance_mm: Annotated[float, Field(gt=0, le=100)] = 2.0
    max_steps: Positive | None = None
    max_train_s: Annotated[float, Field(gt=0)] | None = None
    target_dice: Annotated[float, Field(gt=0, le=1)] | None = None
    track: Annotated[  # after the fields it is checked against
        Literal["epochs", "steps", "time", "target"],
        AfterValidator(_measured),
        Field(validate_default=True),
    ] = "epochs"
    deterministic: bool = False
    devices: Positive = 1
