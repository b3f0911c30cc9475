"""How well the clinical endpoints of a report's groups agree with their references."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmark.report.groups import Group
from benchmark.statistics.agreement import Agreement, agreement

ENDPOINTS: Mapping[str, str] = {
    "la_volume": "LA volume",
    "lv_edv": "LV EDV",
    "lv_esv": "LV ESV",
    "lv_ef": "LV EF",
    "rv_edv": "RV EDV",
    "rv_esv": "RV ESV",
    "rv_ef": "RV EF",
    "lv_mass": "LV mass",
    "lv_sv": "LV SV",
    "rv_sv": "RV SV",
}
"""Endpoints as people write them, in the order of every table."""

METHODS: Mapping[str, str] = {
    "voxel_count": "voxels",
    "simpson_biplane": "Simpson biplane",
    "simpson_2ch": "Simpson 2CH",
    "simpson_4ch": "Simpson 4CH",
    "camus_official": "CAMUS' own",
    "camus_stated": "CAMUS' own against its stated EF",
}
"""Methods likewise."""

MAIN_ENDPOINTS = ("lv_ef", "la_volume")
"""What one line about an architecture tells: the first of these that a dataset has."""

_FURTHER_ENDPOINTS = ("lv_sv", "rv_sv")
_NAME = ["architecture", "variant"]
_QUANTITY = ["endpoint", "method", "unit"]
_VALUES = (*_NAME, *_QUANTITY, "patient", "truth", "prediction", "runs")
_AXES = ("dataset", "source", "release", "protocol_hash", "profile")
_AGREEMENT = tuple(field.name for field in dataclasses.fields(Agreement))
_COLUMNS = (*_AXES, *_NAME, *_QUANTITY, "primary", "runs", *_AGREEMENT)


def patient_values(group: Group, clinical: pd.DataFrame) -> pd.DataFrame:
    """Reference and prediction of every patient, endpoint and architecture of a group.

    A patient's prediction is the mean over the runs (seeds) that tested it; the folds of an
    architecture stand together. A patient that one of those runs could not measure has none: a
    mean of the others would hide the failure.

    Args:
        group: the runs; those that failed have no values. External entries have those of the
            patients that the group's own runs tested.
        clinical: the rows of all ``clinical.csv``; may be empty.

    Returns:
        Columns ``architecture, variant, endpoint, method, unit, patient, truth, prediction,
        runs``, in the order of the report.
    """
    mine = _of_group(group, clinical)
    if mine.empty:
        return pd.DataFrame(columns=list(_VALUES))
    variants = {run.key: run.variant for run in group.runs}
    keys = [*_NAME, *_QUANTITY, "patient"]
    values = (
        mine.assign(variant=mine["run"].map(variants))
        .groupby(keys, sort=True)
        .agg(
            truth=("truth", "first"),
            prediction=("prediction", "mean"),
            measured=("prediction", "count"),
            runs=("prediction", "size"),
        )
        .reset_index()
    )
    values["prediction"] = values["prediction"].where(values["measured"] == values["runs"])
    places = [
        values["endpoint"].map(_place(ENDPOINTS)),
        values["method"].map(_place(METHODS)),
        pd.Series(list(zip(values["architecture"], values["variant"], strict=True))).map(
            _place(group.names)
        ),
    ]
    order = pd.concat(places, axis=1, keys=("endpoint", "method", "name"))
    order = order.sort_values(["method", "endpoint", "name"], kind="stable")
    return values.loc[order.index, list(_VALUES)].reset_index(drop=True)


def agreement_frame(groups: Sequence[Group], clinical: pd.DataFrame) -> pd.DataFrame:
    """Agreement over patients: one row per group, endpoint, method and architecture.

    Args:
        groups: from :func:`benchmark.report.groups.comparison_groups`.
        clinical: the rows of all ``clinical.csv``; may be empty.

    Returns:
        Machine names and full precision; ``bias``, ``sd``, the limits and ``mae`` are in ``unit``.
        Primary endpoints come first in each group. ``runs`` is how many runs have them.
    """
    rows: list[dict[str, Any]] = []
    measured_runs = set(clinical["run"].unique()) if len(clinical) else set()
    for group in groups:
        values = patient_values(group, clinical)
        main = primary_method(values)
        found: list[dict[str, Any]] = []
        for key, part in values.groupby([*_QUANTITY, *_NAME], sort=False):
            endpoint, method, unit, architecture, variant = map(str, key)
            runs = [run for run in group.of((architecture, variant)) if run.ok]
            measured = agreement(part["truth"].to_numpy(), part["prediction"].to_numpy())
            found.append(
                {
                    "dataset": group.dataset,
                    "source": group.source,
                    "release": runs[0].release,
                    "protocol_hash": group.protocol_hash,
                    "profile": runs[0].profile,
                    "architecture": architecture,
                    "variant": variant,
                    "endpoint": endpoint,
                    "method": method,
                    "unit": unit,
                    "primary": is_primary(endpoint, method, main),
                    "runs": len({run.key for run in runs} & measured_runs),
                    **dataclasses.asdict(measured),
                }
            )
        rows += sorted(found, key=lambda row: not row["primary"])
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def primary_method(values: pd.DataFrame) -> str | None:
    """The first method that measured some patient of a group; None where none did.

    Exams of one view have no biplane: there a single plane serves.

    Args:
        values: from :func:`patient_values`.
    """
    measured = set(values.dropna(subset=["truth", "prediction"])["method"])
    return next((method for method in METHODS if method in measured), None)


def is_primary(endpoint: str, method: str, main: str | None) -> bool:
    """Whether tables and figures show an endpoint first: it is of the group's main method."""
    return method == main and endpoint not in _FURTHER_ENDPOINTS


def main_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a group's main endpoint, by its main method."""
    primary = rows[rows["primary"].astype(bool)]
    for endpoint in MAIN_ENDPOINTS:
        found = primary[primary["endpoint"] == endpoint]
        if len(found):
            return found
    return rows[:0]


def reasons(group: Group, clinical: pd.DataFrame) -> dict[str, int]:
    """Why values are missing, and in how many rows of ``clinical.csv``; most frequent first."""
    if "reason" not in clinical:
        return {}
    mine = _of_group(group, clinical)
    counts = mine["reason"].replace("", None).dropna().value_counts(sort=False)
    found = {str(reason): int(times) for reason, times in counts.items()}
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def without_endpoints(group: Group, clinical: pd.DataFrame) -> str:
    """A sentence on the runs of a group that have no endpoints, or nothing."""
    having = set(clinical["run"].unique()) if len(clinical) else set()
    failed = sum(not run.ok for run in group.runs)
    older = sum(run.ok and run.key not in having for run in group.runs)
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{older} finished without a clinical.csv"] if older else []
    if not parts:
        return ""
    return f"Runs without endpoints: {' and '.join(parts)}, of {len(group.runs)}."


def _of_group(group: Group, clinical: pd.DataFrame) -> pd.DataFrame:
    """The rows of the runs that are ok.

    An external entry may have more patients than our runs tested; as of its cases, these are no
    part of the group.
    """
    if clinical.empty:
        return clinical
    mine = clinical[clinical["run"].isin([run.key for run in group.runs if run.ok])]
    guests = mine["run"].isin([run.key for run in group.runs if run.external])
    if not guests.any():
        return mine
    return mine[~guests | mine["patient"].isin(group.cases["patient"])]


def _place(names: Any) -> dict[Any, int]:
    return {name: position for position, name in enumerate(names)}
