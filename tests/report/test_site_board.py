"""Rows of the page: what they say, the runs behind them, and how to make them again."""

from __future__ import annotations

import dataclasses
import json
import shlex

import pandas as pd
import pytest

from benchmark.experiment.selection import parse_only
from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import leaderboard
from benchmark.report.material import Material, gather
from benchmark.report.site.board import board_parts, reproduce


@pytest.fixture
def material(record, finished, clinical, tmp_path):
    records = [
        record(tmp_path, "unet", source="real", seed=0),
        record(tmp_path, "unet", source="real", seed=1),
        record(tmp_path, "vnet", source="real", status="oom"),
    ]
    (tmp_path / "report").mkdir()
    for one in records:
        one["environment"] = {"git": {"commit": "0123456789abcdef" * 2, "dirty": False}}
        one["path"].mkdir(parents=True)
        (one["path"] / "record.json").write_text("{}")
    (records[0]["path"] / "log.txt").write_text("")
    records, cases, epochs = finished(records, slices=False)
    endpoints = clinical(records)
    groups = comparison_groups(records, cases, epochs)
    return Material(
        tmp_path / "report",
        groups,
        leaderboard(groups),
        {one["key"]: one for one in records},
        clinical=endpoints,
    )


def test_a_row_links_to_every_run_behind_it(material):
    group = material.groups[0]
    first = group.runs[0].key
    parts = board_parts(material, group, {first: "http://127.0.0.1:5000/#/experiments/1/runs/a"})
    scored, failed = parts["rows"]
    assert [run["seed"] for run in scored["runs"]] == [0, 1]
    for row in parts["rows"]:
        for run in row["runs"]:
            for address in run["files"].values():
                assert (material.folder / address).resolve().is_file()
            assert run["spec"]["architecture"] == {"U-Net": "unet", "V-Net": "vnet"}[row["id"]]
    assert set(scored["runs"][0]["files"]) == {"record", "log"}
    assert [run["mlflow"] is None for run in scored["runs"]] == [False, True]
    assert (failed["status"], failed["error"]) == ("oom", "expected 4 GiB, 3 GiB are left")
    assert failed["title"] == "V-Net, fold 0, seed 0"
    json.dumps(parts, allow_nan=False)


def test_numbers_of_a_row_are_those_of_the_leaderboard(material):
    parts = board_parts(material, material.groups[0], {})
    row, frame = parts["rows"][0], material.frame.iloc[0]
    assert row["costs"]["parameters"] == [1940000, "1.94 M"]
    assert row["costs"]["train_s"][0] == pytest.approx(frame["train_s"], rel=1e-5)
    assert row["costs"]["peak_rss_mib"][0] == pytest.approx(frame["peak_rss_mib"], rel=1e-5)
    assert "gmacs" not in row["costs"]  # no run measured them
    assert parts["clinical"] == "LV EF bias ± 1.96 SD (%)"
    agreement = material.agreement.set_index("endpoint").loc["lv_ef"]
    assert row["clinical"]["text"] == f"{agreement['bias']:.1f} ± {1.96 * agreement['sd']:.1f}"


def test_the_command_of_a_row_is_one_that_the_command_line_takes(material):
    rows = board_parts(material, material.groups[0], {})["rows"]
    checkout, command = rows[0]["reproduce"]["commands"]
    assert checkout == "git checkout 0123456789ab"
    words = shlex.split(command)
    expected = "python -m benchmark run experiments.yaml --profile quick --data-root DIR --only"
    assert words[:-1] == expected.split()
    assert parse_only(words[-1:]) == {
        "architecture": {"unet"}, "dataset": {"acdc"}, "fold": {"0"}, "seed": {"0", "1"}
    }  # fmt: skip


def test_phantoms_are_made_again_as_phantoms(record, finished, tmp_path):
    records, cases, epochs = finished([record(tmp_path, "unet")], slices=False)
    material = gather(tmp_path, records, cases, epochs, pd.DataFrame())
    (row,) = board_parts(material, material.groups[0], {})["rows"]
    assert not row["external"]
    (command,) = row["reproduce"]["commands"]  # the commit is not known
    assert "--data phantom" in command
    assert "--data-root" not in command
    assert row["clinical"] is None


def test_what_no_command_makes_again_says_why(record, material):
    runs = [dataclasses.replace(run, external=True) for run in material.groups[0].runs[:1]]
    assert reproduce(runs, material.records)["commands"] == []
    assert "elsewhere" in reproduce(runs, material.records)["note"]
    material.records[runs[0].key]["environment"]["git"]["dirty"] = True
    both = reproduce(list(material.groups[0].of(("unet", ""))), material.records)
    assert "had not been committed" in both["note"]


def test_links_survive_a_results_folder_behind_a_link(material, tmp_path):
    elsewhere = tmp_path / "disk"
    (tmp_path / "runs").rename(elsewhere)
    (tmp_path / "runs").symlink_to(elsewhere)
    row = board_parts(material, material.groups[0], {})["rows"][0]
    assert (material.folder / row["runs"][0]["files"]["record"]).is_file()
