"""``ui``: MLflow's own pages on the results."""

from __future__ import annotations

import argparse
import os

from benchmark.commands import Commands, results_option
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
