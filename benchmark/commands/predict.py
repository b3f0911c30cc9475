"""``predict``: masks of new images by a finished run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.commands import Commands, console, results_option
from benchmark.trained import NAMES

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.prediction.task import Outcome

_DESCRIPTION = """\
Predict images with a finished run and write, in the folder OUT:

  <image>.nii.gz      mask on the image's own grid, with its affine and header codes
  overlays/           the outlines on the image, as PNG
  curves/             of a sequence: size of each structure per frame (CSV, PNG)
  probabilities/      with --probabilities: one float32 volume per class, background first
  measurements.csv    what `measure` says of the masks; of a sequence, of its frames ED and ES
  predict.json        run, options, versions, and for each file digest, orientation and ED/ES

The preprocessing is the run's own. Images may lie in any orientation, oblique too: they are turned
to that of the training files and the masks are turned back. Sequences are predicted frame by frame.
"""
_EPILOG = """\
All images are read and checked before anything is predicted. If one is bad, all are named, nothing
is written and the exit code is 2; with --skip-bad the bad ones are left out and the exit code is 1,
as it is when a file is lost on the way. The mask of an image takes its place after all else that
belongs to it. OUT may hold predictions of the same RUN with the same options, which stay; what is
measured of a patient comes from the images of one call.
"""


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "predict", parents=[results_option()], help="masks of new images by a finished run",
        description=_DESCRIPTION, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", help=NAMES)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="NIfTI file, folder "
                        "of them, or the dataset's tree, of which the cases are taken")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT",
                        help="folder for what is written")  # fmt: skip
    parser.add_argument("--probabilities", action="store_true",
                        help="write class probabilities too (large)")  # fmt: skip
    parser.add_argument("--tta", action="store_true", help="average over the image and its mirror "
                        "images in the plane; a note tells if training had no flips, without which "
                        "it is of doubtful use")  # fmt: skip
    parser.add_argument("--ensemble", choices=("folds", "seeds"), help="average over all finished "
                        "runs that differ from RUN in their fold, or seed, alone")  # fmt: skip
    parser.add_argument("--test-only", action="store_true", help="of the dataset's tree, only the "
                        "patients that RUN was tested on")  # fmt: skip
    parser.add_argument("--skip-bad", action="store_true",
                        help="leave images out that cannot be used")  # fmt: skip
    parser.set_defaults(command=_predict)


def _predict(options: argparse.Namespace) -> int:
    # The framework's start-up messages would bury what is said here.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from benchmark.prediction.run import predict
    from benchmark.prediction.task import Wish
    from benchmark.trained import find

    wish = Wish(
        mirror=options.tta, ensemble=options.ensemble, probabilities=options.probabilities,
        skip_bad=options.skip_bad, test_only=options.test_only,
    )  # fmt: skip
    out = console()
    trained = find(options.results, options.run)
    if options.run.startswith("best:"):
        out.print(f"{options.run}: {trained.title}", soft_wrap=True, markup=False)
    with out.status("reading") as status:
        outcome = predict(
            trained, options.images, options.output, wish, results=options.results,
            progress=lambda what, done, total: status.update(f"{what}: {done} of {total} images"),
        )  # fmt: skip
    _show(outcome, options.output, out)
    return 1 if outcome.failures else 0


def _show(outcome: Outcome, folder: Path, out: Console) -> None:
    number = len(outcome.images)
    out.print(f"{number} {'image' if number == 1 else 'images'} predicted: {folder}",
              soft_wrap=True, markup=False)  # fmt: skip
    fractions = [row for row in outcome.rows if row["name"].endswith("_ef")]
    told = {(row["patient"], row["name"]) for row in fractions if not row["reason"]}
    for row in fractions:
        # Why another method cannot measure what one has measured is in the file.
        if not row["reason"] or (row["patient"], row["name"]) not in told:
            value = f"not measurable: {row['reason']}" if row["reason"] else f"{row['value']:.1f} %"
            out.print(f"  {row['patient']}: {row['name']} {value} ({row['method']})",
                      soft_wrap=True, markup=False)  # fmt: skip
    for text in outcome.notes:
        out.print(f"note: {text}", style="yellow", soft_wrap=True, markup=False)
    for text in outcome.failures.values():
        out.print(f"not predicted: {text}", style="red", soft_wrap=True, markup=False)
