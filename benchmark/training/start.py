"""The weights of another run as the start of a training."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import keras

import architectures
from benchmark.errors import BenchmarkError
from benchmark.experiment.spec import RunSpec
from benchmark.experiment.start import check_unseen, seen_patients
from benchmark.records import WEIGHTS, digest_of
from benchmark.trained import Trained, open_run


def start_from(
    model: keras.Model,
    spec: RunSpec,
    results: Path,
    *,
    classes: Mapping[str, int],
    release: str,
    tested: Collection[str],
) -> dict[str, Any]:
    """Give a new model the weights of the run that its specification starts from.

    Layers are paired by name. One whose shapes differ keeps its fresh values; so does the head if
    the two runs do not have the same classes under the same labels, even where they are as many:
    what an output channel meant is of no use to another structure.

    Args:
        model: As built for the new run.
        spec: The new run.
        results: Results folder.
        classes: Labels of the new run.
        release: What its files are if not the official release.
        tested: Its test patients.

    Returns:
        What the record says: ``run``, ``sha256``, ``dataset``, ``name``, ``loaded`` (a number of
        layers), ``reinitialised`` (their names) and ``seen`` (whom the weights were fitted to).

    Raises:
        BenchmarkError: The run is gone or another by now, has seen patients that are tested, or
            has no layer that fits.
    """
    source = open_run(results / "runs" / spec.init_from["run"])
    check_unseen(source.record, spec, release, tested)
    if digest_of(source.folder / WEIGHTS) != spec.init_from["sha256"]:
        raise BenchmarkError(
            f"{source.folder / WEIGHTS}: expected the weights that {spec.name} was planned with, "
            "found others: that run has been run again. Start again to plan with these."
        )
    loaded, fresh = _transfer(source, model, heads=dict(source.classes) != dict(classes))
    if not loaded:
        raise BenchmarkError(
            f"init_from: expected a run with layers that fit {spec.architecture} with "
            f"{dict(spec.options)}, none of {source.spec.key} ({dict(source.spec.options)}) does."
        )
    sys.stderr.write(
        f"started from {source.spec.name} ({source.spec.key}): {loaded} layers loaded, "
        f"re-initialised: {', '.join(fresh) or 'none'}\n"
    )
    return {
        **spec.init_from,
        "name": source.spec.name,
        "loaded": loaded,
        "reinitialised": fresh,
        "seen": seen_patients(source.record),
    }


def _transfer(source: Trained, model: keras.Model, *, heads: bool) -> tuple[int, list[str]]:
    """Copy the layers that fit; return how many these are and the names of the others."""
    old = _build(source, len(source.classes) + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            old.load_weights(source.folder / WEIGHTS)
        except (ValueError, KeyError, OSError) as error:
            raise BenchmarkError(
                f"{source.folder / WEIGHTS}: expected the weights of {source.spec.architecture} as "
                f"this version builds it: {str(error).splitlines()[0]}"
            ) from None
    known = {variable.path: variable for variable in old.weights}
    head = _head(source, old) if heads else set()
    layers: dict[str, list[Any]] = {}
    for variable in model.weights:
        layers.setdefault(_layer(variable.path), []).append(variable)
    loaded, fresh = 0, []
    for name, variables in layers.items():
        fits = name not in head and all(
            variable.path in known and known[variable.path].shape == variable.shape
            for variable in variables
        )
        if not fits:
            fresh.append(name)
            continue
        for variable in variables:
            variable.assign(known[variable.path])
        loaded += 1
    return loaded, fresh


def _head(source: Trained, old: keras.Model) -> set[str]:
    """Return the layers whose shapes follow the number of classes."""
    other = {v.path: v.shape for v in _build(source, len(source.classes) + 2).weights}
    return {_layer(v.path) for v in old.weights if other[v.path] != v.shape}


def _build(source: Trained, classes: int) -> keras.Model:
    spec = source.spec
    model: keras.Model = architectures.build(
        spec.architecture, (*spec.patch, 1), classes, **spec.options
    )
    return model


def _layer(path: str) -> str:
    return str(path).rpartition("/")[0]
