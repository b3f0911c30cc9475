"""One file per command, or per group of them.

Each has ``add(commands)``, which adds its parsers; whatever takes time to import is imported by the
functions that carry a command out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console

# What `parser.add_subparsers` returns; argparse gives it no public name.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def results_option() -> argparse.ArgumentParser:
    """Return a parent parser with ``--results``."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR",
        help="where records, report and MLflow store lie (default: results)",
    )  # fmt: skip
    return parser


def console() -> Console:
    """Return the console of a command."""
    from rich.console import Console

    # Written to a file or a pipe there is no width to fit, only one to read well.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)
