"""A finished run scored again: the same weights, the same test cases, the same rules.

What comes out is held against the record. It shows that a record says what its weights do, on this
machine and with today's code.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import datasets
from benchmark.errors import BenchmarkError
from benchmark.generalisation.sites import own_files
from benchmark.trained import Trained

if TYPE_CHECKING:
    import pandas as pd

# Scores of the same weights on the same files differ by less.
TOLERANCE = 1e-6

_ROW = ["case", "class"]
# What is no score: names, and a time that no two evaluations share.
_AXES = ("run", "architecture", "dataset", "source", "fold", "seed", "patient", "inference_s")


@dataclass(frozen=True)
class Rescored:
    """How a second scoring compares with the record.

    Attributes:
        cases: Number of test cases.
        dice: Mean foreground Dice as recorded, and now.
        differences: The largest difference of each score; infinite where one is a number and the
            other is not, or where rows or words differ.
    """

    cases: int
    dice: tuple[float, float]
    differences: dict[str, float]

    @property
    def largest(self) -> float:
        """The largest of all differences."""
        return max(self.differences.values())

    @property
    def agrees(self) -> bool:
        """Whether the record is confirmed."""
        return self.largest <= TOLERANCE


def rescore(
    trained: Trained,
    results: Path,
    data_root: Path | None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Rescored:
    """Score the weights of a run on its test cases and compare with its ``cases.csv``.

    Nothing is written but prepared cases that are not in the cache.

    Args:
        trained: The run.
        results: Results folder: prepared cases, and phantoms.
        data_root: Folder that holds the datasets; None takes ``data``.
        progress: Called with (done, total) after each case.

    Raises:
        BenchmarkError: The files on which the run was made are not found, or its weights do not
            fit.
    """
    from benchmark.data.cache import Cache
    from benchmark.experiment.partition import split_of

    spec, protocol = trained.spec, trained.spec.protocol
    info = datasets.info(spec.dataset)
    cases = datasets.read_cases(spec.dataset, own_files(spec, results, data_root))
    split = split_of(protocol, cases, spec.fold)
    predictor = trained.predictor()
    from benchmark.evaluation.cases import evaluate

    cache = Cache(results / "cache", info, protocol.spacing_mm)
    testing = cache.load([case for case in cases if case.id in set(split.test)], lambda *_: None)
    with tempfile.TemporaryDirectory() as folder:
        evaluation = evaluate(
            predictor, testing,
            spec=spec, info=info, unannotated=trained.record["unannotated_classes"],
            folder=Path(folder), largest=trained.largest, progress=progress,
        )  # fmt: skip
        now = _read(Path(folder))
    return Rescored(
        cases=len(testing),
        dice=(float(trained.record["summary"]["dice"]), evaluation.summary()["dice"]),
        differences=differences(_read(trained.folder), now),
    )


def differences(recorded: pd.DataFrame, now: pd.DataFrame) -> dict[str, float]:
    """Return the largest difference of each score between two tables of cases.

    Args:
        recorded: The rows of a run's ``cases.csv``.
        now: Those of another scoring.
    """
    one, other = (frame.set_index(_ROW).sort_index() for frame in (recorded, now))
    if not one.index.equals(other.index):
        return {"rows": math.inf}
    found = {}
    for name in _scores([*one.columns, *other.columns]):
        if name not in one or name not in other:
            found[name] = math.inf
        elif one[name].dtype.kind in "fiu" and other[name].dtype.kind in "fiu":
            gaps = (one[name] - other[name]).abs()
            gaps[one[name].eq(other[name]) | (one[name].isna() & other[name].isna())] = 0.0
            found[name] = float(gaps.fillna(math.inf).max())
        else:
            same = one[name].fillna("").astype(str) == other[name].fillna("").astype(str)
            found[name] = 0.0 if same.all() else math.inf
    return found


def _scores(columns: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(columns) if name not in _AXES]


def _read(folder: Path) -> pd.DataFrame:
    import pandas as pd

    path = folder / "cases.csv"
    if not path.exists():
        raise BenchmarkError(f"{path}: expected the scores of the run, found none. Run it again.")
    return pd.read_csv(path, dtype={"patient": str, "case": str})
