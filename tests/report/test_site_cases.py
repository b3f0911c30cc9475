"""The case browser: the list in the page, and the scripts that hold the pictures."""

from __future__ import annotations

import base64
import json
import math
import os
import re
import zlib

import numpy as np
import pytest

from benchmark.report import style
from benchmark.report.excerpts import read_excerpt
from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import case_scores, leaderboard
from benchmark.report.material import Material
from benchmark.report.site.cases import case_parts, write_cases

NAMES = ("unet", "vnet")


def material_of(folder, made):
    groups = comparison_groups(*made)
    frame = leaderboard(groups)
    return Material(folder, groups, frame, {r["key"]: r for r in made[0]})


@pytest.fixture
def made(tmp_path, record, cases, finished, volumes):
    """Two networks on one fold with two seeds; only what a report reads of them."""
    records = [record(tmp_path, name, seed=seed) for name in NAMES for seed in (0, 1)]
    records.append(record(tmp_path, "deeplabv3", status="oom"))
    made = finished(records, patients=5, slices=False)
    for item in records:
        if item["status"] == "ok":
            volumes(item, made[1][made[1]["run"] == item["key"]])
    return made


def called(path):
    """What a script hands to the page."""
    text = path.read_text(encoding="ascii")
    found = re.fullmatch(r'// [0-9a-f]{64}\nshowCase\("([^"]+)", "([^"]+)", (\{.*\})\);\n', text)
    assert found, text[:200]
    return found[1], found[2], json.loads(found[3], parse_constant=pytest.fail)


def unpacked(text, shape):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(shape)


def test_cases_are_listed_worst_first_with_the_scores_of_the_leaderboard(tmp_path, made):
    material = material_of(tmp_path / "report", made)
    (slug, part), *none = case_parts(material).items()
    assert (slug, none) == ("acdc_phantom", [])
    scores = case_scores(material.groups[0].cases)
    means = scores.groupby("case")["dice"].mean().sort_values()
    assert part["case"] == list(means.index)
    assert len(part["case"]) == 10
    assert set(part["dice"]) == {"U-Net", "V-Net"}
    of_vnet = scores[scores["architecture"] == "vnet"].set_index("case")["dice"]
    assert part["dice"]["V-Net"]["mean"] == [round(of_vnet[case], 7) for case in part["case"]]
    assert part["traits"]["phase"]["values"] == [case[-2:] for case in part["case"]]
    assert set(part["traits"]) == {"phase", "group"}
    assert [one["label"] for one in part["classes"]] == [1, 2, 3]
    assert part["classes"][2]["colour"] == style.CLASS_COLOURS["left_ventricle"]
    json.dumps(part, allow_nan=False)


def test_scripts_hold_the_arrays_of_the_lowest_seed(tmp_path, made):
    material = material_of(tmp_path / "report", made)
    paths = write_cases(material)
    assert len(paths) == 10
    folder = tmp_path / "report" / "cases" / "acdc_phantom"
    slug, case, content = called(folder / "patient002_ED.js")
    assert (slug, case) == ("acdc_phantom", "patient002_ED")
    stored = {
        item["spec"]["architecture"]: read_excerpt(item["path"] / "slices" / "patient002_ED.npz")
        for item in made[0]
        if item["status"] == "ok" and item["spec"]["seed"] == 0
    }
    shape = content["shape"]
    assert np.array_equal(unpacked(content["image"], shape), stored["unet"].image)
    assert np.array_equal(unpacked(content["truth"], shape), stored["vnet"].truth)
    rows = {row["id"]: row for row in content["rows"]}
    for title, name in (("U-Net", "unet"), ("V-Net", "vnet")):
        row = rows[title]
        assert np.array_equal(unpacked(row["prediction"], shape), stored[name].prediction)
        assert row["dice"] == pytest.approx(stored[name].dice, abs=1e-4)
        assert (row["fold"], row["seed"]) == (0, 0)
        cases = made[1]
        mine = cases[(cases["run"] == row["run"]) & (cases["case"] == case)]
        assert row["classes"] == {
            one: round(dice, 7) for one, dice in zip(mine["class"], mine["dice"], strict=True)
        }
    assert content["spacing"] == [9.0, 1.4, 1.4]
    assert content["slices"] == [0, 1, 2, 3, 4]
    assert case_parts(material)["acdc_phantom"]["pictures"] == [1] * 10


def test_a_script_is_written_again_only_if_it_would_differ(tmp_path, made):
    material = material_of(tmp_path / "report", made)
    paths = write_cases(material)
    old = 1_000_000_000
    before = {path: path.read_bytes() for path in paths}
    for path in paths:
        os.utime(path, (old, old))
    assert write_cases(material) == paths
    assert all(path.stat().st_mtime == old for path in paths)
    other = made[0][0]["path"] / "slices" / "patient000_ED.npz"
    other.write_bytes((made[0][0]["path"] / "slices" / "patient001_ED.npz").read_bytes())
    (tmp_path / "report" / "cases" / "acdc_phantom" / "patient000_ED.js").with_name(
        "gone.js"
    ).write_text("")
    write_cases(material)
    changed = [path.stem for path in paths if path.stat().st_mtime != old]
    assert changed == ["patient000_ED"]
    assert len(list(paths[0].parent.iterdir())) == 10
    assert {path.read_bytes() == before[path] for path in paths[1:]} == {True}


def test_without_pictures_there_are_scores_and_no_files(tmp_path, record, finished):
    records = [record(tmp_path, name) for name in NAMES]
    material = material_of(tmp_path / "report", finished(records, patients=3, slices=False))
    stale = tmp_path / "report" / "cases" / "acdc_phantom" / "patient000_ED.js"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    assert write_cases(material) == []
    assert not (tmp_path / "report" / "cases").exists()
    part = case_parts(material)["acdc_phantom"]
    assert not any(part["pictures"])
    assert len(part["dice"]["U-Net"]["mean"]) == 6


def test_a_group_whose_runs_failed_is_an_empty_list(tmp_path, record, finished):
    records = [record(tmp_path, "unet", status="oom")]
    part = case_parts(material_of(tmp_path / "report", finished(records)))["acdc_phantom"]
    assert (part["case"], part["dice"]) == ([], {})


def test_files_of_an_earlier_version_are_one_slice_and_stand_beside_none_of_now(
    tmp_path, record, finished, volumes
):
    records = [record(tmp_path, name) for name in NAMES]
    made = finished(records, patients=1)
    material = material_of(tmp_path / "report", made)
    old = called(write_cases(material)[0])[2]
    assert (old["shape"][0], old["spacing"][0], old["depth"]) == (1, None, 1)
    assert all("prediction" in row for row in old["rows"])
    volumes(records[1], made[1][made[1]["run"] == records[1]["key"]])
    mixed = called(write_cases(material)[0])[2]
    assert mixed["shape"][0] == 5
    assert ["prediction" in row for row in mixed["rows"]] == [False, True]
    assert "another part" in mixed["rows"][0]["note"]


def test_planar_views_say_so_and_classes_without_scores_are_no_errors(
    tmp_path, record, finished, volumes
):
    item = record(tmp_path, "unet", "camus", unannotated=("left_atrium",))
    made = finished([item], patients=2, slices=False)
    volumes(item, made[1])
    material = material_of(tmp_path / "report", made)
    content = called(write_cases(material)[0])[2]
    assert content["shape"][0] == 1
    assert content["spacing"][0] is None
    assert content["rows"][0]["unit"] == "cm²"
    assert set(np.unique(unpacked(content["truth"], content["shape"]))) == {0, 1, 2}
    assert set(case_parts(material)["camus_phantom"]["traits"]) == {"phase", "view", "quality"}


def test_numbers_are_short_and_finite(tmp_path, made):
    part = case_parts(material_of(tmp_path / "report", made))["acdc_phantom"]
    for columns in part["dice"].values():
        for value in (value for column in columns.values() for value in column):
            assert value is None or (math.isfinite(value) and len(f"{value}") <= 9)
