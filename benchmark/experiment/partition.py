"""The split that a protocol asks for: one way from its fields to the patients of each side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol as Shape

from datasets import splits
from datasets.case import Case


class SplitRules(Shape):
    """What a protocol, of the file or of a run, says of the split."""

    @property
    def split(self) -> str:
        """Name of the scheme."""

    @property
    def folds(self) -> int:
        """Number of its folds."""

    @property
    def validation_fraction(self) -> float:
        """Part of the training patients that chooses the best epoch."""

    @property
    def split_seed(self) -> int:
        """Seed of the split."""


def split_of(rules: SplitRules, cases: Sequence[Case], fold: int) -> splits.Split:
    """Return the cases of each side of one fold.

    Args:
        rules: The protocol.
        cases: All labelled cases of the dataset.
        fold: Which fold is the test side.

    Raises:
        DatasetError: These cases cannot be split so.
    """
    return splits.make_split(
        rules.split,
        cases,
        fold=fold,
        folds=rules.folds,
        validation_fraction=rules.validation_fraction,
        seed=rules.split_seed,
    )
