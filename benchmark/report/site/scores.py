"""The scores of every row under every choice of structure, phase and subgroup.

The page does not compute: whatever a reader can choose has been averaged here, by the rules of the
leaderboard (a case over its classes and runs, a patient over its cases, a row over its patients).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.report import style
from benchmark.report.groups import Group, row_title
from benchmark.statistics.comparison import DRAWS, draw_weights

Floats = npt.NDArray[np.float64]

MEAN = "mean"
ALL = "all"
METRICS = ("dice", "iou", "hd95_mm", "nsd")
# Columns of the cases that split them, and their names in print.
SPLITS: Mapping[str, str] = {"group": "Pathology", "view": "View", "quality": "Image quality"}
_KEYS = ["architecture", "variant", "class", "case"]


def score_parts(group: Group, *, seed: int = 0) -> dict[str, Any]:
    """What a reader can choose in a group, and the scores of each choice.

    Args:
        group: The runs and their cases.
        seed: Of the bootstrap; that of the leaderboard.

    Returns:
        ``structures``, ``phases`` and ``subgroups`` (each a list of ``id`` and ``title``; the first
        of each is the mean or all), and ``scores``: by row, then by ``structure|phase|subgroup``,
        the list Dice, its interval's ends, IoU, HD95 in mm, NSD, patients, cases; null where there
        is none. Rows without any score are absent.
    """
    structures = [(MEAN, "Mean of classes"), *((n, style.words(n)) for n in group.classes)]
    structures += [(name, f"{style.words(name)} (union)") for name in group.region_names]
    facts = _facts(group.cases)
    phases = sorted(set(facts["phase"].dropna())) if "phase" in facts else []
    subgroups = [
        (kind, value)
        for kind in SPLITS
        if kind in facts and facts[kind].nunique() > 1
        for value in sorted(facts[kind].dropna().unique())
    ]
    return {
        "structures": _options(structures),
        "phases": _options([(ALL, "All phases"), *((phase, phase) for phase in phases)]),
        "subgroups": _options(
            [(ALL, "All cases")]
            + [(f"{kind}:{value}", f"{SPLITS[kind]}: {value}") for kind, value in subgroups]
        ),
        "scores": _scores(group, facts, phases, subgroups, seed) if len(facts) else {},
    }


def _options(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"id": name, "title": title} for name, title in pairs]


def _facts(cases: pd.DataFrame) -> pd.DataFrame:
    """What is known of each case, sorted by case: its patient, phase and subgroups."""
    names = [name for name in ("patient", "phase", *SPLITS) if name in cases]
    facts = cases.drop_duplicates("case").set_index("case")[names].sort_index()
    return facts.replace("", np.nan)


def _scores(
    group: Group,
    facts: pd.DataFrame,
    phases: list[str],
    subgroups: list[tuple[str, str]],
    seed: int,
) -> dict[str, dict[str, list[float | int | None]]]:
    table = _table(group, facts)
    everyone = np.ones(len(facts), bool)
    of_phase = {ALL: everyone} | {name: (facts["phase"] == name).to_numpy() for name in phases}
    of_subgroup = {ALL: everyone} | {
        f"{kind}:{value}": (facts[kind] == value).to_numpy() for kind, value in subgroups
    }
    patients = facts["patient"].to_numpy()
    found: dict[str, dict[str, list[float | int | None]]] = {}
    for phase, in_phase in of_phase.items():
        for subgroup, in_subgroup in of_subgroup.items():
            chosen = in_phase & in_subgroup
            for (name, structure), cells in _cells(table, patients, chosen, seed):
                found.setdefault(row_title(*name), {})[f"{structure}|{phase}|{subgroup}"] = cells
    return found


@dataclass(frozen=True)
class _Table:
    """Scores of every row and structure: ``values[metric]`` is ``(cases, columns)``."""

    columns: list[tuple[tuple[str, str], str]]
    values: dict[str, Floats]


def _table(group: Group, facts: pd.DataFrame) -> _Table:
    metrics = [name for name in METRICS if name in group.cases]
    classes = group.cases[group.cases["class"].isin(group.classes)]
    keys = [*_KEYS, "run"]
    clean = classes[[*keys, *metrics]].replace([np.inf, -np.inf], np.nan)
    # As in the leaderboard: first over the classes of a run, then over the runs.
    mean = clean.drop(columns="class").groupby(["architecture", "variant", "case", "run"]).mean()
    parts = [mean.reset_index().assign(**{"class": MEAN}), clean]
    if len(group.regions):
        parts.append(group.regions[[*keys, *metrics]].replace([np.inf, -np.inf], np.nan))
    per_case = pd.concat(parts).groupby(_KEYS)[metrics].mean()
    of_metric: dict[str, pd.DataFrame] = {
        metric: per_case[metric].unstack(["architecture", "variant", "class"]) for metric in metrics
    }
    columns = of_metric["dice"].columns
    values = {
        metric: wide.reindex(index=facts.index, columns=columns).to_numpy(np.float64)
        for metric, wide in of_metric.items()
    }
    names = [((str(a), str(v)), str(c)) for a, v, c in columns.to_frame().itertuples(index=False)]
    return _Table(names, values)


def _cells(
    table: _Table, patients: npt.NDArray[Any], chosen: npt.NDArray[np.bool_], seed: int
) -> Iterator[tuple[tuple[tuple[str, str], str], list[float | int | None]]]:
    """The numbers of each column over the chosen cases; none for a column without any."""
    names, place = np.unique(patients[chosen], return_inverse=True)
    if not len(names):
        return
    belongs = np.zeros((len(names), len(place)))
    belongs[place, np.arange(len(place))] = 1.0
    means = {
        metric: _patient_means(belongs, values[chosen]) for metric, values in table.values.items()
    }
    low, high = _intervals(means["dice"], seed)
    cases = (~np.isnan(table.values["dice"][chosen])).sum(axis=0)
    counts = (~np.isnan(means["dice"])).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = {m: np.nansum(v, axis=0) / (~np.isnan(v)).sum(axis=0) for m, v in means.items()}
    for index, column in enumerate(table.columns):
        if counts[index]:
            scores = [rows["dice"][index], low[index], high[index]]
            scores += [rows[m][index] if m in rows else np.nan for m in METRICS[1:]]
            yield column, [*map(_number, scores), int(counts[index]), int(cases[index])]


def _patient_means(belongs: Floats, values: Floats) -> Floats:
    """Means over the cases of each patient, ``(patients, columns)``; NaN where none has a value."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((belongs @ np.where(known, values, 0.0)) / (belongs @ known))


def _intervals(means: Floats, seed: int) -> tuple[Floats, Floats]:
    """Ends of the 95 % bootstrap interval of each column; NaN for fewer than two patients.

    Columns over the same patients share their draws, and one product serves them all.
    """
    low, high = (np.full(means.shape[1], np.nan) for _ in range(2))
    known = ~np.isnan(means)
    sets: dict[bytes, list[int]] = {}
    for index in range(means.shape[1]):
        sets.setdefault(known[:, index].tobytes(), []).append(index)
    for columns in sets.values():
        sample = means[known[:, columns[0]]][:, columns]
        if len(sample) > 1:
            drawn = draw_weights(len(sample), seed=seed, draws=DRAWS) @ sample
            low[columns], high[columns] = np.quantile(drawn, [0.025, 0.975], axis=0)
    return low, high


def _number(value: float) -> float | None:
    return (
        None if np.isnan(value) else round(float(value), 8)
    )  # printed with 3, and never rounded twice
