"""``data verify`` and ``data show``: whether files are sound, and what a case looks like."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.commands import Commands, console
from benchmark.errors import BenchmarkError, nearest

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    import datasets
    from datasets.case import Case
    from datasets.verify import Progress, Verdict


def add(group: Commands) -> None:
    """Add the parsers of both commands to the group ``data``."""
    verify = group.add_parser(
        "verify", help="open every file, check geometry, labels, pairs, numbers and known volumes"
    )
    verify.add_argument("root", type=Path, metavar="ROOT", help="folder with one dataset or more")
    verify.set_defaults(command=_verify)
    show = group.add_parser("show", help="draw a case with the outlines of its mask")
    show.add_argument(
        "case", metavar="CASE", help="such as patient001_ED, patient0001_2CH_ED, la_003"
    )
    show.add_argument(
        "--data-root", type=Path, default=Path("data"), metavar="DIR",
        help="folder that holds the datasets (default: data)",
    )  # fmt: skip
    show.add_argument(
        "-o", "--output", type=Path, metavar="FILE.png", help="where to (default: CASE.png here)"
    )
    show.set_defaults(command=_show)


def _verify(options: argparse.Namespace) -> int:
    from rich.progress import Progress as Bar

    from datasets.verify import verify

    screen = console()
    faults = 0
    for name, found in _present(options.root).items():
        with Bar(console=screen, transient=True, disable=not screen.is_terminal) as bar:
            verdict = verify(name, found, progress=_shown(bar, f"opening {name}"))
        for line in _lines(verdict):
            screen.print(line, soft_wrap=True, markup=False)
        faults += len(verdict.faults)
    screen.print("1 fault" if faults == 1 else f"{faults} faults")
    return 1 if faults else 0


def _shown(bar: Bar, text: str) -> Progress:
    task = bar.add_task(text, total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


def _lines(verdict: Verdict) -> list[str]:
    found = verdict.found
    kind = f"{found.source}, {found.release}" if found.release else found.source
    return [
        f"{verdict.name} ({kind}) in {found.root}: {verdict.files} image files opened, "
        f"{verdict.cases} cases of {verdict.patients} patients",
        *(f"  confirmed: {line}" for line in verdict.confirmed),
        *(f"  note: {line}" for line in verdict.notes),
        *(f"  fault: {line}" for line in verdict.faults),
    ]


def _present(root: Path) -> dict[str, datasets.Found]:
    """The datasets at or below a folder; there is one at least."""
    import datasets

    if not root.is_dir():
        raise BenchmarkError(f"{root}: expected a folder with datasets, found none. Name another.")
    places = {name: datasets.find(name, root) for name in datasets.NAMES}
    present = {name: found for name, found in places.items() if found is not None}
    if not present:
        titles = ", ".join(datasets.info(name).title for name in datasets.NAMES)
        raise BenchmarkError(
            f"{root}: expected a dataset ({titles}) in it or up to two levels below, found none. "
            "Name the folder above training/, database_nifti/ or imagesTr/."
        )
    return present


def _show(options: argparse.Namespace) -> int:
    import matplotlib as mpl

    import datasets
    from benchmark.report import layout
    from benchmark.report.figures.case import Picture, draw
    from datasets.nifti import read_pair

    target: Path = options.output or Path(f"{options.case}.png")
    if target.suffix.lower() != ".png":
        raise BenchmarkError(f"--output {target}: expected a name that ends in .png.")
    name, found, case = _find_case(options.case, options.data_root)
    info = datasets.info(name)
    image, mask = read_pair(case, info)
    picture = Picture(
        image.array,
        mask.array,
        mask.spacing_mm,
        info.classes,
        title=_title(name, found, case),
        subtitle=(
            f"spacing {_times(f'{step:.5g}' for step in image.spacing_mm)} mm, "
            f"size {_times(map(str, image.array.shape))} ({', '.join('zyx'[-image.array.ndim :])})"
        ),
        phantom=found.source == "phantom",
    )
    with mpl.rc_context(dict(layout.RC)):
        draw(picture).savefig(target, format="png", dpi=200)
    console().print(f"{target}", soft_wrap=True, markup=False)
    return 0


def _title(name: str, found: datasets.Found, case: Case) -> str:
    from benchmark.report import style

    told = case.metadata
    release = f" ({found.release})" if found.release else ""
    parts = [
        f"{style.dataset_title(name)}{release}",
        case.id,
        {"ED": "end diastole", "ES": "end systole"}.get(told.get("phase", ""), ""),
        {"2CH": "2-chamber view", "4CH": "4-chamber view"}.get(told.get("view", ""), ""),
        f"group {told['group']}" if told.get("group") else "",
        f"{told['quality'].lower()} image quality" if told.get("quality") else "",
    ]
    return " · ".join(part for part in parts if part)


def _times(numbers: Iterable[str]) -> str:
    return " × ".join(numbers)


def _find_case(wanted: str, root: Path) -> tuple[str, datasets.Found, Case]:
    """A case by its id, which is of one dataset alone."""
    import datasets

    known: dict[str, tuple[str, datasets.Found, Case]] = {}
    for name, found in _present(root).items():
        # A fault of another patient's files is no reason not to show this one.
        for case in datasets.read_cases(name, found.root, []):
            known[case.id] = name, found, case
    if wanted not in known:
        of_patient = [key for key, (_, _, case) in known.items() if case.patient == wanted]
        hint = f" Its cases are {', '.join(of_patient)}." if of_patient else nearest(wanted, known)
        raise BenchmarkError(
            f"CASE {wanted}: expected one of the {len(known)} cases below {root}, found none of "
            f"that name.{hint}"
        )
    return known[wanted]
