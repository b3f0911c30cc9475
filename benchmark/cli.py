"""The command line: parses, calls, and turns user errors into one sentence and an exit code.

Exit codes: 0 everything is well; 1 some runs failed (the report is written all the same); 2 the
request cannot be carried out as given; 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import __version__
from benchmark.errors import BenchmarkError

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.experiment.plan import Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    # Nothing is sent anywhere, and MLflow does not print over the progress display.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    try:
        _check_own_packages()
        from architectures.checks import ArchitectureError
        from datasets.case import DatasetError
    except BenchmarkError as error:
        return _refuse(error)
    try:
        code: int = options.command(options)
    except (BenchmarkError, DatasetError, ArchitectureError) as error:
        return _refuse(error)
    except OSError as error:
        # What the file system refuses (no permission, disk full) is for the user to mend.
        if error.filename is None:
            raise
        return _refuse(BenchmarkError(f"{error.filename}: {error.strerror}."))
    except BrokenPipeError:
        # The reader of our output (head, less) has left: not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return code


def _refuse(error: Exception) -> int:
    print(f"error: {error}", file=sys.stderr)  # noqa: T201
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark",
        description="Train segmentation networks on heart data and compare them.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    results = argparse.ArgumentParser(add_help=False)
    results.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR",
        help="where records, report and MLflow store lie (default: results)",
    )  # fmt: skip
    experiment = argparse.ArgumentParser(add_help=False, parents=[results])
    experiment.add_argument("file", type=Path, nargs="?", default=Path("experiments.yaml"),
                            help="the experiment file (default: experiments.yaml)")  # fmt: skip
    experiment.add_argument(
        "--data-root", type=Path, metavar="DIR",
        help="folder that holds the datasets (default: data); without real files phantoms serve",
    )  # fmt: skip
    experiment.add_argument(
        "--profile", choices=("smoke", "quick", "full"),
        help="size of the experiment (default: full with a GPU and real files, else quick)",
    )  # fmt: skip
    experiment.add_argument(
        "--data", choices=("auto", "real", "phantom"), help="overrides 'data:' of the file"
    )

    run = commands.add_parser(
        "run", parents=[experiment], help="train, evaluate, compare: the whole matrix"
    )
    run.set_defaults(command=_run)
    plan = commands.add_parser(
        "plan", parents=[experiment], help="what would run, what is done, and why"
    )
    plan.add_argument("--json", action="store_true", help="print the plan as JSON")
    plan.set_defaults(command=_plan)
    report = commands.add_parser(
        "report", parents=[experiment], help="write tables and figures from the records"
    )
    report.set_defaults(command=_report)
    networks = commands.add_parser(
        "architectures", help="the networks: parameters, cost, and the published counts"
    )
    networks.add_argument("name", nargs="?", help="an architecture (default: all)")
    networks.add_argument("--channels", type=int, metavar="C", help="input channels (default: 1)")
    networks.add_argument(
        "--classes", type=int, metavar="K", help="classes with the background (default: 4)"
    )
    networks.add_argument("--dims", type=int, choices=(2, 3), help="dimensions (default: 2)")
    networks.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
        help="an option of the architecture, e.g. filters=16; may be repeated",
    )  # fmt: skip
    networks.add_argument("--all", action="store_true", help="every network of known size")
    networks.add_argument("--json", action="store_true", help="print JSON")
    networks.set_defaults(command=_architectures)
    ui = commands.add_parser("ui", parents=[results], help="open the MLflow UI on the results")
    ui.add_argument("--host", default="127.0.0.1", help="address to listen on")
    ui.add_argument("--port", type=int, default=5000, help="port to listen on")
    ui.set_defaults(command=_ui)
    return parser


def _make_plan(options: argparse.Namespace) -> Plan:
    from benchmark.experiment.plan import make_plan

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
    )


def _plan(options: argparse.Namespace) -> int:
    plan = _make_plan(options)
    if options.json:
        print(json.dumps(plan.to_dict(), indent=1, ensure_ascii=False))  # noqa: T201
    else:
        from benchmark.experiment.show import show_plan

        show_plan(plan, _console())
    return 0


def _run(options: argparse.Namespace) -> int:
    from benchmark.run import run_plan

    return run_plan(_make_plan(options), options.results, _console())


def _report(options: argparse.Namespace) -> int:
    from benchmark.run import report_plan

    return report_plan(_make_plan(options), options.results, _console())


def _architectures(options: argparse.Namespace) -> int:
    from benchmark import networks

    # Only shapes are asked for: the framework's start-up messages would bury the table.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    asked = networks.requests(
        options.name,
        channels=options.channels,
        classes=options.classes,
        dims=options.dims,
        options=networks.parse_settings(options.settings),
        everything=options.all,
    )
    described = [networks.describe(request) for request in asked]
    if options.json:
        plain = [networks.to_dict(each) for each in described]
        one = options.name and not options.all
        print(json.dumps(plain[0] if one else plain, indent=1))  # noqa: T201
    else:
        networks.show(described, _console())
    return 1 if any(each.matches is False for each in described) else 0


def _ui(options: argparse.Namespace) -> int:
    import subprocess

    from benchmark.tracking import ui_command

    store = options.results / "mlflow.db"
    if "MLFLOW_TRACKING_URI" not in os.environ and not store.exists():
        raise BenchmarkError(
            f"{store}: expected the store of finished runs, found none. "
            "Run `python -m benchmark run` first, or name its folder with --results."
        )
    command = ui_command(options.results, ["--host", options.host, "--port", str(options.port)])
    return subprocess.run(command, check=False).returncode


def _console() -> Console:
    from rich.console import Console

    # Written to a file or a pipe there is no width to fit, only one to read well.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def _check_own_packages() -> None:
    """Refuse to go on when Python found another package called ``datasets`` before ours."""
    home = Path(__file__).resolve().parent.parent
    spec = importlib.util.find_spec("datasets")
    found = Path(spec.origin if spec and spec.origin else "nothing").resolve().parent
    if found != home / "datasets":
        raise BenchmarkError(
            f"expected the package 'datasets' in {home}, Python found {found}. Start from the "
            f"project's root, or put it first on PYTHONPATH."
        )
