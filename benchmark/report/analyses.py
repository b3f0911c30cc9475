"""The tables beside the leaderboard: what its ranks and errors are made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.report.across import across_sections
from benchmark.report.comparisons import comparison_sections
from benchmark.report.document import write_csv, write_printed, write_texts
from benchmark.report.groups import Group
from benchmark.report.leaderboard import by_group, case_scores
from benchmark.report.material import Material
from benchmark.report.stability import stability_frame, stability_sections
from benchmark.report.standings import patient_scores, ranked_names
from benchmark.statistics.ranking import challenger_csv


def write_analyses(material: Material) -> list[Path]:
    """Write pairs, rank stability, ranks over datasets and a table for challengeR.

    Returns:
        The paths: ``comparisons``, ``stability`` and ``across``, each as ``.csv``, ``.md`` and
        ``.tex``, and ``challenger.csv``.
    """
    folder, frame, groups = material.folder, material.frame, material.groups
    pairs, across, found = material.pairs, material.across, material.found
    paths = []
    for stem, title, rows, sections in (
        ("comparisons", "Paired comparisons", pairs, comparison_sections(pairs, frame, groups)),
        (
            "stability",
            "Rank stability",
            stability_frame(found),
            stability_sections(found, frame, groups),
        ),
        ("across", "Ranks by dataset", across, across_sections(across, groups)),
    ):
        paths += [write_csv(folder, stem, rows), *write_printed(folder, stem, title, sections)]
    return [*paths, *write_texts(folder, {"challenger.csv": challenger(frame, groups)})]


def challenger(frame: pd.DataFrame, groups: Sequence[Group]) -> str:
    """Mean Dice per patient of the ranked rows as challengeR reads it: a group is a task."""
    tasks = []
    for group in groups:
        names = ranked_names(by_group(frame, group))
        if names:
            table = patient_scores(case_scores(group.cases), names)
            titles = [" ".join(filter(None, name)) for name in names]
            tasks.append((group.slug, titles, [str(i) for i in table.index], table.to_numpy()))
    return challenger_csv(tasks)
