"""``measure``: volumes, ejection fraction, mass, wall and shape of masks, whoever made them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmark.commands import Commands, console
from benchmark.errors import BenchmarkError


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "measure", help="measure masks: volumes, EF, mass, wall thickness, diameters"
    )
    parser.add_argument("masks", nargs="*", type=Path, metavar="MASK",
                        help="a mask, a folder of masks, or the dataset's tree (its truth); names "
                        "tell patient, view and instant as the dataset's do")  # fmt: skip
    parser.add_argument("--dataset", required=True, metavar="NAME", help="whose labels they have")
    for phase, when in (("ed", "diastole"), ("es", "systole")):
        parser.add_argument(
            f"--{phase}", action="append", type=Path, default=[], metavar="FILE",
            help=f"the mask of one patient at end {when}; once per view of echo",
        )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write all as JSON; - prints that alone")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.csv",
                        help="write a row per patient and quantity as CSV")  # fmt: skip
    parser.set_defaults(command=_measure)


def _measure(options: argparse.Namespace) -> int:
    import datasets
    from benchmark.evaluation.patients import (
        MEASUREMENT_COLUMNS,
        find_masks,
        measure_files,
        two_instants,
    )
    from benchmark.evaluation.show_measurements import show, to_plain
    from benchmark.records import to_json, write_json, write_table

    info = datasets.info(options.dataset)
    instants = bool(options.ed or options.es)
    if instants == bool(options.masks):
        raise BenchmarkError(
            "measure: expected masks, or --ed and --es with the masks of one patient; received "
            f"{'both' if instants else 'neither'}."
        )
    to_file = options.json is not None and options.json != "-"
    targets = [Path(options.json)] if to_file else []
    for path in [*targets, *([options.output] if options.output else [])]:
        if path.is_dir():
            raise BenchmarkError(f"{path}: expected a file to write, found a folder.")
    out = console()
    selection = (
        two_instants(options.ed, options.es, info) if instants else find_masks(options.masks, info)
    )
    if options.json == "-":
        measured = measure_files(selection, info)
    else:
        with out.status("measuring") as status:
            measured = measure_files(
                selection, info,
                progress=lambda done, total: status.update(f"measuring: {done} of {total}"),
            )  # fmt: skip
    if options.output is not None:
        write_table(options.output, measured.rows, MEASUREMENT_COLUMNS)
    if to_file:
        write_json(targets[0], to_plain(measured, info))
    if options.json == "-":
        sys.stdout.write(to_json(to_plain(measured, info)))
        return 0
    show(measured, info, out)
    for path in [*([options.output] if options.output else []), *targets]:
        out.print(f"Written: {path}", soft_wrap=True, markup=False)
    return 0
