"""External entries stand beside runs that were scored on the same files, and say what they are."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmark.records import stands_beside
from benchmark.report import style
from benchmark.report.cells import footers
from benchmark.report.clinical import agreement_frame, patient_values
from benchmark.report.figures import costs, heatmap, scores
from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import leaderboard
from benchmark.report.material import gather
from benchmark.report.tables import markdown
from benchmark.report.terminal import clinical_table

SCORING = {"surface_definition": "metrics_reloaded", "nsd_tolerance_mm": 2.0}


@pytest.fixture
def run(record):
    def build(folder, name="unet", dataset="acdc", source="real", **options):
        item = record(folder, name, dataset, source, **options)
        item["spec"] |= {"fingerprint": "f00d", "protocol": {**SCORING, "epochs": 5}}
        return item

    return build


@pytest.fixture
def entry(record):
    def build(folder, name="nnU-Net", dataset="acdc", source="real", **scoring):
        item = record(folder, name, dataset, source)
        for unknown in ("protocol_hash", "profile", "params", "timing", "environment"):
            del item[unknown]
        item["spec"] |= {"fingerprint": "f00d", "protocol": SCORING | scoring}
        return item | {"external": True, "key": f"external-{name}-{dataset}"}

    return build


def board(records, *tables):
    groups = comparison_groups(records, pd.concat(tables, ignore_index=True), pd.DataFrame())
    return groups, leaderboard(groups)


def test_an_entry_has_a_rank_and_a_mark(run, entry, cases, tmp_path):
    ours, theirs = run(tmp_path), entry(tmp_path)
    better = cases(theirs, 4)
    better["dice"] = better["dice"].where(better["outcome"] != "scored", 0.99)
    # It was asked to predict more patients than our fold tested.
    more = cases(theirs, 6)
    more = more[~more["case"].isin(better["case"])]
    groups, frame = board([ours, theirs], cases(ours, 4), better, more)
    assert frame["architecture"].tolist() == ["nnU-Net", "unet"]
    assert frame["rank"].tolist() == [1, 2]
    assert frame["patients"].tolist() == [4, 4]
    assert frame["seeds"].isna().tolist() == [True, False]
    assert frame["protocol_hash"].nunique() == 1
    text = markdown(frame, groups)
    assert "(HD95, NSD): metrics reloaded; NSD at a tolerance of 2 mm." in text
    assert "| nnU-Net (external)" in text
    assert "only scored here, by the same rules on the same files: nnU-Net (external)." in text
    assert not any("only scored" in note for note in footers(*_alone(run, cases, tmp_path)))


def _alone(run, cases, folder):
    item = run(folder)
    groups, frame = board([item], cases(item, 4))
    return frame, groups[0]


def test_an_entry_that_lacks_cases_has_no_rank_and_costs_nobody_theirs(run, entry, cases, tmp_path):
    ours, theirs = run(tmp_path), entry(tmp_path)
    table = cases(theirs, 4)
    _, frame = board([ours, theirs], cases(ours, 4), table[table["patient"] > "patient000"])
    assert frame.set_index("architecture")["status"].to_dict() == {
        "unet": "ok",
        "nnU-Net": "partial",
    }
    assert frame.set_index("architecture")["rank"].isna().to_dict() == {
        "unet": False,
        "nnU-Net": True,
    }


def test_endpoints_of_an_entry_are_those_of_our_patients(run, entry, cases, clinical, tmp_path):
    ours, theirs = run(tmp_path), entry(tmp_path)
    (group,), _ = board([ours, theirs], cases(ours, 2), cases(theirs, 6))
    values = pd.concat([clinical([ours], patients=2), clinical([theirs], patients=6)])
    frame = agreement_frame([group], values)
    assert set(frame["architecture"]) == {"unet", "nnU-Net"}
    assert set(frame["n_valid"]) == {2}
    assert set(patient_values(group, values)["patient"]) == {"patient000", "patient001"}
    material = gather(tmp_path, [ours, theirs], cases(ours, 2), pd.DataFrame(), values)
    table = clinical_table(material)
    assert "nnU-Net (external)" in list(table.columns[0].cells)


def test_a_mixed_group_names_the_entries_it_leaves_out(run, entry, cases, tmp_path):
    records = [run(tmp_path), run(tmp_path, protocol_hash="feedfacecafe"), entry(tmp_path)]
    tables = pd.concat([cases(item, 3) for item in records])
    (group,) = groups = comparison_groups(records, tables, pd.DataFrame(), mix_protocols=True)
    assert set(group.cases["architecture"]) == {"unet"}
    assert "Not among mixed protocols: nnU-Net (external)." in markdown(leaderboard(groups), groups)


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "camus"},
        {"source": "phantom"},
        {"surface_definition": "pooled"},
        {"nsd_tolerance_mm": 3.0},
    ],
)
def test_an_entry_stands_only_beside_its_like(run, entry, cases, tmp_path, change):
    ours, theirs = run(tmp_path), entry(tmp_path, **change)
    assert not stands_beside(theirs, ours)
    groups, frame = board([ours, theirs], cases(ours, 3), cases(theirs, 3))
    assert len(groups) == 1
    assert frame["architecture"].tolist() == ["unet"]


def test_other_files_are_no_common_ground(run, entry, tmp_path):
    ours, theirs = run(tmp_path), entry(tmp_path)
    assert stands_beside(theirs, ours)
    theirs["spec"]["fingerprint"] = "beef"
    assert not stands_beside(theirs, ours)


def test_an_entry_joins_every_protocol_with_its_scoring(run, entry, cases, tmp_path):
    one, two = run(tmp_path), run(tmp_path, protocol_hash="feedfacecafe")
    theirs = entry(tmp_path)
    groups, frame = board([one, two, theirs], cases(one, 3), cases(two, 3), cases(theirs, 3))
    assert [len(group.runs) for group in groups] == [2, 2]
    assert frame.groupby("protocol_hash")["architecture"].nunique().tolist() == [2, 2]


def test_entries_are_grey_and_architectures_keep_their_colours():
    pairs = [("unet", ""), ("nnU-Net", style.EXTERNAL), ("MONAI", style.EXTERNAL)]
    looks = style.looks(pairs)
    assert looks["unet", ""] == style.looks([("unet", "")])["unet", ""]
    assert len({looks[pair].colour for pair in pairs}) == 3
    for pair in pairs[1:]:
        red, green, blue = style.rgb(looks[pair].colour)
        assert red == green == blue


def test_figures_show_what_is_known_of_an_entry(run, entry, cases, tmp_path):
    ours, theirs = run(tmp_path), entry(tmp_path)
    (group,), frame = board([ours, theirs], cases(ours, 3), cases(theirs, 3))
    looks = style.looks(group.names)

    def legend(figure):
        return [text.get_text() for text in figure.legends[0].get_texts()]

    assert legend(scores.draw(group, looks))[:2] == ["U-Net", "nnU-Net (external)"]
    assert legend(costs.draw(group, frame, looks)) == ["U-Net (1.94 M)"]
    rows = [tick.get_text() for tick in heatmap.draw([group], frame).axes[0].get_yticklabels()]
    assert rows == ["U-Net", "nnU-Net (external)"]
