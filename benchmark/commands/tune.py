"""``tune``: search for the recipe of one architecture on one dataset, on validation patients."""

from __future__ import annotations

import argparse
import math

from benchmark.commands import Commands, console
from benchmark.commands.experiment import experiment_options, plan_of
from benchmark.commands.train import cell_options


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "tune", parents=[experiment_options(), cell_options()],
        help="search for a better recipe on validation patients; goes on where it was stopped",
    )  # fmt: skip
    parser.add_argument(
        "--trials", type=_trials, required=True, metavar="N",
        help="trials of the study in all, those of earlier and parallel calls included",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS",
        help="begin no further trial after this time",
    )  # fmt: skip
    parser.set_defaults(command=_tune)


def _trials(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, received {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected a positive number of seconds, received {text!r}"
        )
    return value


def _tune(options: argparse.Namespace) -> int:
    from benchmark.experiment.layers import one_run
    from benchmark.tuning.tune import tune_plan

    asked = options.architecture, options.dataset
    plan = plan_of(options, [one_run(*asked, fold=options.fold, seed=options.seed)])
    return tune_plan(
        plan, options.results, console(),
        trials=options.trials, timeout_s=options.timeout, options=_given(options),
    )  # fmt: skip


def _given(options: argparse.Namespace) -> list[str]:
    """Return what was said of files, profile and results, as `run` is told it."""
    words = []
    for name in ("profile", "data", "data_root", "results"):
        if getattr(options, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    return words
