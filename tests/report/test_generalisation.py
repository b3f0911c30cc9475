"""Scores elsewhere and under corruption: tables of their own, and a curve per architecture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.evaluation.corruption import CORRUPTIONS
from benchmark.experiment.spec import RunSpec
from benchmark.generalisation.tasks import CrossTest, Robustness, new_record
from benchmark.records import cases_frame, read_followers, read_records, write_record, write_table
from benchmark.report import write_report
from benchmark.report.figures.robustness import draw
from benchmark.report.generalisation import write_generalisation
from benchmark.report.groups import comparison_groups
from benchmark.report.material import gather
from benchmark.report.robustness import curves, table, write_robustness
from benchmark.report.style import looks

CLASSES = {"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3}
SHARED = {"myocardium": "myocardium", "left_ventricle": "left_ventricle"}
HOME, ELSEWHERE = 0.9, {"unet": 0.3, "vnet": 0.5, "deeplabv3": 0.4}
STRENGTH = {"unet": 0.02, "vnet": 0.05, "deeplabv3": 0.08}


def rows_of(key, spec, patients, classes, dice, **more):
    return [
        {
            "run": key, "architecture": spec.architecture, "dataset": "acdc", "source": "phantom",
            "fold": spec.fold, "seed": spec.seed, "case": f"{patient}_{phase}",
            "patient": patient, "phase": phase, "group": "", "view": "", "quality": "",
            "class": name, "kind": "class", "outcome": "scored",
            "dice": dice + 0.01 * number, "iou": dice / 2, "hd95_mm": 5.0, **more,
        }
        for number, patient in enumerate(patients) for phase in ("ED", "ES") for name in classes
    ]  # fmt: skip


def write(folder: Path, record, rows):
    folder.mkdir(parents=True, exist_ok=True)
    if rows:
        write_table(folder / "cases.csv", rows, rows[0])
    write_record(folder, record)


def finish(results: Path, spec: RunSpec, *, applicable=True, **changes):
    """One run at home, on CAMUS and on corrupted images."""
    spec = dataclasses.replace(spec, **changes)
    folder = results / "runs" / spec.key
    record = {
        "key": spec.key, "name": spec.name, "spec": spec.to_dict(), "status": "ok", "error": None,
        "protocol_hash": spec.protocol_hash, "profile": "quick", "release": "",
        "classes": CLASSES, "summary": {"dice": HOME}, "timing": {}, "environment": {},
        "finished_utc": "2026-01-01", "params": 1000,
    }  # fmt: skip
    if spec.init_from:
        record["init_from"] = {**spec.init_from, "loaded": 3, "reinitialised": ["logits_conv"]}
    home = [f"p{spec.fold}{n}" for n in range(5)]
    write(folder, record, rows_of(spec.key, spec, home, CLASSES, HOME))
    task = CrossTest("camus", "camus", "phantom", "", "f2", SHARED, Path("x"))
    there = new_record(spec, record, task)
    if applicable:
        rows = rows_of(
            there["key"], spec, [f"c{n}" for n in range(6)], SHARED.values(),
            ELSEWHERE[spec.architecture] + 0.1 * spec.fold,
            view="4CH",
        )  # fmt: skip
        for number, row in enumerate(rows):
            row |= {"dataset": "camus", "view": ("2CH", "4CH")[number // 2 % 2]}
        there |= {"status": "ok", "summary": {"dice": 0.3}, "grid_mm": [None, 4.0, 4.0],
                  "classes": {"left_ventricle": 1, "myocardium": 2}}  # fmt: skip
        write(folder / "on" / "camus", there, rows)
    else:
        write(folder / "on" / "camus", there | {"status": "skipped", "error": "it reads volumes"},
              [])  # fmt: skip
    asked = Robustness(tuple(CORRUPTIONS), (1, 3, 5), 4, Path("x"))
    kinds = {
        name: {"title": kind.title, "unit": kind.unit, "levels": list(kind.levels)}
        for name, kind in CORRUPTIONS.items()
    }
    rows = []
    for place, name in enumerate(("none", *kinds)):
        for grade in (1, 3, 5) if place else (0,):
            lost = STRENGTH[spec.architecture] * grade * (1 + 0.3 * place) if place else 0.0
            rows += rows_of(spec.key, spec, home, CLASSES, HOME - lost, corruption=name,
                            severity=grade, level=float(grade))  # fmt: skip
    done = new_record(spec, record, asked) | {"status": "ok", "summary": {"dice": HOME}}
    write(folder / "robustness", done | {"corruptions": kinds, "finished_utc": "2026"}, rows)
    return spec


@pytest.fixture
def results(tmp_path, spec):
    """Three architectures, two folds of the first; the last cannot be tested elsewhere."""
    finish(tmp_path, spec)
    finish(tmp_path, spec, fold=1)
    finish(tmp_path, spec, architecture="vnet")
    finish(tmp_path, spec, architecture="deeplabv3", applicable=False)
    return tmp_path


@pytest.fixture
def read(results):
    records = read_records(results)
    return records, cases_frame(records), read_followers(records)


def test_rule_scores_elsewhere_stand_apart_and_enter_no_leaderboard(results, read):
    records, cases, _ = read
    material = gather(results, records, cases, pd.DataFrame(), pd.DataFrame())
    write_report(material, formats=("png",))
    report = results / "report"
    board = pd.read_csv(report / "leaderboard.csv")
    assert set(board["dataset"]) == {"acdc"}
    assert board["dice"].min() > 0.85  # nothing of 0.3 to 0.5 is in a mean
    frame = pd.read_csv(report / "generalisation.csv").set_index("architecture")
    assert set(frame["trained_on"]) == {"acdc"}
    assert set(frame["site"]) == {"camus"}
    # Two folds see the same cases: a case is averaged over its models, then patients.
    assert frame.loc["unet", "dice"] == pytest.approx(0.35 + 0.025)
    assert frame.loc["vnet", "dice"] == pytest.approx(0.5 + 0.025)
    assert frame.loc["unet", "patients"] == 6
    assert frame.loc["unet", "home_dice"] == pytest.approx(HOME + 0.02)
    assert "rank" not in frame
    assert (report / "figures" / "robustness_acdc_phantom.png").stat().st_size > 10_000
    text = (report / "generalisation.md").read_text(encoding="utf-8")
    assert "ACDC → CAMUS" in text
    assert "myocardium → myocardium, left ventricle → left ventricle" in text
    assert "enter no leaderboard and no mean with others" in text
    assert "— (not applicable)" in text
    assert "DeepLabv3: not applicable: it reads volumes" in text
    assert "| 2CH " in text  # the same subgroups as at home
    assert "Phantom data" in text
    assert r"tab:generalisation-acdc-on-camus" in (report / "generalisation.tex").read_text()


def test_the_score_at_home_counts_the_classes_of_the_map_alone(results, read):
    _, cases, followers = read
    worse = cases.assign(dice=cases["dice"].where(cases["class"] != "right_ventricle", 0.0))
    write_generalisation(results / "out", followers, worse)
    frame = pd.read_csv(results / "out" / "generalisation.csv").set_index("architecture")
    assert frame.loc["unet", "home_dice"] == pytest.approx(HOME + 0.02)


def test_a_report_without_tests_elsewhere_leaves_no_old_tables(results, read):
    _, cases, followers = read
    groups = comparison_groups(read_records(results), cases, pd.DataFrame())
    assert write_generalisation(results / "out", followers, cases)
    assert write_robustness(results / "out", curves(groups, followers))
    assert write_generalisation(results / "out", [], cases) == []
    assert write_robustness(results / "out", []) == []
    assert list((results / "out").iterdir()) == []


@pytest.fixture
def drawn(read):
    records, cases, followers = read
    (one,) = curves(comparison_groups(records, cases, pd.DataFrame()), followers)
    return one


def test_curves_are_dice_by_kind_and_severity_with_what_is_lost(drawn):
    frame = drawn.frame.set_index(["architecture", "corruption", "severity"])
    clean = frame.loc[("unet", "none", 0), "dice"]
    assert clean == pytest.approx(HOME + 0.02)
    blur = frame.loc[("unet", "blur", 3)]
    lost = STRENGTH["unet"] * 3 * (1 + 0.3 * 3)
    assert blur["dice"] == pytest.approx(clean - lost)
    assert blur["drop"] == pytest.approx(lost / clean)
    assert blur["drop_low"] <= blur["drop"] <= blur["drop_high"]
    assert blur["level"] == CORRUPTIONS["blur"].levels[2]
    assert blur["patients"] == 10
    every = [frame.loc[("unet", kind, 3), "dice"] for kind in CORRUPTIONS]
    assert frame.loc[("unet", "all", 3), "dice"] == pytest.approx(np.mean(every))


def test_the_table_has_a_row_per_architecture_and_kind(drawn):
    shown = table(drawn)
    assert len(shown.rows) == 3 * (len(CORRUPTIONS) + 1)
    assert [column.heading for column in shown.columns[3:]] == [
        "Severity 1", "Severity 3", "Severity 5",
    ]  # fmt: skip
    assert shown.rows[0][0].text == "U-Net"
    assert "−" in shown.rows[0][4].text
    assert "%" in shown.rows[0][4].text


def test_the_figure_has_a_panel_per_kind_and_a_curve_per_architecture(drawn):
    figure = draw(drawn, looks(drawn.group.names))
    panels = figure.get_axes()
    assert [axes.get_title() for axes in panels] == [kind.title for kind in CORRUPTIONS.values()]
    for axes in panels:
        assert len(axes.get_lines()) == 3
        assert list(axes.get_lines()[0].get_xdata()) == [0, 1, 3, 5]
    assert len({axes.get_ylim() for axes in panels}) == 1
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["U-Net", "V-Net", "DeepLabv3"]


def test_other_settings_are_not_mixed_into_a_curve(results, read, spec):
    records, cases, followers = read
    groups = comparison_groups(records, cases, pd.DataFrame())
    changed = [
        record | {"task": record["task"] | {"cases": 9}, "finished_utc": "2025"}
        if record["spec"]["architecture"] == "vnet" else record
        for record in followers
    ]  # fmt: skip
    (one,) = curves(groups, changed)
    assert {name for name, _ in one.names} == {"unet", "deeplabv3"}


def test_rule_a_fine_tuned_network_is_a_row_of_its_own(tmp_path, spec):
    start = {"run": "a" * 12, "sha256": "b", "dataset": "decathlon"}
    finish(tmp_path, spec)
    finish(tmp_path, spec, init_from=start)
    records = read_records(tmp_path)
    cases = cases_frame(records)
    (group,) = comparison_groups(records, cases, pd.DataFrame())
    assert sorted(run.title for run in group.runs) == [
        "U-Net (from decathlon)", "U-Net (from scratch)",
    ]  # fmt: skip
    material = gather(tmp_path, records, cases, pd.DataFrame(), pd.DataFrame())
    write_report(material, formats=("png",))
    text = (tmp_path / "report" / "leaderboard.md").read_text(encoding="utf-8")
    assert "U-Net (from decathlon): started from the weights of run aaaaaaaaaaaa" in text
    assert r"re-initialised: logits\_conv" in text


def test_a_fine_tuned_network_alone_says_so_and_two_starts_are_told_apart(tmp_path, spec):
    for key in ("a" * 12, "c" * 12):
        start = {"run": key, "sha256": "b", "dataset": "decathlon"}
        finish(tmp_path, spec, init_from=start)
        records = read_records(tmp_path)
        (group,) = comparison_groups(records, cases_frame(records), pd.DataFrame())
        titles = sorted(run.title for run in group.runs)
        expected = ["U-Net (from decathlon)"] if key[0] == "a" else [
            "U-Net (from decathlon aaaaaa)", "U-Net (from decathlon cccccc)",
        ]  # fmt: skip
        assert titles == expected
