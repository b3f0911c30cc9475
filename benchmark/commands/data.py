"""``data``: fetch the datasets, list, verify and draw what is there, write phantoms."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.commands import Commands, console, data_check

if TYPE_CHECKING:
    from rich.console import Console

    from datasets.fetch import Report


def add(commands: Commands) -> None:
    """Add the group and the parsers of its commands."""
    parser = commands.add_parser("data", help="fetch, list, verify, draw and imitate the datasets")
    group = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_fetch(group)
    _add_list(group)
    data_check.add(group)
    _add_phantom(group)


def _add_fetch(group: Commands) -> None:
    parser = group.add_parser("fetch", help="download a dataset from its owners")
    parser.add_argument("name", help="a dataset: decathlon, acdc or camus")
    parser.add_argument(
        "--to", type=Path, default=Path("data"), metavar="ROOT",
        help="folder that holds the datasets (default: data)",
    )  # fmt: skip
    parser.add_argument(
        "--from", dest="base", metavar="URL",
        help="a mirror with the same files: the folder of the archive, or the API of a Girder",
    )  # fmt: skip
    parser.set_defaults(command=_fetch)


def _add_list(group: Commands) -> None:
    parser = group.add_parser("list", help="which datasets are there, and how to get the others")
    parser.add_argument(
        "--data-root", type=Path, default=Path("data"), metavar="ROOT",
        help="folder that holds the datasets (default: data)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_list)


def _add_phantom(group: Commands) -> None:
    parser = group.add_parser("phantom", help="write synthetic hearts in the datasets' layouts")
    parser.add_argument("names", nargs="*", metavar="name", help="datasets (default: all)")
    parser.add_argument(
        "--to", type=Path, required=True, metavar="ROOT",
        help="folder that the releases are written to",
    )  # fmt: skip
    parser.add_argument(
        "--patients", type=int, default=5, metavar="N", help="patients of each (default: 5)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="the same seed gives the same files"
    )
    parser.add_argument(
        "--full", action="store_true", help="cine loops, test patients and half sequences, too"
    )
    parser.set_defaults(command=_phantom)


def _fetch(options: argparse.Namespace) -> int:
    import datasets
    from benchmark.inventory import examine
    from datasets.fetch import fetch

    out = console()
    info = datasets.info(options.name)
    _say(out, f"{info.title}\nlicence: {info.licence}\ncite: {info.citation}")
    with _progress(out) as report:
        folder = fetch(options.name, options.to, base=options.base, report=report)
    _say(out, examine(options.name, folder).sentence)
    return 0


def _list(options: argparse.Namespace) -> int:
    import datasets
    from benchmark import inventory

    rows = [inventory.examine(name, options.data_root) for name in datasets.NAMES]
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False))  # noqa: T201
    else:
        inventory.show(rows, options.data_root, console())
    return 1 if any(row.fault for row in rows) else 0


def _phantom(options: argparse.Namespace) -> int:
    import datasets
    from benchmark.inventory import examine
    from datasets.phantom import folder_name

    out = console()
    names = options.names or datasets.NAMES
    for name in names:
        datasets.module(name)  # a misspelt name is refused before anything is written
    for name in names:
        with out.status(f"drawing {options.patients} patients for {name}"):
            datasets.write_phantom(
                name, options.to, patients=options.patients, seed=options.seed, full=options.full
            )
        _say(out, examine(name, options.to / folder_name(name)).sentence)
    return 0


def _say(out: Console, text: str) -> None:
    """Print as it is: a path may hold what rich takes for markup."""
    out.print(text, markup=False, soft_wrap=True)


@contextmanager
def _progress(out: Console) -> Iterator[Report]:
    """Show how far a fetch is; in a file or a pipe a line for each thing begun."""
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    amount = TextColumn("{task.fields[amount]}")
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=out, disable=not sys.stdout.isatty()) as bars:

        def report(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total, amount="")
                if bars.disable:
                    out.print(what)
            in_words = str(done) if total is None else f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
            bars.update(tasks[what], completed=done, total=total, amount=in_words)

        yield report
