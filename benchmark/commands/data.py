"""``data``: the datasets on disk."""

from __future__ import annotations

from benchmark.commands import Commands, data_check


def add(commands: Commands) -> None:
    """Add the group of commands."""
    group = commands.add_parser("data", help="the datasets on disk")
    data_check.add(group.add_subparsers(required=True, metavar="COMMAND"))
