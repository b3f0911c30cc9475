"""``status``: where the runs of another terminal stand."""

from __future__ import annotations

import argparse
import json
from typing import Any

from benchmark.commands import Commands, console, results_option


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "status", parents=[results_option()], help="what runs now, how far it is, what has ended"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_status)


def _status(options: argparse.Namespace) -> int:
    from benchmark.execution.status import read_status

    found = read_status(options.results)
    if options.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))  # noqa: T201
        return 0
    out = console()
    if not found:
        out.print(f"Nothing runs in {options.results}.", markup=False)
    for status in found:
        for line in _lines(status):
            out.print(line, markup=False, soft_wrap=True)
    return 0


def _lines(status: dict[str, Any]) -> list[str]:
    from benchmark.execution.progress import clock

    ok = sum(run["status"] == "ok" for run in status["ended"])
    failed = len(status["ended"]) - ok
    left = "" if status["left_s"] is None else f", about {clock(status['left_s'])} left"
    where = f"process {status['pid']} on {status['host']}"
    if not status["alive"]:
        where += " has died; the same command goes on from here"
        left = ""
    lines = [
        f"{status['experiment']} ({status['profile']}): {ok} of {status['total']} ok, "
        f"{failed} failed{left}; {where}"
    ]
    verb = "running" if status["alive"] else "was running"
    for run in status["running"]:
        detail = run["stage"]
        if run["loss"] is not None:
            detail = (
                f"epoch {run['epoch']}, {run['share']:.0%} of its budget  loss {run['loss']:.3f}  "
                f"Dice {run['validation_dice']:.3f}"
            )
        memory = f"  GPU {run['device_mib']:.0f} MiB" if run["device_mib"] is not None else ""
        lines.append(
            f"  {verb}  {run['name']} ({run['source']})  {detail}{memory}  {clock(run['seconds'])}"
        )
    for run in status["ended"]:
        what = f"Dice {run['dice']:.3f}" if run["status"] == "ok" else run["error"]
        lines.append(f"  {run['status']:7}  {run['name']} ({run['source']})  {what}")
    return lines
