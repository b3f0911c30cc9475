"""What the page shows under a choice is what a plain loop over the cases gives."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import leaderboard
from benchmark.report.site.scores import ALL, MEAN, METRICS, score_parts
from benchmark.statistics.comparison import bootstrap_mean


@pytest.fixture
def made(record, cases, tmp_path):
    records = [
        record(tmp_path, "unet", "camus", seed=0),
        record(tmp_path, "unet", "camus", seed=1),
        record(tmp_path, "vnet", "camus"),
        record(tmp_path, "deeplabv3", "camus", status="oom"),
        record(tmp_path, "unet", "acdc"),
    ]
    rows = pd.concat([cases(one) for one in records if one["status"] == "ok"])
    infinite = (rows["outcome"] == "missed").to_numpy()
    rows["hd95_mm"] = np.where(infinite, np.inf, rows["hd95_mm"])
    return {g.dataset: g for g in comparison_groups(records, rows, pd.DataFrame())}


def by_hand(rows, metric):
    """Class → case → runs → patient, written out; one value per patient."""
    patients = {}
    for patient, mine in rows.groupby("patient"):
        of_cases = []
        for _, case in mine.groupby("case"):
            runs = []
            for _, run in case.groupby("run"):
                values = [v for v in run[metric] if np.isfinite(v)]
                if values:
                    runs.append(np.mean(values))
            if runs:
                of_cases.append(np.mean(runs))
        if of_cases:
            patients[patient] = np.mean(of_cases)
    return patients


@pytest.mark.parametrize(
    ("dataset", "structure", "phase", "subgroup"),
    [
        ("camus", MEAN, ALL, ALL),
        ("camus", MEAN, "ED", "view:2CH"),
        ("camus", "myocardium", "ES", ALL),
        ("camus", "left_atrium", ALL, "quality:Poor"),
        ("acdc", "right_ventricle", "ES", "group:NOR"),
        ("acdc", MEAN, "ES", ALL),
    ],
)
def test_scores_of_a_choice_are_those_of_its_rows(made, dataset, structure, phase, subgroup):
    group = made[dataset]
    found = score_parts(group)["scores"]["U-Net"][f"{structure}|{phase}|{subgroup}"]
    rows = group.cases[group.cases["architecture"] == "unet"]
    if structure != MEAN:
        rows = rows[rows["class"] == structure]
    if phase != ALL:
        rows = rows[rows["phase"] == phase]
    if subgroup != ALL:
        kind, value = subgroup.split(":")
        rows = rows[rows[kind] == value]
    patients = by_hand(rows, "dice")
    interval = bootstrap_mean([patients[name] for name in sorted(patients)], seed=0)
    assert found[:3] == pytest.approx([interval.mean, interval.low, interval.high], abs=1e-8)
    for metric, value in zip(METRICS[1:], found[3:6], strict=True):
        assert value == pytest.approx(np.mean(list(by_hand(rows, metric).values())), abs=1e-8)
    assert found[6] == len(patients)
    assert found[7] == rows[rows["dice"].notna()]["case"].nunique()


def test_the_whole_is_the_leaderboard(made):
    for group in made.values():
        found = score_parts(group)["scores"]
        for _, row in leaderboard([group]).iterrows():
            if pd.isna(row["run"]):
                title = {"unet": "U-Net", "vnet": "V-Net"}[row["architecture"]]
                scores = found[title][f"{MEAN}|{ALL}|{ALL}"]
                names = ["dice", "dice_low", "dice_high", "iou", "hd95_mm"]
                assert scores[:5] == pytest.approx([row[name] for name in names], abs=1e-8)
            else:
                assert "DeepLabv3" not in found  # failed: no score under any choice


def test_choices_are_those_of_the_files_and_one_patient_has_no_interval(made):
    parts = score_parts(made["acdc"])
    assert [one["id"] for one in parts["phases"]] == [ALL, "ED", "ES"]
    assert [one["id"] for one in parts["structures"]][:2] == [MEAN, "right_ventricle"]
    assert {one["id"] for one in parts["subgroups"]} == {
        ALL, *(f"group:{name}" for name in ("NOR", "MINF", "DCM", "HCM", "RV"))
    }  # fmt: skip
    # Patient 3 has no right ventricle at ES and patient 8 is the other of its group.
    dice, low, high, *_, patients, cases = parts["scores"]["U-Net"]["right_ventricle|ES|group:HCM"]
    assert (patients, cases, low, high) == (1, 1, None, None)
    assert 0 < dice < 1
    json.dumps(parts, allow_nan=False)
