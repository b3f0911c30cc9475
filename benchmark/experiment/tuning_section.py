"""The sections ``tuning`` and ``tuned``: where recipes are searched for, and what was found.

.. code-block:: yaml

    tuning:
      search:
        protocol.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
        protocol.augmentation: [standard, none]
        options.filters: [8, 16]
      pruner: median

    tuned:                        # written by `tune` as a file of its own, for `run --override`
      unet:
        acdc:
          0: {study: unet-acdc-f0-s0-1a2b3c4d, trials: 20, cost_s: 4312.0,
              found_on: {files: real/0123456789abcdef, split: kfold, folds: 5, split_seed: 0,
                         validation_fraction: 0.1},
              protocol: {learning_rate: 2.0e-3}, options: {filters: 16}}

A recipe holds for the fold on which it was found: the validation patients of one fold are the test
patients of another. So they are of another split or of other files, where it is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from benchmark.errors import ConfigError, nearest
from benchmark.experiment.config_types import Fault, Index, Positive, Section, shown
from benchmark.experiment.spec import RunSpec
from benchmark.experiment.yaml_tree import Location

# What a recipe is made of. The other fields of a protocol say what is compared: files, split, grid,
# budget, scoring. To tune them would be to move the goal.
RECIPE = ("optimizer", "learning_rate", "weight_decay", "loss", "augmentation")

Value = bool | int | float | str


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("expected a number")
    return value


def _positive(value: Any) -> Any:
    if value <= 0:
        raise ValueError("expected a number above 0")
    return value


# Not `int | float`: pydantic would name the members of the union in its errors.
Number = Annotated[Any, AfterValidator(_number)]


class Range(Section):
    """Numbers from ``low`` to ``high``, both included; whole ones where both bounds are whole."""

    low: Number
    high: Number
    log: bool = False
    step: Annotated[Number, AfterValidator(_positive)] | None = None

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return all(isinstance(each, int) for each in (self.low, self.high, self.step or 1))


class TuningSection(Section):
    """How recipes are searched for.

    ``search`` has a list of choices or a :class:`Range` for each ``protocol.FIELD`` or
    ``options.OPTION``. The pruner ends a trial whose best validation Dice is below the median of
    the trials before it at the same epoch; not in the first ``startup_trials`` of a study, nor
    before ``warmup_epochs`` epochs.
    """

    search: Annotated[dict[str, Any], Field(min_length=1)]
    sampler: Literal["tpe", "random"] = "tpe"
    sampler_seed: Index = 0
    pruner: Literal["median", "none"] = "median"
    startup_trials: Index = 5
    warmup_epochs: Index = 1


class FoundOn(Section):
    """What decides who the patients of a fold are: the files, and how they are split.

    ``files`` is their source and their fingerprint.
    """

    files: Annotated[str, Field(min_length=1)]
    split: str
    folds: Index
    split_seed: Index
    validation_fraction: float


class TunedSection(Section):
    """A recipe for one architecture on one fold of a dataset, and what it took to find it."""

    study: Annotated[str, Field(min_length=1)]
    trials: Positive
    cost_s: Annotated[float, Field(ge=0)]
    validation_dice: Annotated[float, Field(ge=0, le=1)] | None = None
    found_on: FoundOn
    protocol: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)


def found_on(spec: RunSpec) -> dict[str, Any]:
    """Return the content of :class:`FoundOn` for the fold of a run."""
    protocol = spec.protocol
    return {
        "files": f"{spec.source}/{spec.fingerprint}",
        "split": protocol.split,
        "folds": protocol.folds,
        "split_seed": protocol.split_seed,
        "validation_fraction": protocol.validation_fraction,
    }


def check_found_here(recipe: TunedSection, spec: RunSpec, place: str) -> None:
    """Refuse a recipe of other files or of another split.

    Args:
        recipe: What a search has found.
        spec: The run that it would be used for.
        place: Where the file has it.

    Raises:
        ConfigError: The patients on whom it was searched may be test patients of the run.
    """
    there, here = recipe.found_on.model_dump(), found_on(spec)
    other = [name for name in here if here[name] != there[name]]
    if other:
        told = ", ".join(f"{name} {there[name]} (here {here[name]})" for name in other)
        raise ConfigError(
            f"{place}: expected a recipe that was found on the files and the split of "
            f"{spec.name}; study {recipe.study} had {told}, so that its patients may be tested "
            "here. Search again with `tune`, or leave the recipe out."
        )


Tuned = Mapping[str, Mapping[str, Mapping[int, TunedSection]]]


@dataclass(frozen=True)
class Entry:
    """A value that a recipe has or a search may try.

    Attributes:
        location: Where the file says it.
        section: ``protocol`` or ``options``.
        field: Name of the field or option.
        value: The value.
        architecture: Whose recipe it is; None where a search is for any.
    """

    location: Location
    section: str
    field: str
    value: Any
    architecture: str | None = None


def entries(tuning: TuningSection | None, tuned: Tuned) -> Iterator[Entry]:
    """Return every value of all recipes, and all choices and bounds of the search.

    Raises:
        Fault: A name is none that can be tuned.
        ValidationError: A range is not one.
    """
    for name in tuning.search if tuning else ():
        assert tuning is not None
        where: Location = ("tuning", "search", name)
        section, field = part_of(name, where)
        axis = axis_of(tuning.search[name], where)
        if isinstance(axis, Range):
            yield Entry((*where, "low"), section, field, axis.low)
            yield Entry((*where, "high"), section, field, axis.high)
        else:
            for number, value in enumerate(axis):
                yield Entry((*where, number), section, field, value)
    for architecture, datasets in tuned.items():
        for dataset, folds in datasets.items():
            for fold, recipe in folds.items():
                where = ("tuned", architecture, dataset, fold)
                for field, value in recipe.protocol.items():
                    part_of(f"protocol.{field}", (*where, "protocol", field))
                    location = (*where, "protocol", field)
                    yield Entry(location, "protocol", field, value, architecture)
                for field, value in recipe.options.items():
                    location = (*where, "options", field)
                    yield Entry(location, "options", field, value, architecture)


def part_of(name: str, where: Location) -> tuple[str, str]:
    """Return section and field of a name such as ``protocol.learning_rate``.

    Raises:
        Fault: It is none that can be tuned.
    """
    section, _, field = str(name).partition(".")
    if section == "options" and field:
        return section, field
    if section == "protocol" and field in RECIPE:
        return section, field
    known = [f"protocol.{field}" for field in RECIPE]
    raise Fault(
        where,
        f"expected {', '.join(known)} or options.OPTION of a network; received {shown(name)}. "
        f"What else a protocol says is the same for all.{nearest(str(name), known)}",
    )


def axis_of(content: Any, where: Location) -> tuple[Value, ...] | Range:
    """Return the choices or the range of one axis of a search.

    Raises:
        Fault: It is neither, or no value can be drawn from it.
        ValidationError: A range lacks a bound, or has something else.
    """
    if isinstance(content, list):
        if not content or not all(isinstance(value, Value) for value in content):
            raise Fault(
                where,
                "expected at least one choice, each text, a number, true or false; received "
                f"{shown(content)}.",
            )
        if len({(type(value), value) for value in content}) < len(content):
            raise Fault(where, f"expected every choice once; received {shown(content)}.")
        return tuple(content)
    if not isinstance(content, dict):
        raise Fault(
            where,
            f"expected a list of choices or {{low: …, high: …}}; received {shown(content)}.",
        )
    axis = Range.model_validate(content)
    if axis.low >= axis.high:
        raise Fault(
            (*where, "high"), f"expected more than low, which is {axis.low}; received {axis.high}."
        )
    if axis.log and (axis.low <= 0 or axis.step is not None):
        raise Fault(
            (*where, "log"), "expected log: true with a low above 0 and without a step, since its "
            "steps are factors.",
        )  # fmt: skip
    return axis
