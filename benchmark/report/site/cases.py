"""The case browser: every test case by its scores, and its pictures in files loaded on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmark.records import write_atomic
from benchmark.report import style
from benchmark.report.excerpts import Image, files_of, keep_labels, read_excerpt
from benchmark.report.figures.marks import marks_of
from benchmark.report.groups import Group, Run, row_title
from benchmark.report.leaderboard import case_scores
from benchmark.report.site.scores import SPLITS
from benchmark.report.standings import Name

if TYPE_CHECKING:
    from benchmark.report.material import Material

FOLDER = "cases"
# More than is printed: a number that is rounded twice may end a digit beside the tables.
DIGITS = 7
# What tells cases apart besides their patient, as `cases.csv` has it.
TRAITS = {"phase": "Phase", **SPLITS}

_FORMAT = 1  # to be raised when files must be written anew though no picture has changed
_OTHER_GRID = "pictures of this run show another part of the case"

Sources = Mapping[Name, tuple[Run, Path]]
RunScores = Mapping[tuple[str, str], Mapping[str, float | None]]


def case_parts(material: Material) -> dict[str, Any]:
    """The test cases of each group by its slug, worst first by their mean over all rows.

    Returns:
        Per slug, columns of equal length: ``case``, ``patient``, ``pictures`` (1 where there is a
        file of :func:`write_cases`), ``traits`` (``title`` and ``values`` of those that cases
        have), ``dice``, by row the ``mean`` over classes and over the runs that tested the case,
        None where there is none. Besides, ``classes`` (name, words, label, colour) and the colours
        of ``errors``.
    """
    return {group.slug: _part(group) for group in material.groups}


def _part(group: Group) -> dict[str, Any]:
    scores = case_scores(group.cases)
    means = {
        name: part.set_index("case")["dice"]
        for name, part in scores.groupby(["architecture", "variant"])
    }
    known = group.cases.drop_duplicates("case").set_index("case").sort_index()
    overall = scores.groupby("case")["dice"].mean().reindex(known.index)
    # Stable: ties keep the order of their names, and cases without a score come last.
    order = overall.sort_values(kind="stable").index
    known = known.loc[order]
    stored = _stored(files_of(group))
    said = {name: known[name].astype(object).fillna("") for name in TRAITS if name in known}
    traits = {
        name: {"title": TRAITS[name], "values": [str(value) for value in column]}
        for name, column in said.items()
        if (column != "").any()
    }
    return {
        "case": [str(name) for name in order],
        "patient": [str(name) for name in known["patient"]],
        "traits": traits,
        "pictures": [int(name in stored) for name in order],
        "dice": {
            row_title(*name): {"mean": _listed(means[name], order)}
            for name in group.names
            if name in means
        },
        "classes": _legend(group),
        "errors": {mark.name: mark.colour for mark in marks_of(group.classes)},
    }


def _listed(scores: pd.Series[float], order: pd.Index[Any]) -> list[float | None]:
    return [_number(value) for value in scores.reindex(order)]


def _number(value: float) -> float | None:
    """A number, rounded; None for what JSON has no word for."""
    return round(float(value), DIGITS) if math.isfinite(value) else None


def _legend(group: Group) -> list[dict[str, Any]]:
    labels, colours = group.labels, style.class_colours(group.classes)
    return [
        {"name": name, "words": style.words(name), "label": labels[name], "colour": colours[name]}
        for name in group.classes
    ]


def _stored(files: Mapping[Name, Mapping[str, Any]]) -> set[str]:
    """Cases of which some row has pictures."""
    return {case for cases in files.values() for case in cases}


def write_cases(material: Material) -> list[Path]:
    """Write ``cases/<slug>/<case>.js`` for each case of which a run left pictures.

    Each is a script that calls ``showCase(slug, case, content)``, since a page opened from a disk
    may load scripts and nothing else. Of each row the run with the lowest fold and seed is shown,
    as in the figures. Arrays are uint8, deflated, in base64. A file that would show what it shows
    already is left alone, and one of a case that is no more is deleted.

    Returns:
        All such files, written or left.
    """
    root = material.folder / FOLDER
    paths = []
    for group in material.groups:
        files = files_of(group)
        if not files:
            continue
        scores = _run_scores(
            group, {run.key for found in files.values() for run, _ in found.values()}
        )
        for case in sorted(_stored(files).intersection(group.cases["case"])):
            sources = {name: found[case] for name, found in files.items() if case in found}
            path = root / group.slug / f"{case}.js"
            _write_case(path, group, case, sources, scores)
            paths.append(path)
    _remove_others(root, paths)
    return paths


def _run_scores(group: Group, keys: Iterable[str]) -> RunScores:
    """Dice by class of some runs, for each of their cases."""
    rows = group.cases[group.cases["run"].isin(list(keys))]
    found: dict[tuple[str, str], dict[str, float | None]] = {}
    columns = [rows[name] for name in ("run", "case", "class", "dice")]
    for run, case, one, dice in zip(*columns, strict=True):
        found.setdefault((run, case), {})[one] = _number(dice)
    return found


def _write_case(path: Path, group: Group, case: str, sources: Sources, scores: RunScores) -> None:
    """Write one case, unless the file there was made from the same pictures and scores."""
    stored = {name: file.read_bytes() for name, (_, file) in sources.items()}
    rows = [
        {
            "id": row_title(*name),
            "run": run.key,
            "fold": run.fold,
            "seed": run.seed,
            "classes": scores.get((run.key, case), {}),
        }
        for name, (run, _) in sources.items()
    ]
    said = json.dumps([_FORMAT, group.slug, case, group.labels, rows])
    digest = hashlib.sha256(said.encode())
    for file in stored.values():
        digest.update(hashlib.sha256(file).digest())
    first = f"// {digest.hexdigest()}\n"
    if path.exists():
        with path.open(encoding="ascii") as script:
            if script.readline() == first:
                return
    content = json.dumps(_content(list(stored.values()), rows, group.labels.values()))
    call = f"showCase({json.dumps(group.slug)}, {json.dumps(case)}, {content});\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, first + call)


def _content(
    stored: Sequence[bytes], rows: Sequence[Mapping[str, Any]], labels: Iterable[int]
) -> dict[str, Any]:
    """What a script hands to the page: geometry, image and truth, and what each row predicted."""
    kept = list(labels)
    excerpts = [keep_labels(read_excerpt(content), kept) for content in stored]
    # Files of an earlier version hold a single slice.
    shown = max(excerpts, key=lambda one: len(one.slices))
    return {
        "shape": list(shown.truth.shape),
        "spacing": [_number(value) for value in shown.spacing_mm],
        "slices": list(shown.slices),
        "depth": shown.depth,
        "shown": shown.shown,
        "corner": [_number(value) for value in shown.corner_mm],
        "image": _packed(shown.image),
        "truth": _packed(shown.truth),
        "rows": [
            {
                **row,
                "dice": _number(one.dice),
                "outside": _number(one.outside),
                "unit": one.unit,
                **(
                    {"prediction": _packed(one.prediction)}
                    if one.same_grid(shown)
                    else {"note": _OTHER_GRID}
                ),
            }
            for row, one in zip(rows, excerpts, strict=True)
        ],
    }


def _packed(array: Image) -> str:
    # Level 1: on scans the higher ones take four times as long for 2 % less.
    return base64.b64encode(zlib.compress(array.tobytes(), 1)).decode("ascii")


def _remove_others(root: Path, written: Sequence[Path]) -> None:
    """Delete the files of an earlier report."""
    for path in set(root.glob("*/*.js")) - set(written):
        path.unlink()
    for folder in [*root.glob("*"), root]:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
