"""The command line: parses, calls, and turns user errors into one sentence and an exit code.

Exit codes: 0 everything is well; 1 some runs failed (the report is written all the same); 2 the
request cannot be carried out as given; 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark import __version__
from benchmark.commands import (
    data,
    evaluate,
    experiment,
    export,
    generalise,
    measure,
    networks,
    predict,
    publish,
    status,
    track,
    train,
    tune,
    ui,
)
from benchmark.errors import BenchmarkError
from benchmark.tracking.address import ENVIRONMENT

# In the order in which --help lists them.
COMMANDS = (
    experiment,
    train,
    tune,
    status,
    publish,
    evaluate,
    predict,
    measure,
    generalise,
    export,
    data,
    networks,
    track,
    ui,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
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
    for module in COMMANDS:
        module.add(commands)
    return parser


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
