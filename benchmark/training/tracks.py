"""The budget of a training: epochs, gradient steps, seconds, or a validation Dice to reach."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from benchmark.experiment.spec import Protocol


@dataclass(frozen=True)
class Budget:
    """What ends a training, and how much of it is used.

    - ``epochs``: that many epochs.
    - ``steps``: ``max_steps`` gradient steps; the last epoch may be shorter.
    - ``time``: ``max_train_s`` seconds of gradient steps, waiting for batches and the compilation
      in the first step included, validation and checkpoints not; the step under way is finished.
    - ``target``: the first epoch whose validation Dice is ``target_dice``, at most ``epochs``.

    Attributes:
        track: One of these names.
        limit: Its steps, or its seconds on the track ``time``.
        steps_per_epoch: Gradient steps of a full epoch.
        target_dice: Validation Dice of the track ``target``.
    """

    track: str
    limit: float
    steps_per_epoch: int
    target_dice: float | None = None

    @classmethod
    def of(cls, protocol: Protocol, steps_per_epoch: int) -> Budget:
        """Return the budget of a protocol.

        Args:
            protocol: Names the track and holds its field.
            steps_per_epoch: Gradient steps of a full epoch.

        Raises:
            ValueError: The track is unknown or lacks its field.
        """
        limits = {
            "epochs": protocol.epochs * steps_per_epoch,
            "target": protocol.epochs * steps_per_epoch,
            "steps": protocol.max_steps,
            "time": protocol.max_train_s,
        }
        limit = limits.get(protocol.track)
        if limit is None or (protocol.track == "target" and protocol.target_dice is None):
            raise ValueError(f"track {protocol.track!r} is unknown or lacks its field")
        return cls(protocol.track, limit, steps_per_epoch, protocol.target_dice)

    @property
    def stop(self) -> int:
        """Batches after which the stream of a training may end."""
        return sys.maxsize // 2**16 if self.track == "time" else int(self.limit)

    def share(self, steps: int, train_s: float) -> float:
        """Return the used part of the budget, in [0, 1].

        Args:
            steps: Gradient steps taken.
            train_s: Seconds they took.
        """
        return min((train_s if self.track == "time" else steps) / self.limit, 1.0)

    def reached(self, dice: float) -> bool:
        """Tell whether a validation Dice ends the training."""
        return self.track == "target" and self.target_dice is not None and dice >= self.target_dice
