"""Published results of others, to stand beside ours on the same data.

The numbers are in ``literature.toml``, each with the source that it was read in. None is ranked
with ours: split, patients and training differ, and every row says how.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.report import style
from benchmark.report.clinical import ENDPOINTS
from benchmark.report.groups import Group
from benchmark.report.material import Material

FILE = Path(__file__).with_name("literature.toml")

MEAN = "mean"
_FRACTIONS = ("dice", "iou")
_SOURCE = ("citation", "url", "read", "setting", "caveat")


def literature_parts(material: Material) -> dict[str, list[dict[str, Any]]]:
    """The published results on the dataset of each group, by the group's slug.

    Groups of phantoms have none, nor has one whose files are not those of the publications: scores
    on the LA 2018 challenge are never shown beside the Decathlon's, nor the other way round.

    Returns:
        Rows as :func:`published` gives them; an empty list where nothing is comparable.
    """
    sources = read_sources()
    return {group.slug: _of(group, sources) for group in material.groups}


def read_sources(path: Path = FILE) -> list[dict[str, Any]]:
    """The sources as they are written in the file, each with its results."""
    with path.open("rb") as file:
        found: list[dict[str, Any]] = tomllib.load(file)["source"]
    return found


def published(source: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The results of one source as rows.

    Returns:
        Rows with ``method``; ``what`` (``mean``, a class or endpoint) and ``title``, the same in
        words; ``phase`` (empty for all); ``metric``; ``printed`` and ``unit`` as in the source;
        ``value``, the number in the unit of our tables (Dice and IoU from 0 to 1); and
        ``citation``, ``url``, ``read`` (where in the source), ``setting`` and ``caveat``.
    """
    rows = []
    for method, what, phase, metric, printed, unit in source["results"]:
        percent = metric in _FRACTIONS and unit == "%"
        rows.append(
            {
                "method": method,
                "what": what,
                "title": _title(what),
                "phase": phase,
                "metric": metric,
                "printed": printed,
                "unit": unit,
                "value": round(float(printed) / 100, 6) if percent else float(printed),
                **{name: source[name] for name in _SOURCE},
            }
        )
    return rows


def _of(group: Group, sources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if group.phantom:
        return []
    releases = {run.release for run in group.runs if not run.external}
    rows = [
        row
        for source in sources
        if source["dataset"] == group.dataset and releases == {source["release"]}
        for row in published(source)
    ]
    # The mean over a single class is that class, whichever of the two a reader looks at.
    alone = [row | {"what": MEAN} for row in rows if [row["what"]] == group.classes]
    return [*rows, *alone]


def _title(what: str) -> str:
    if what == MEAN:
        return "mean over classes"
    return " and ".join(ENDPOINTS.get(name) or style.words(name) for name in what.split("+"))
