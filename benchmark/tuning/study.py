"""A study in its SQLite store: asks for trials, tells what came of them, survives who does so.

Several processes may share a study. Each holds a lock as long as it lives, and the trials it works
on name that lock: a trial whose owner is gone is failed, and its values are tried again first.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from benchmark.errors import BenchmarkError
from benchmark.execution.locks import is_locked, locked, try_lock
from benchmark.experiment.spec import digest
from benchmark.experiment.tuning_section import TuningSection
from benchmark.tuning.space import Axes, Values, suggest

if TYPE_CHECKING:
    import optuna

FOLDER = "tuning"

# Ends of a trial that say something about its values: the sampler learns to avoid them.
RESULTS = ("pruned", "oom", "diverged", "refused")
# As many failures one after the other mean that no trial will do better.
MOST_FAILURES = 3

_numbers = itertools.count()


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        key: Its run.
        status: The status of its record, or ``refused`` where no such network can be built.
        dice: Its best validation Dice, if it is ``ok``.
        seconds: What it took, whoever spent them.
        error: What went wrong, or why it was pruned.
    """

    key: str
    status: str
    dice: float | None = None
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Tried:
    """A finished trial.

    Attributes:
        number: From 0.
        status: As in its :class:`Outcome`.
        dice: Its best validation Dice, None where it did not get to its end.
        epochs: Epochs after which its Dice is known.
        seconds: What it took.
        values: What it tried.
        key: Its run.
    """

    number: int
    status: str
    dice: float | None
    epochs: int
    seconds: float
    values: Values = field(hash=False)
    key: str = ""


class Study:
    """A study, open for as long as it is entered.

    Args:
        results: Results folder.
        name: Name of the study.
        axes: What is searched.
        section: How it is searched.
    """

    def __init__(self, results: Path, name: str, axes: Axes, section: TuningSection) -> None:
        self.name = name
        self.store = results / FOLDER / f"{name}.db"
        self._axes = axes
        self._section = section
        self._gate = results / ".locks" / f"tuning-{name}"
        self._owners = results / FOLDER / ".owners"
        self._owner = f"{socket.gethostname()}-{os.getpid()}-{next(_numbers)}.lock"
        self._lock: IO[bytes] | None = None
        self._storage: optuna.storages.RDBStorage | None = None
        self._study: optuna.Study

    def __enter__(self) -> Study:
        self.store.parent.mkdir(parents=True, exist_ok=True)
        self._lock = try_lock(self._owners / self._owner)
        try:
            with locked(self._gate):  # two that make the tables at once would break the store
                self._study = self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._storage is not None:
            self._storage.remove_session()
            self._storage.engine.dispose()
        (self._owners / self._owner).unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()

    def next(self, trials: int) -> tuple[optuna.Trial, Values] | None:
        """Return a trial and its values, or None when enough are finished or under way.

        Trials that failed do not count: they say nothing about their values.

        Args:
            trials: How many the study shall have in all.
        """
        with locked(self._gate):
            self._fail_dead()
            if self._begun() >= trials:
                return None
            # Drawn anew for each trial: a study that was stopped goes on as if it had not been.
            self._study.sampler = self._sampler(len(self._study.get_trials(deepcopy=False)))
            trial = self._study.ask()
            trial.set_user_attr("owner", self._owner)
            return trial, suggest(trial, self._axes)

    def close(self, trial: optuna.Trial, outcome: Outcome) -> None:
        """Write what came of a trial; one that was ended by the user is tried again first."""
        from optuna.trial import TrialState

        with locked(self._gate):
            trial.set_user_attr("key", outcome.key)
            trial.set_user_attr("status", outcome.status)
            trial.set_user_attr("seconds", outcome.seconds)
            trial.set_user_attr("error", outcome.error)
            if outcome.status == "ok":
                self._study.tell(trial, outcome.dice)
            elif outcome.status in RESULTS:
                self._study.tell(trial, state=TrialState.PRUNED)
            else:
                self._study.tell(trial, state=TrialState.FAIL)
                if outcome.status == "killed":
                    self._study.enqueue_trial(trial.params)

    def left(self, trials: int) -> int:
        """Return how many trials are neither finished nor under way in a living process."""
        with locked(self._gate):
            self._fail_dead()
            return max(0, trials - self._begun())

    def tried(self) -> list[Tried]:
        """Return the trials that say something, in their order."""
        from optuna.trial import TrialState

        wanted = (TrialState.COMPLETE, TrialState.PRUNED)
        return [
            Tried(
                number=trial.number,
                status=str(trial.user_attrs["status"]),
                dice=trial.value if trial.state == TrialState.COMPLETE else None,
                epochs=len(trial.intermediate_values),
                seconds=float(trial.user_attrs["seconds"]),
                values=dict(trial.params),
                key=str(trial.user_attrs["key"]),
            )
            for trial in self._study.get_trials(deepcopy=False, states=wanted)
        ]

    @property
    def cost_s(self) -> float:
        """What all trials took, failed ones too; one whose record served twice counts once."""
        spent: dict[str, float] = {}
        for trial in self._study.get_trials(deepcopy=False):
            if "key" in trial.user_attrs:
                key, seconds = trial.user_attrs["key"], float(trial.user_attrs["seconds"])
                spent[key] = max(seconds, spent.get(key, 0.0))
        return sum(spent.values())

    def _begun(self) -> int:
        from optuna.trial import TrialState

        begun = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        return len(self._study.get_trials(deepcopy=False, states=begun))

    def _fail_dead(self) -> None:
        """Fail the trials whose process has died, and have their values tried again first."""
        from optuna.trial import TrialState

        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            owner = trial.user_attrs.get("owner")
            if owner is not None and is_locked(self._owners / owner):
                continue
            self._study.tell(trial.number, state=TrialState.FAIL)
            if set(trial.params) == set(self._axes):
                self._study.enqueue_trial(trial.params)
            if owner is not None:
                (self._owners / owner).unlink(missing_ok=True)

    def _open(self) -> optuna.Study:
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        optuna.logging.set_verbosity(optuna.logging.ERROR)  # what it tells is told by us
        section = self._section
        pruner = (
            optuna.pruners.MedianPruner(section.startup_trials, section.warmup_epochs)
            if section.pruner == "median"
            else optuna.pruners.NopPruner()
        )
        try:
            self._storage = optuna.storages.RDBStorage(
                f"sqlite:///{self.store.resolve()}",
                engine_kwargs={"connect_args": {"timeout": 60.0}},
            )
            return optuna.create_study(
                study_name=self.name, storage=self._storage, pruner=pruner,
                direction="maximize", load_if_exists=True,
            )  # fmt: skip
        except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise BenchmarkError(
                f"{self.store}: expected the store of a study, found it damaged or of another "
                f"version of Optuna ({first}). Move it away; the records of its trials are kept, "
                "and trials that come again cost nothing."
            ) from None

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        from optuna.samplers import RandomSampler, TPESampler

        seed = int(digest([self._section.sampler_seed, number])[:8], 16)
        return (TPESampler if self._section.sampler == "tpe" else RandomSampler)(seed=seed)


def search(
    study: Study,
    objective: Callable[[optuna.Trial, Values], Outcome],
    *,
    trials: int,
    until: Callable[[], bool],
) -> list[Outcome]:
    """Try values until there are enough trials, or it is asked to stop.

    Args:
        study: Open.
        objective: Carries a trial out, and reports to it after each epoch.
        trials: How many the study shall have in all.
        until: Asked before each trial whether to stop.

    Returns:
        What came of the trials made here.
    """
    outcomes: list[Outcome] = []
    while not until() and not failing(outcomes):
        asked = study.next(trials)
        if asked is None:
            break
        trial, values = asked
        outcomes.append(objective(trial, values))
        study.close(trial, outcomes[-1])
    return outcomes


def failing(outcomes: Sequence[Outcome]) -> bool:
    """Whether the last trials have all failed by a fault that is none of their values."""
    last = outcomes[-MOST_FAILURES:]
    return len(last) == MOST_FAILURES and all(each.status not in ("ok", *RESULTS) for each in last)


def best(tried: Sequence[Tried]) -> Tried | None:
    """Return the trial with the highest validation Dice, of equals the first."""
    complete = [trial for trial in tried if trial.dice is not None]
    return max(complete, key=lambda trial: (trial.dice, -trial.number), default=None)
