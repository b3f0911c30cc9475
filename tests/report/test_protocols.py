"""Protocols are kept apart, told apart, and mixed on request alone."""

import io
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.console import Console

from benchmark.records import write_json, write_table
from benchmark.report import clinical_tables, write_report
from benchmark.report.cells import caption
from benchmark.report.clinical import agreement_frame
from benchmark.report.comparisons import comparisons
from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import leaderboard
from benchmark.report.material import gather
from benchmark.report.protocols import differing, newest
from benchmark.report.stability import rankings
from benchmark.report.tables import all_cases, latex, markdown
from benchmark.report.terminal import clinical_table


@pytest.fixture
def two(record, finished, tmp_path):
    """U-Net and V-Net under two protocols that differ in their epochs."""
    records = []
    for digest, epochs in (("0123456789", 5), ("feedfacecafe", 7)):
        for name in ("unet", "vnet"):
            item = record(tmp_path, name, "acdc", "real", protocol_hash=digest)
            item["spec"]["protocol"] = {"epochs": epochs, "loss": "dice"}
            records.append(item)
    return finished(records, patients=7, slices=False)


def test_rule_mixed_protocols_are_marked_and_have_no_ranks(two):
    (group,) = groups = comparison_groups(*two, mix_protocols=True)
    frame = leaderboard(groups)
    assert group.slug == "acdc_real_mixed"
    assert [name for _, name in group.names] == ["†1", "†2", "†1", "†2"]
    assert frame["protocol_hash"].tolist() == ["0123456789", "feedfacecafe"] * 2
    assert frame["status"].tolist() == ["ok"] * 4
    assert frame[["rank", "tier", "p_best"]].isna().all(axis=None)
    assert comparisons(frame, groups).empty
    assert rankings(frame, groups) == []
    text = markdown(frame, groups)
    assert "MIXED PROTOCOLS" in text
    assert text.count("| U-Net (†1)") == text.count("| U-Net (†2)") == 2
    assert "†1 protocol 01234567; †2 protocol feedface. They differ in epochs: 5 \\| 7." in text
    assert "loss" not in text.replace("Losses", "")
    assert "MIXED PROTOCOLS" in latex(frame, groups)
    assert "**" not in text
    assert set(all_cases(groups)["protocol_hash"]) == {"0123456789", "feedfacecafe"}


def test_mixed_protocols_have_clinical_tables(two, clinical, tmp_path):
    records, cases, epochs = two
    groups = comparison_groups(records, cases, epochs, mix_protocols=True)
    values = clinical(records)
    text = clinical_tables.markdown(agreement_frame(groups, values), groups, values)
    assert "### Agreement with the reference" in text
    assert "| U-Net (†1)" in text
    material = gather(tmp_path, records, cases, epochs, values, mix_protocols=True)
    table = clinical_table(material)
    assert "V-Net (†2)" in list(table.columns[0].cells)


def test_rule_protocols_never_mix_unasked_and_say_why(two):
    first, second = groups = comparison_groups(*two)
    assert caption(first).endswith("protocol 01234567 (differs in epochs)")
    text = markdown(leaderboard(groups), groups)
    assert "†" not in text
    assert "Not in one table with protocol feedface: they differ in epochs: 5 \\| 7" in text
    assert not first.mixed
    rules = {"epochs": 5, "loss": "dice", "files": None, "recipe": "as given"}
    assert second.others == {"0123456789": rules}


def test_one_protocol_is_not_mixed_with_itself(record, finished, tmp_path):
    made = finished([record(tmp_path, name) for name in ("unet", "vnet")], slices=False)
    plain, asked = comparison_groups(*made), comparison_groups(*made, mix_protocols=True)
    assert [group.slug for group in plain] == [group.slug for group in asked] == ["acdc_phantom"]
    assert leaderboard(asked)["rank"].tolist() == [1, 2]


def test_a_row_of_mixed_protocols_is_complete_by_its_own_protocol(two):
    records, cases, epochs = two
    lacking = (cases["run"] == records[0]["key"]) & (cases["patient"] == "patient001")
    frame = leaderboard(comparison_groups(records, cases[~lacking], epochs, mix_protocols=True))
    status = dict(zip(zip(frame["architecture"], frame["variant"], strict=True), frame["status"],
                      strict=True))  # fmt: skip
    assert status == {
        ("unet", "†1"): "partial", ("vnet", "†1"): "ok",
        ("unet", "†2"): "ok", ("vnet", "†2"): "ok",
    }  # fmt: skip


def test_a_mixed_report_has_a_folder_of_its_own(two, tmp_path, monkeypatch):
    from benchmark.report.figures import sheets

    monkeypatch.setattr(sheets, "sheets", lambda *_: [])
    paths = write_report(gather(tmp_path, *two, pd.DataFrame(), mix_protocols=True))
    assert {path.parent for path in paths} == {tmp_path / "report-mixed"}
    assert "†2" in (tmp_path / "report-mixed" / "errors.md").read_text(encoding="utf-8")
    assert pd.read_csv(tmp_path / "report-mixed" / "errors.csv")["variant"].nunique() == 2


def test_the_command_finds_the_runs_of_other_protocols(two, tmp_path, monkeypatch):
    """Of its own protocol only what the plan asks for, of others the newest of each cell."""
    from benchmark import reporting
    from benchmark.report.figures import sheets

    records, cases, _ = two
    for record in records:
        plain = {name: value for name, value in record.items() if name != "path"}
        plain["summary"] = {"dice": 0.5}
        write_json(record["path"] / "record.json", plain)
        mine = cases[cases["run"] == record["key"]]
        write_table(record["path"] / "cases.csv", mine.to_dict("records"), mine.columns)
    own = [record for record in records if record["protocol_hash"] == "0123456789"]
    spec = SimpleNamespace(key=own[0]["key"], dataset="acdc", protocol_hash="0123456789")
    plan = SimpleNamespace(runs=[SimpleNamespace(spec=spec)])
    monkeypatch.setattr(sheets, "sheets", lambda *_: [])
    console = Console(width=80, record=True, file=io.StringIO())
    assert reporting.report_plan(plan, tmp_path, console, mix_protocols=True) == 0
    text = console.export_text()
    marked = ("U-Net (†1)", "U-Net (†2)", "V-Net (†1)", "V-Net (†2)")
    # In the table, and in the note on what was excluded and failed.
    assert [text.count(name) for name in marked] == [2, 2, 0, 2]
    assert "†: rows with different marks were not made under the same rules" in text
    assert not (tmp_path / "report").exists()


def test_fields_that_differ_are_named():
    assert differing([{"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 3], "c": None}]) == ["b"]
    assert differing([{"a": 1}]) == []


def test_of_two_runs_of_one_cell_the_last_counts(record, tmp_path):
    old, new = record(tmp_path), record(tmp_path)
    old["spec"]["code"], new["spec"]["code"] = "1", "2"
    old["finished_utc"], new["finished_utc"] = "2026-01-01T00:00:00", "2026-02-01T00:00:00"
    other = record(tmp_path, seed=1)
    assert newest([new, old, other]) == [other, new]
