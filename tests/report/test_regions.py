"""Unions of classes stand beside the classes, and in no mean."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import leaderboard
from benchmark.report.strata import strata, write_strata
from benchmark.report.tables import all_cases, markdown


@pytest.fixture
def tables(record, cases, tmp_path):
    """CAMUS with and without rows of its region."""
    item = record(tmp_path, "unet", "camus", "real")
    plain = cases(item, 4)
    plain["kind"] = "class"
    region = plain[plain["class"] == "left_ventricle"].assign(
        **{"class": "epicardium", "kind": "region", "dice": 0.25, "iou": 0.1, "hd95_mm": 99.0}
    )
    return item, plain, pd.concat([plain, region], ignore_index=True)


def board(item, table):
    groups = comparison_groups([item], table, pd.DataFrame())
    return groups, leaderboard(groups)


def test_regions_have_a_column_and_change_nothing_else(tables):
    item, plain, both = tables
    _, without = board(item, plain)
    groups, with_region = board(item, both)
    assert with_region["dice_epicardium"].tolist() == [0.25]
    assert groups[0].region_names == ["epicardium"]
    pd.testing.assert_frame_equal(with_region.drop(columns="dice_epicardium"), without)


def test_tables_show_regions_after_the_classes_and_say_so(tables):
    item, _, both = tables
    groups, frame = board(item, both)
    text = markdown(frame, groups)
    headings = next(line for line in text.splitlines() if "Dice left atrium" in line)
    assert headings.index("Dice left atrium") < headings.index("Dice epicardium")
    assert "Unions of classes, hence in no mean and no count: epicardium." in text
    assert set(all_cases(groups)["class"]) == set(both["class"])


def test_strata_are_by_phase_and_view(tables, tmp_path):
    item, _, both = tables
    groups, _ = board(item, both)
    frame = strata(groups[0]).set_index(["class", "phase", "value"])
    one = both[(both["class"] == "left_ventricle") & (both["phase"] == "ES")]
    assert frame.loc[("left_ventricle", "ES", "all"), "dice"] == pytest.approx(one["dice"].mean())
    view = one[one["view"] == "4CH"]
    assert frame.loc[("left_ventricle", "ES", "4CH"), "dice"] == pytest.approx(view["dice"].mean())
    assert frame.loc[("left_ventricle", "ES", "4CH"), "scored"] == len(view) == 4
    assert frame.loc[("epicardium", "ED", "2CH"), "hd95_mm"] == 99.0
    table, text, _ = write_strata(tmp_path, groups)
    assert len(pd.read_csv(table)) == 4 * 2 * 3
    assert "| U-Net" in text.read_text()
    assert "0.250 (4)" in text.read_text()


def test_strata_count_what_was_excluded_and_what_failed(record, cases, tmp_path):
    item = record(tmp_path, "unet", "acdc", "phantom")
    table = cases(item, 6)
    table["group"] = "NOR"
    groups, _ = board(item, table)
    frame = strata(groups[0]).set_index(["class", "phase", "value"])
    counts = ["cases", "scored", "excluded", "failed"]
    assert frame.loc[("right_ventricle", "ES", "all"), counts].tolist() == [6, 5, 1, 0]
    assert frame.loc[("myocardium", "ES", "NOR"), counts].tolist() == [6, 5, 0, 1]
    _, text, tex = write_strata(tmp_path, groups)
    assert "(6, 1 failed)" in text.read_text()
    assert "(5, 1 excluded)" in text.read_text()
    assert "Phantom data" in text.read_text()
    assert r"\label{tab:strata-acdc-phantom}" in tex.read_text()


def test_without_phases_there_are_no_strata(record, cases, tmp_path):
    item = record(tmp_path, "unet", "decathlon", "real")
    groups, _ = board(item, cases(item, 2).assign(phase=None))
    assert strata(groups[0]).empty
    assert write_strata(tmp_path, groups) == []
