"""What the sections of the experiment file are made of: names, numbers, places and faults."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

import architectures
import datasets
from benchmark.errors import nearest
from benchmark.experiment.yaml_tree import Location


class Fault(Exception):
    """Something is wrong at a place of the file; the loader adds the file and the line."""

    def __init__(self, location: Location, message: str) -> None:
        super().__init__(message)
        self.location = location


class Section(BaseModel):
    """A mapping of the file that refuses keys it does not know and values of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _lists_are_tuples(cls, content: Any) -> Any:
        # YAML has lists only, and strict tuples take no list
        if not isinstance(content, dict):
            return content
        return {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in content.items()
        }


def shown(value: Any) -> str:
    """Return a value as a message quotes it: as the file has it, and not too long."""
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def known(kind: str, names: tuple[str, ...]) -> BeforeValidator:
    """Return a check that a value is one of ``names``, whose message names the nearest."""

    def check(value: Any) -> Any:
        if value not in names:
            raise ValueError(
                f"unknown {kind} {shown(value)}; known are {', '.join(names)}."
                + nearest(str(value), names)
            )
        return value

    return BeforeValidator(check)


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError("expected every value once")
    return values


Positive = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]
Millimetres = Annotated[float, Field(gt=0, le=100)]
ArchitectureName = Annotated[str, known("architecture", architectures.NAMES)]
DatasetName = Annotated[str, known("dataset", datasets.NAMES)]
Distinct = AfterValidator(_distinct)
