"""``publish``, ``verify`` and ``diff``: comparisons that others can check."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.commands import Commands, console, results_option

if TYPE_CHECKING:
    from rich.table import Table

    from benchmark.publication.difference import Change

MOST_FAULTS = 40


def add(commands: Commands) -> None:
    """Add the parsers of the three commands."""
    parser = commands.add_parser(
        "publish", parents=[results_option()],
        help="put the reported comparison, without any image, where others can check it",
    )  # fmt: skip
    parser.add_argument("name", metavar="NAME", help="folder below results/published")
    parser.add_argument("--into", type=Path, metavar="DIR",
                        help="where publications lie (default: RESULTS/published)")  # fmt: skip
    parser.add_argument("--replace", action="store_true", help="overwrite one of that name")
    parser.add_argument("--note", default="", metavar="TEXT",
                        help="what readers have to know besides, for its README")  # fmt: skip
    parser.set_defaults(command=_publish)

    parser = commands.add_parser(
        "verify", parents=[results_option()],
        help="derive a publication again from its per-case scores; exit 1 on any difference",
    )  # fmt: skip
    parser.add_argument("publication", nargs="+", metavar="PUBLICATION", help="folder or name")
    parser.set_defaults(command=_verify)

    parser = commands.add_parser(
        "diff", parents=[results_option()], help="what changed from one publication to another"
    )
    parser.add_argument("first", metavar="A", help="folder or name of a publication")
    parser.add_argument("second", metavar="B", help="folder or name of another")
    parser.set_defaults(command=_diff)


def _publish(options: argparse.Namespace) -> int:
    from benchmark.publication.publish import publish

    out = console()
    with out.status("publishing"):
        folder = publish(
            options.results, options.name,
            into=options.into, replace=options.replace, note=options.note,
        )  # fmt: skip
    out.print(f"Published: {folder}", soft_wrap=True, markup=False)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from benchmark.publication.layout import locate, read_facts
    from benchmark.publication.verify import verify

    out, wrong = console(), 0
    for name in options.publication:
        folder = locate(name, options.results)
        with out.status(f"verifying {folder}"):
            faults = verify(folder)
        wrong += bool(faults)
        for fault in faults[:MOST_FAULTS]:
            out.print(f"{folder}: {fault}", style="red", soft_wrap=True, markup=False)
        if len(faults) > MOST_FAULTS:
            more = len(faults) - MOST_FAULTS
            out.print(f"{folder}: and {more} more", style="red", markup=False)
        if not faults:
            count = len(read_facts(folder)["runs"])
            out.print(
                f"{folder}: {count} runs; every table and rank follows from the per-case scores.",
                soft_wrap=True, markup=False,
            )  # fmt: skip
    return 1 if wrong else 0


def _diff(options: argparse.Namespace) -> int:
    from benchmark.publication.difference import compare_publications
    from benchmark.publication.layout import locate

    first, second = (locate(name, options.results) for name in (options.first, options.second))
    out = console()
    changes = compare_publications(first, second)
    out.print(_table(changes, first.name, second.name))
    for protocol in dict.fromkeys(change.protocol for change in changes if change.protocol):
        where = dict.fromkeys(
            f"{change.dataset} ({change.source})"
            for change in changes
            if change.protocol == protocol
        )
        out.print(
            f"{', '.join(where)}: the two differ in {', '.join(protocol)}; these are part of the "
            "change.", soft_wrap=True, markup=False,
        )  # fmt: skip
    return 0


def _table(changes: list[Change], first: str, second: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=f"{first} → {second}")
    for heading in ("Dataset", "Source", "Architecture"):
        table.add_column(heading)
    for heading in ("Dice", "Rank", "Change [95 % interval]", "Patients"):
        table.add_column(heading, justify="right")
    for change in changes:
        interval = change.difference
        table.add_row(
            change.dataset,
            change.source,
            change.title,
            " → ".join("—" if value is None else f"{value:.3f}" for value in change.dice),
            " → ".join("—" if value is None else str(value) for value in change.rank),
            "—"
            if interval is None
            else f"{interval.mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]",
            str(change.patients),
        )
    return table
