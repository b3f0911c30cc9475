"""``run``, ``plan`` and ``report``: what an experiment file asks for."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.commands import Commands, console, results_option
from benchmark.errors import BenchmarkError

if TYPE_CHECKING:
    from benchmark.execution.executor import Executor
    from benchmark.experiment.plan import Plan
    from benchmark.experiment.yaml_tree import Layer


def add(commands: Commands) -> None:
    """Add the parsers of the three commands."""
    asked, retry = _matrix_options(), retry_option()
    run = commands.add_parser(
        "run", parents=[asked, retry], help="train, evaluate, compare: the whole matrix"
    )
    run.add_argument(
        "--jobs", type=int, metavar="N",
        help="runs that go on at once (default: one for each GPU, one without); on a CPU they "
        "share its cores and their times are not those of a run alone",
    )  # fmt: skip
    run.add_argument(
        "--executor", choices=("local", "ray"), default="local",
        help="where runs are carried out: on this machine (default), or on a Ray cluster",
    )  # fmt: skip
    run.add_argument(
        "--address", metavar="HOST:PORT",
        help="the head of the Ray cluster (default: the one this machine belongs to)",
    )  # fmt: skip
    run.add_argument(
        "--cpus", type=int, metavar="N",
        help="processors that a run asks Ray for (default: a GPU's part of its node, or a node)",
    )  # fmt: skip
    run.add_argument(
        "--gpus", type=int, metavar="N",
        help="GPUs that a run asks Ray for (default: 1 where the cluster has any)",
    )  # fmt: skip
    run.set_defaults(command=_run)
    plan = commands.add_parser(
        "plan", parents=[asked, retry], help="what would run, what is done, and why"
    )
    plan.add_argument("--json", action="store_true", help="print the plan as JSON")
    plan.set_defaults(command=_plan)
    report = commands.add_parser(
        "report", parents=[asked], help="write tables and figures from the records"
    )
    report.add_argument(
        "--mix-protocols", action="store_true",
        help="put every run on the plan's datasets that results hold, whatever its protocol, in "
             "one table per dataset, marked and without ranks (written to report-mixed)",
    )  # fmt: skip
    report.add_argument(
        "--width", choices=("one", "two", "both"), default="two",
        help="figures for one column of a page (3.5 in, files end in _1col), for two (7.2 in, the "
             "default), or both; what needs the room of two keeps it",
    )  # fmt: skip
    report.add_argument(
        "--columns", metavar="NAME[,NAME...]", default="",
        help="columns of the leaderboard in Markdown and LaTeX, in this order, such as "
             "architecture,rank,dice,nsd,parameters (default: all; the CSV file always has all)",
    )  # fmt: skip
    report.add_argument(
        "--precision", type=int, metavar="N", default=3,
        help="decimals of Dice, IoU and NSD in these two tables, 2 to 5 (default: 3); ranks are "
             "decided on 3 whatever is printed",
    )  # fmt: skip
    report.set_defaults(command=_report)


def experiment_options() -> argparse.ArgumentParser:
    """Return a parent parser with the file, the data and the results."""
    parser = argparse.ArgumentParser(add_help=False, parents=[results_option()])
    parser.add_argument("file", type=Path, nargs="?", default=Path("experiments.yaml"),
                        help="the experiment file (default: experiments.yaml)")  # fmt: skip
    parser.add_argument(
        "--data-root", type=Path, metavar="DIR",
        help="folder that holds the datasets (default: data); without real files phantoms serve",
    )  # fmt: skip
    parser.add_argument(
        "--profile", choices=("smoke", "quick", "cpu", "full"),
        help="size of the experiment (default: full with a GPU and real files, else quick)",
    )  # fmt: skip
    parser.add_argument(
        "--data", choices=("auto", "real", "phantom"), help="overrides 'data:' of the file"
    )
    return parser


def _matrix_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, parents=[experiment_options()])
    parser.add_argument(
        "--override", type=Path, action="append", metavar="FILE", default=[],
        help="laid over the experiment file, key by key, such as what `tune` has found; may be "
             "repeated",
    )  # fmt: skip
    parser.add_argument(
        "--only", action="append", metavar="AXIS=VALUE[|VALUE][,...]", default=[],
        help="part of the matrix, such as architecture=unet|vnet,fold=0; may be repeated",
    )  # fmt: skip
    return parser


def retry_option() -> argparse.ArgumentParser:
    """Return a parent parser with ``--retry``."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--retry", action="append", metavar="STATUS[,...]",
        help="which failed runs to run again: oom, diverged, timeout, error, killed, skipped; "
             "infra (the default) is all but oom and diverged; all; none",
    )  # fmt: skip
    return parser


def _make_plan(options: argparse.Namespace) -> Plan:
    from benchmark.experiment.layers import override

    return plan_of(options, [override(path) for path in options.override])


def plan_of(options: argparse.Namespace, layers: Sequence[Layer]) -> Plan:
    """Return the plan of the file with something laid over it."""
    from benchmark.experiment.plan import make_plan
    from benchmark.experiment.selection import parse_only, parse_retry

    if options.results.exists() and not options.results.is_dir():
        raise BenchmarkError(
            f"--results {options.results}: expected a folder, found a file. Name another place."
        )
    return make_plan(
        options.file,
        results=options.results,
        data_root=options.data_root,
        profile=options.profile,
        mode=options.data,
        only=parse_only(getattr(options, "only", [])),
        retry=parse_retry(getattr(options, "retry", None) or ["infra"]),
        layers=layers,
    )


def _plan(options: argparse.Namespace) -> int:
    plan = _make_plan(options)
    if options.json:
        print(json.dumps(plan.to_dict(), indent=1, ensure_ascii=False))  # noqa: T201
    else:
        from benchmark.experiment.show import show_plan
        from benchmark.generalisation.agenda import agenda, summary

        show_plan(plan, console(), summary(agenda(plan, options.results)))
    return 0


def _run(options: argparse.Namespace) -> int:
    from benchmark.run import run_plan

    plan = _make_plan(options)
    with _executor(options) as executor:
        return run_plan(plan, options.results, console(), jobs=options.jobs, executor=executor)


@contextmanager
def _executor(options: argparse.Namespace) -> Iterator[Executor | None]:
    if options.executor == "ray":
        from benchmark.execution.ray import connected

        with connected(options.address, cpus=options.cpus, gpus=options.gpus) as executor:
            yield executor
        return
    for name in ("address", "cpus", "gpus"):
        if getattr(options, name) is not None:
            raise BenchmarkError(f"--{name}: expected with --executor ray only. Leave it out.")
    yield None


def _report(options: argparse.Namespace) -> int:
    from benchmark.report.columns import Printing
    from benchmark.reporting import report_plan

    columns = tuple(name.strip() for name in options.columns.split(",") if name.strip())
    printing = Printing(columns, options.precision)
    return report_plan(
        _make_plan(options),
        options.results,
        console(),
        mix_protocols=options.mix_protocols,
        width=options.width,
        printing=printing,
    )
