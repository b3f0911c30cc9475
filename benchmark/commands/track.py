"""``track``: complete the MLflow store from the records."""

from __future__ import annotations

import argparse

from benchmark.commands import Commands, console, results_option
from benchmark.errors import BenchmarkError
from benchmark.tracking.address import shown_uri


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "track", parents=[results_option()], help="write to MLflow what it lacks of the records"
    )
    parser.set_defaults(command=_track)


def _track(options: argparse.Namespace) -> int:
    if not (options.results / "runs").is_dir():
        raise BenchmarkError(
            f"{options.results / 'runs'}: expected the records of finished runs, found none. "
            "Run `python -m benchmark run` first, or name its folder with --results."
        )
    from benchmark.tracking.models import log_best_models
    from benchmark.tracking.sync import catch_up

    out = console()

    def warn(text: str) -> None:
        out.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)

    with out.status("comparing records and store"):
        report = catch_up(options.results, warn)
    out.print(f"{shown_uri(options.results)}: {report}", markup=False, soft_wrap=True)
    with out.status("logging the best models"):
        models = log_best_models(options.results, warn)
    if models:
        out.print(f"Models: {', '.join(models)}.", markup=False, soft_wrap=True)
    return 0
