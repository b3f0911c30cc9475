"""``architectures``: the networks, their size and cost."""

from __future__ import annotations

import argparse
import json
import os

from benchmark.commands import Commands, console


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "architectures", help="the networks: parameters, cost, and the published counts"
    )
    parser.add_argument("name", nargs="?", help="an architecture (default: all)")
    parser.add_argument("--channels", type=int, metavar="C", help="input channels (default: 1)")
    parser.add_argument(
        "--classes", type=int, metavar="K", help="classes with the background (default: 4)"
    )
    parser.add_argument("--dims", type=int, choices=(2, 3), help="dimensions (default: 2)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
        help="an option of the architecture, e.g. filters=16; may be repeated",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="every network of known size")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_architectures)


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
        networks.show(described, console())
    return 1 if any(each.matches is False for each in described) else 0
