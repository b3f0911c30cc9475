"""Several predictions of one image as one: networks of an ensemble, mirrored views, or both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.data.preprocessing import Array, Prepared
from benchmark.errors import BenchmarkError
from benchmark.evaluation.inference import Predictor
from benchmark.records import WEIGHTS, read_records
from benchmark.trained import Trained, open_run

# In-plane axes of `(z, y, x)` along which views are mirrored.
VIEWS: tuple[tuple[int, ...], ...] = ((), (2,), (1,), (1, 2))
KINDS = {"folds": "fold", "seeds": "seed"}


@dataclass(frozen=True)
class Committee:
    """Networks of one protocol, whose probabilities are averaged with equal weights.

    Attributes:
        predictors: One per network.
        views: Axes along which each view of the image is mirrored.
    """

    predictors: Sequence[Predictor]
    views: Sequence[tuple[int, ...]] = ((),)

    def blocks(self, prepared: Prepared) -> Iterator[Array]:
        """Yield probabilities on the prepared grid as :meth:`Predictor.blocks` does.

        All networks have the same windows and views are mirrored in the plane only, so the blocks
        of all of them hold the same planes and are averaged as they come.
        """
        streams = [
            _seen(predictor, prepared, axes) for predictor in self.predictors for axes in self.views
        ]
        for blocks in zip(*streams, strict=True):
            total = blocks[0]
            for block in blocks[1:]:
                total = total + block
            yield total / np.float32(len(blocks)) if len(blocks) > 1 else total


def members(
    results: Path, trained: Trained, kind: str | None, *, on_loss: Callable[[str], None]
) -> list[Trained]:
    """Return the runs of an ensemble: all finished ones that differ in fold, or in seed, alone.

    Args:
        results: Results folder.
        trained: The run that was asked for, one of them.
        kind: ``folds``, ``seeds``, or None for this run alone.
        on_loss: Told of what is, or may be, a member that cannot be used.

    Raises:
        BenchmarkError: There is no other.
    """
    if kind is None:
        return [trained]
    axis = KINDS[kind]
    wanted = {**trained.spec.to_dict(), axis: None}

    def damaged(text: str) -> None:
        on_loss(f"--ensemble {kind}: left out a record that may be one of its runs: {text}")

    fitting = [
        record
        for record in read_records(results, on_damage=damaged)
        if record["status"] == "ok" and {**record["spec"], axis: None} == wanted
    ]
    found = []
    for record in fitting:
        if (record["path"] / WEIGHTS).exists():
            found.append(open_run(record["path"]))
        else:
            on_loss(
                f"--ensemble {kind}: left out {record['path']}, whose weights are gone. Delete the "
                "folder and run it again."
            )
    if len(found) < 2:
        raise BenchmarkError(
            f"--ensemble {kind}: expected finished runs that differ from {trained.spec.name} in "
            f"their {axis} alone, found no other in {results / 'runs'}. Train more {kind}, or "
            "leave the option out."
        )
    return sorted(found, key=lambda member: (member.spec.fold, member.spec.seed))


def cleaned(runs: Sequence[Trained]) -> tuple[int, ...]:
    """Return the labels of which the largest piece is kept, as most of the runs decided."""
    labels = sorted({label for run in runs for label in run.largest})
    return tuple(
        label for label in labels if 2 * sum(label in run.largest for run in runs) > len(runs)
    )


def _seen(predictor: Predictor, prepared: Prepared, axes: tuple[int, ...]) -> Iterator[Array]:
    """What a network makes of a mirrored view, mirrored back."""
    view = dataclasses.replace(prepared, image=_mirrored(prepared.image, axes))
    for block in predictor.blocks(view):
        yield _mirrored(block, axes)


def _mirrored(array: Array, axes: tuple[int, ...]) -> Array:
    return np.flip(array, axes) if axes else array
