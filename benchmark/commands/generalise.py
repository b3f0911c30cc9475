"""``test-on`` and ``robustness``: finished runs elsewhere, and on corrupted images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.commands import Commands, console, results_option
from benchmark.errors import BenchmarkError
from benchmark.trained import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmark.generalisation.tasks import Task
    from benchmark.trained import Trained


def add(commands: Commands) -> None:
    """Add the parsers of the two commands."""
    shared = _shared_options()
    test = commands.add_parser(
        "test-on", parents=[shared], help="test finished runs on another dataset or release"
    )
    test.add_argument(
        "--dataset", required=True, metavar="NAME", help="whose layout the files have"
    )
    test.add_argument(
        "--site", metavar="NAME",
        help="what the files are called in tables (default: the dataset)",
    )  # fmt: skip
    test.add_argument(
        "--classes", metavar="MODEL=FILES,...", type=_classes,
        help="class of the model = class of the files (default: those of the same name)",
    )  # fmt: skip
    test.set_defaults(command=_test_on)
    robustness = commands.add_parser(
        "robustness", parents=[shared], help="test finished runs on corrupted test images"
    )
    robustness.add_argument("--corruptions", metavar="NAME,...", help="kinds (default: all)")
    robustness.add_argument(
        "--severities", metavar="N,...", default="1,3,5", help="from 1 to 5 (default: 1,3,5)"
    )
    robustness.add_argument(
        "--cases", type=int, default=8, metavar="N", help="test cases per run (default: 8)"
    )
    robustness.set_defaults(command=_robustness)


def _shared_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, parents=[results_option()])
    parser.add_argument("runs", nargs="+", metavar="RUN", help=NAMES)
    parser.add_argument(
        "--data-root", type=Path, metavar="DIR", help="folder that holds the files (default: data)"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="runs that are tested at once")
    return parser


def _classes(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in text.split(","):
        ours, _, theirs = part.strip().partition("=")
        if not ours or not theirs or ours in pairs:
            raise argparse.ArgumentTypeError(
                "expected pairs such as left_ventricle=left_ventricle, every class of the model "
                f"once; received {part.strip()!r}"
            )
        pairs[ours] = theirs
    return pairs


def _test_on(options: argparse.Namespace) -> int:
    import datasets
    from benchmark.experiment.follow_section import map_fault, name_fault
    from benchmark.generalisation.sites import cross_test, source_at

    datasets.module(options.dataset)  # a name that is none is refused
    root = options.data_root or Path("data")
    source = source_at(options.dataset, root, place="test-on")
    site = options.site or options.dataset
    # The dataset's own name is that of the test that a plan asks for.
    if (site != options.dataset or options.classes) and (fault := name_fault(site)):
        raise BenchmarkError(f"--site {site}: {fault}")

    def task(trained: Trained) -> Task:
        dataset = trained.spec.dataset
        if options.classes and (fault := map_fault(options.classes, dataset, options.dataset)):
            raise BenchmarkError(f"--classes: {fault[1]}")
        asked = cross_test(site, options.dataset, source, dataset, options.classes)
        if site == options.dataset:
            _check_same(trained, asked)
        return asked

    return _follow(options, task)


def _check_same(trained: Trained, task: Task) -> None:
    """Refuse to replace the test that a plan asked for by one on other files or by another map."""
    from benchmark.records import Damaged, read_record

    folder = trained.folder / task.place
    try:
        record = read_record(folder)
    except Damaged:
        return
    if record is not None and record["task"] != task.identity():
        raise BenchmarkError(
            f"{folder}: expected the same files and the same map of classes as in the test that is "
            "there, found others. Give this one a name of its own with --site."
        )


def _robustness(options: argparse.Namespace) -> int:
    from benchmark.evaluation.corruption import CORRUPTIONS, SEVERITIES
    from benchmark.generalisation.sites import own_files
    from benchmark.generalisation.tasks import Robustness

    known = tuple(CORRUPTIONS)
    kinds = tuple(options.corruptions.split(",")) if options.corruptions else known
    grades = options.severities.split(",")
    possible = [str(grade) for grade in range(1, SEVERITIES + 1)]
    for name, values, allowed in (("corruptions", kinds, known), ("severities", grades, possible)):
        for value in values:
            if value not in allowed:
                raise BenchmarkError(
                    f"--{name}: expected some of {', '.join(allowed)}, got {value!r}."
                )
    if options.cases < 1:
        raise BenchmarkError(f"--cases: expected 1 or more, got {options.cases}.")
    severities = tuple(sorted({int(grade) for grade in grades}))

    def task(trained: Trained) -> Task:
        root = own_files(trained.spec, options.results, options.data_root)
        return Robustness(kinds, severities, options.cases, root)

    return _follow(options, task)


def _follow(options: argparse.Namespace, task_of: Callable[[Trained], Task]) -> int:
    from benchmark.execution.scheduler import Limits
    from benchmark.execution.slots import make_slots
    from benchmark.generalisation.agenda import items, summary
    from benchmark.generalisation.follow import follow
    from benchmark.trained import find

    out = console()
    named = [find(options.results, name) for name in options.runs]
    once = {trained.spec.key: trained for trained in named}.values()
    found = [
        item
        for trained in once
        for item in items(trained.spec, [task_of(trained)], options.results)
    ]
    well, interrupted = follow(
        found, options.results, out, slots=make_slots(options.jobs), limits=Limits()
    )
    after = [
        item for each in found for item in items(each.spec, [each.task], options.results)
    ]  # fmt: skip
    for line in summary(after):
        out.print(line, markup=False, soft_wrap=True)
    for item in after:
        out.print(
            f"{item.spec.name} {item.task.title}: {item.state}, {item.reason} "
            f"({item.folder(options.results)})",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    out.print("`report` puts them in the tables.", markup=False)
    if interrupted:
        return 130
    return int(not well or not any(item.state == "done" for item in after))
