"""What is searched: from the section ``tuning`` to values that a trial tries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import architectures
from benchmark.errors import ConfigError
from benchmark.experiment.config import Experiment
from benchmark.experiment.spec import RunSpec, digest
from benchmark.experiment.tuning_section import Range, Value, axis_of, entries, part_of

if TYPE_CHECKING:
    import optuna

Axes = Mapping[str, "tuple[Value, ...] | Range"]
Values = dict[str, Value]


def axes_for(experiment: Experiment, architecture: str) -> Axes:
    """Return the axes of the search, whose options are those of one architecture.

    Raises:
        ConfigError: The file declares no search, or the architecture lacks an option.
    """
    if experiment.tuning is None:
        raise ConfigError(
            f"{experiment.place()}: expected 'tuning:' with 'search:', which says what to try; "
            "found none. Add it, for example "
            "'tuning: {search: {protocol.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}}}'."
        )
    for entry in entries(experiment.tuning, {}):
        if entry.section == "options":
            try:
                architectures.check_options(architecture, {entry.field: entry.value})
            except architectures.ArchitectureError as error:
                raise ConfigError(f"{experiment.place(*entry.location)}: {error}") from None
    search = experiment.tuning.search
    return {name: axis_of(content, ("tuning", "search", name)) for name, content in search.items()}


def study_name(spec: RunSpec, axes: Axes) -> str:
    """Return the name of the study that searches these axes around a run.

    Another space, other files or another protocol make another study: what was learnt in one says
    nothing in the other.
    """
    searched = {
        name: axis.model_dump() if isinstance(axis, Range) else list(axis)
        for name, axis in axes.items()
    }
    around = digest([spec.to_dict(), searched])[:8]
    return f"{spec.architecture}-{spec.dataset}-f{spec.fold}-s{spec.seed}-{around}"


def suggest(trial: optuna.Trial, axes: Axes) -> Values:
    """Let the sampler choose a value on every axis."""
    values: dict[str, Any] = {}  # Optuna's choices may be None, ours are not
    for name, axis in axes.items():
        if not isinstance(axis, Range):
            values[name] = trial.suggest_categorical(name, axis)
        elif axis.whole:
            step = 1 if axis.step is None else axis.step
            values[name] = trial.suggest_int(name, axis.low, axis.high, step=step, log=axis.log)
        else:
            values[name] = trial.suggest_float(
                name, axis.low, axis.high, step=axis.step, log=axis.log
            )
    return values


def as_recipe(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of the protocol and the options of the network that values stand for."""
    recipe: dict[str, dict[str, Any]] = {"protocol": {}, "options": {}}
    for name, value in values.items():
        section, field = part_of(name, ("tuning", "search", name))
        recipe[section][field] = value
    return recipe["protocol"], recipe["options"]
