"""``evaluate``: masks of any tool, or a finished run, scored by the rules of the benchmark."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.commands import Commands, console, results_option
from benchmark.errors import BenchmarkError
from benchmark.trained import NAMES

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.evaluation.surface import Definition

# Options that say how masks are scored. A run is scored as its own protocol says.
_OF_MASKS = {
    "output": "-o", "name": "--name", "dataset": "--dataset", "classes": "--classes",
    "definition": "--definition", "tolerance_mm": "--tolerance-mm",
    "skip_missing": "--skip-missing",
}  # fmt: skip


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "evaluate", parents=[results_option()],
        help="score folders of masks made by any tool (nnU-Net, MONAI), or a finished run again",
    )  # fmt: skip
    _add_run(parser)
    parser.add_argument("truth", type=Path, metavar="TRUTH", nargs="?",
                        help="folder of true masks, the dataset's tree, or one mask")  # fmt: skip
    parser.add_argument("predictions", type=Path, metavar="PREDICTIONS", nargs="?",
                        help="folder of masks named after their cases, or one mask")  # fmt: skip
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dataset", metavar="NAME", help="gives classes and what is known of cases")
    what.add_argument(
        "--classes", metavar="NAME=LABEL,...", type=_classes,
        help="names of the labels without a dataset (default: label_1, label_2, ...)",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write a row per case "
                        "and class as CSV")  # fmt: skip
    parser.add_argument("--name", help="put it on the leaderboard, as an external entry")
    parser.add_argument(
        "--definition",
        choices=("metrics_reloaded", "pooled", "area_weighted"),
        help="definition of surface distances (default: metrics_reloaded)",
    )  # fmt: skip
    parser.add_argument(
        "--tolerance-mm", type=_tolerance, metavar="MM",
        help="tolerance of NSD (default: 2)",
    )  # fmt: skip
    parser.add_argument("--skip-missing", action="store_true", help="leave cases without a "
                        "prediction out, instead of counting them as missed")  # fmt: skip
    parser.set_defaults(command=_evaluate)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--run", metavar="RUN",
        help="instead of masks: score this run's weights again on its test cases and compare with "
        f"its record; {NAMES}",
    )  # fmt: skip
    parser.add_argument(
        "--data-root", type=Path, metavar="DIR",
        help="with --run: folder that holds the datasets (default: data)",
    )  # fmt: skip


def _classes(text: str) -> dict[str, int]:
    named: dict[str, int] = {}
    for part in text.split(","):
        name, _, label = part.strip().partition("=")
        if not name or not label.isdecimal() or not 1 <= int(label) <= 255:
            raise argparse.ArgumentTypeError(
                f"expected name=label pairs with labels from 1 to 255, such as "
                f"left_ventricle=3,myocardium=2; received {part.strip()!r}"
            )
        if name in named or int(label) in named.values():
            raise argparse.ArgumentTypeError(f"{part.strip()!r} repeats a name or a label")
        named[name] = int(label)
    return named


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a positive number of mm, received {text!r}")
    return value


def _evaluate(options: argparse.Namespace) -> int:
    if options.run is not None:
        return _rescore(options)
    if options.truth is None or options.predictions is None:
        raise BenchmarkError(
            "evaluate: expected TRUTH and PREDICTIONS, the masks to score, or --run with a "
            "finished run."
        )
    if options.data_root is not None:
        raise BenchmarkError(
            f"--data-root {options.data_root}: expected with --run only; masks are scored against "
            f"{options.truth}. Leave it out."
        )
    definition: Definition = options.definition or "metrics_reloaded"
    tolerance_mm = options.tolerance_mm or 2.0
    import datasets
    from benchmark.evaluation import external
    from benchmark.evaluation.folders import COLUMNS, score_folders
    from benchmark.evaluation.show import show_scores
    from benchmark.records import write_table

    info = datasets.info(options.dataset) if options.dataset else None
    found = None
    if options.name is not None:
        external.check_name(options.name)
        if info is None:
            raise BenchmarkError(
                f"--name {options.name}: expected --dataset too: the leaderboard has one table "
                f"per dataset ({', '.join(datasets.NAMES)})."
            )
        found = external.locate(info, options.truth)
    if options.output is not None and options.output.is_dir():
        raise BenchmarkError(f"-o {options.output}: expected a file to write, found a folder.")
    out = console()
    with out.status("scoring") as status:
        scores = score_folders(
            options.truth, options.predictions,
            info=info, classes=options.classes, definition=definition,
            tolerance_mm=tolerance_mm, skip_missing=options.skip_missing,
            progress=lambda done, total: status.update(f"scoring: {done} of {total} cases"),
        )  # fmt: skip
    if options.output is not None:
        write_table(options.output, scores.rows, COLUMNS)
    show_scores(
        scores, out,
        definition=definition, tolerance_mm=tolerance_mm,
        skipped=options.skip_missing,
    )  # fmt: skip
    if options.output is not None:
        out.print(f"Rows: {options.output}", soft_wrap=True, markup=False)
    if info is not None and found is not None:
        record = external.write_entry(
            options.results, options.name, info, found, scores,
            definition=definition, tolerance_mm=tolerance_mm,
        )  # fmt: skip
        _say_where(record, options.results, out)
    return 0


def _rescore(options: argparse.Namespace) -> int:
    if options.truth is not None:
        raise BenchmarkError(
            f"--run {options.run}: expected no masks beside it, received {options.truth}."
        )
    for name, written in _OF_MASKS.items():
        if getattr(options, name) not in (None, False):
            raise BenchmarkError(
                f"{written}: expected with masks only; --run {options.run} is scored as its own "
                "protocol says. Leave it out."
            )
    from benchmark.rescoring import TOLERANCE, rescore
    from benchmark.trained import find

    out = console()
    trained = find(options.results, options.run)
    with out.status("preparing") as status:
        found = rescore(
            trained, options.results, options.data_root,
            progress=lambda done, total: status.update(f"scoring: {done} of {total} cases"),
        )  # fmt: skip
    before, now = found.dice
    name = max(found.differences, key=lambda name: found.differences[name])
    verdict = "as recorded" if found.agrees else f"NOT as recorded (more than {TOLERANCE:g})"
    out.print(
        f"{trained.spec.name} ({trained.spec.source}, {trained.spec.key}): {found.cases} test "
        f"cases, mean Dice {before:.6f} recorded, {now:.6f} now; largest difference of all scores "
        f"{found.largest:.3g}{f' ({name})' if found.largest else ''}: {verdict}.",
        style=None if found.agrees else "red", markup=False, soft_wrap=True,
    )  # fmt: skip
    return 0 if found.agrees else 1


def _say_where(record: dict[str, object], results: Path, out: Console) -> None:
    from benchmark.evaluation.show import plural
    from benchmark.records import external_folder, is_trial, read_records, stands_beside
    from benchmark.reporting import warn

    spec = record["spec"]
    assert isinstance(spec, dict)
    folder = external_folder(results, spec["architecture"], spec["dataset"])
    runs = read_records(results, on_damage=lambda text: warn(out, text))
    beside = [run for run in runs if stands_beside(record, run) and not is_trial(run)]
    protocols = sorted({str(run["protocol_hash"]) for run in beside})
    where = (
        f"The next report shows it beside {plural(len(beside), 'run')} "
        f"(protocol {', '.join(protocols)})."
        if beside
        else "No run in the results was scored on the same files by the same definitions yet; the "
        "report will show it beside the first that is."
    )
    out.print(f"Entry: {folder}. {where}", soft_wrap=True, markup=False)
