"""``export``: the network of a finished run for other programs, checked, with a model card."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmark.commands import Commands, console, results_option
from benchmark.trained import NAMES

# Named here too, since `--help` loads no framework.
FORMATS = ("keras", "savedmodel", "onnx")


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "export", parents=[results_option()],
        help="write a run's network as Keras, SavedModel or ONNX, with a model card",
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", help=NAMES)
    parser.add_argument("--format", required=True, choices=FORMATS, help="what to write")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE",
                        help="NAME.keras, NAME.onnx, or the folder of a SavedModel")  # fmt: skip
    parser.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> int:
    from benchmark.export.export import card_path, export
    from benchmark.trained import find

    out = console()
    trained = find(options.results, options.run)
    if options.run.startswith("best:"):
        out.print(f"{options.run}: {trained.title}", soft_wrap=True, markup=False)
    # On the processor: a GPU multiplies in TF32, and the comparison would show that.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with out.status("exporting"):
        agreement = export(trained, options.format, options.output)
    if trained.spec.source == "phantom":
        out.print("phantom: trained on synthetic hearts, of no use on scans.", style="yellow")
    out.print(
        f"Loaded again and compared on {agreement.images} images: largest differences {agreement}.",
        soft_wrap=True,
    )
    out.print(f"Network: {options.output}", soft_wrap=True, markup=False)
    out.print(f"Card: {card_path(options.output)}", soft_wrap=True, markup=False)
    return 0
