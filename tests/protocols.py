"""A protocol for tests: small, in float32, without chance; others are this one with changes."""

from __future__ import annotations

from benchmark.experiment.spec import Protocol

SMALL = Protocol(
    split="kfold",
    folds=5,
    validation_fraction=0.1,
    split_seed=0,
    spacing_mm=(None, 4.0, 4.0),
    patch_2d=(32, 32),
    patch_3d=(8, 32, 32),
    batch_size_2d=4,
    batch_size_3d=1,
    epochs=2,
    steps_per_epoch=(3, 3),
    validation_patches_2d=6,
    validation_patches_3d=2,
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=0.0,
    loss="dice_cross_entropy",
    augmentation="none",
    precision="float32",
    compile="none",
    backend="tensorflow",
    overlap=0.0,
    postprocessing="none",
    surface_definition="metrics_reloaded",
    nsd_tolerance_mm=2.0,
    track="epochs",
    max_steps=None,
    max_train_s=None,
    target_dice=None,
    deterministic=False,
)
