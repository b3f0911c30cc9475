"""The section ``matrix`` of the experiment file: axes, pairs, and rules.

.. code-block:: yaml

    matrix:
      architectures: [unet, vnet]
      datasets: [acdc, camus]
      paired:                     # fold 0 with seed 5, fold 1 with seed 6: not their product
        folds: [0, 1]
        seeds: [5, 6]
      exclude:                    # every combination that has all of these values
        - {architecture: vnet, dataset: camus, because: echo has no volumes}
      include:                    # axes that are left out take all values of the matrix
        - {architecture: unet, dataset: acdc, seed: 3, options: {filters: 64}}
      test_on: [camus]            # every finished run is evaluated there too (follow_section)

A rule of ``exclude`` holds for entries of ``include`` too, unless the entry itself names every
axis of the rule: what is asked for by name is run. A profile that lays ``paired: null`` or
``exclude: []`` over these switches them off.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from benchmark.experiment.config_types import (
    ArchitectureName,
    DatasetName,
    Distinct,
    Index,
    Section,
)
from benchmark.experiment.yaml_tree import Location

# Slowest first: architectures alternate inside each (dataset, fold, seed).
AXES = ("seed", "fold", "dataset", "architecture")


def plural(axis: str) -> str:
    """Return the key under which the file lists the values of an axis."""
    return f"{axis}s"


class PairedSection(Section):
    """Axes that go together value by value, as ``zip`` does."""

    architectures: Annotated[tuple[ArchitectureName, ...], Field(min_length=1)] = ()
    datasets: Annotated[tuple[DatasetName, ...], Field(min_length=1)] = ()
    folds: Annotated[tuple[Index, ...], Field(min_length=1)] = ()
    seeds: Annotated[tuple[Index, ...], Field(min_length=1)] = ()


class Exclusion(Section):
    """Takes every combination out that has all of the given values."""

    architecture: ArchitectureName | None = None
    dataset: DatasetName | None = None
    fold: Index | None = None
    seed: Index | None = None
    because: str = ""

    @property
    def given(self) -> dict[str, Any]:
        """The axes that are named, with their values."""
        values = {axis: getattr(self, axis) for axis in AXES}
        return {axis: value for axis, value in values.items() if value is not None}


class Inclusion(Exclusion):
    """Adds combinations, with options of their own if wanted."""

    options: dict[str, Any] = Field(default_factory=dict)
    dims: Literal[2, 3] | None = None
    init_from: str | None = None

    @property
    def overrides(self) -> bool:
        """Whether its runs differ from those of the product in more than the axes."""
        return bool(self.options) or self.dims is not None or self.init_from is not None


class MatrixSection(Section):
    """The axes and the rules; see the text above."""

    architectures: Annotated[tuple[ArchitectureName, ...], Field(min_length=1), Distinct] = ()
    datasets: Annotated[tuple[DatasetName, ...], Field(min_length=1), Distinct] = ()
    folds: Annotated[tuple[Index, ...], Field(min_length=1), Distinct] = ()
    seeds: Annotated[tuple[Index, ...], Field(min_length=1), Distinct] = ()
    paired: PairedSection | None = None
    exclude: tuple[Exclusion, ...] = ()
    include: tuple[Inclusion, ...] = ()
    test_on: Annotated[tuple[str, ...], Distinct] = ()

    def values(self, axis: str) -> tuple[Any, ...]:
        """Return the values of an axis that are listed or paired, each once."""
        listed = getattr(self, plural(axis)) or getattr(self.paired, plural(axis), ())
        return tuple(dict.fromkeys(listed))

    def place(self, axis: str, value: Any) -> Location:
        """Return where in the file a value of an axis is written."""
        for where, section in ((("matrix",), self), (("matrix", "paired"), self.paired)):
            values = getattr(section, plural(axis), ())
            if value in values:
                return (*where, plural(axis), values.index(value))
        for number, entry in enumerate(self.include):
            if getattr(entry, axis) == value:
                return ("matrix", "include", number, axis)
        return ("matrix",)
