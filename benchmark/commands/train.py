"""``train``: one model, as a matrix of one."""

from __future__ import annotations

import argparse

from benchmark.commands import Commands, console
from benchmark.commands.experiment import experiment_options, plan_of, retry_option


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "train", parents=[experiment_options(), retry_option(), cell_options()],
        help="train and evaluate one model: the matrix of one",
        description="Train and evaluate one model, as the matrix of one: its record is that of the "
                    "matrix. Its scores are shown; the report on disk stays as it is (`report` "
                    "makes it anew), and the file's test_on and robustness are left to `run`.",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", metavar="KEY=VALUE", default=[], dest="settings",
        help="protocol.FIELD, options.OPTION, dataset.KEY or dims, with a value as in the file, "
             "such as protocol.epochs=3; may be repeated",
    )  # fmt: skip
    parser.set_defaults(command=_train)


def cell_options() -> argparse.ArgumentParser:
    """Return a parent parser with the four axes of a run."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--architecture", required=True, metavar="NAME")
    parser.add_argument("--dataset", required=True, metavar="NAME")
    parser.add_argument("--fold", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    return parser


def _train(options: argparse.Namespace) -> int:
    from benchmark.experiment.layers import one_run, setting
    from benchmark.run import run_plan

    asked = options.architecture, options.dataset
    layers = [one_run(*asked, fold=options.fold, seed=options.seed)]
    layers += [setting(text, *asked) for text in options.settings]
    return run_plan(plan_of(options, layers), options.results, console(), report=False)
