"""``ui``: MLflow's own pages on the results."""

from __future__ import annotations

import argparse

from benchmark.commands import Commands, console, results_option
from benchmark.errors import BenchmarkError


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "ui", parents=[results_option()], help="open the MLflow UI on the results"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on")
    parser.set_defaults(command=_ui)


def _ui(options: argparse.Namespace) -> int:
    import sqlite3
    import subprocess

    from benchmark.tracking.address import fault, own_store, ui_command
    from benchmark.tracking.sqlite import pages, relocate

    if store := own_store(options.results):
        if not store.exists():
            raise BenchmarkError(
                f"{store}: expected the store of finished runs, found none. "
                "Run `python -m benchmark run` first, or name its folder with --results."
            )
        try:
            relocate(store)
            found = pages(store, options.host, options.port)
        except sqlite3.Error as error:
            raise BenchmarkError(f"{fault(options.results, error)}.") from None
        for page in found:
            console().print(f"Runs, best first: {page}", markup=False, soft_wrap=True)
    command = ui_command(options.results, ["--host", options.host, "--port", str(options.port)])
    return subprocess.run(command, check=False).returncode
