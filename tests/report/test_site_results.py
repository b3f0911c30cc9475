"""Made-up results are like real ones: whole, of every kind, and the same each time."""

from __future__ import annotations

from benchmark.records import (
    STATUSES,
    cases_frame,
    clinical_frame,
    digest_of,
    epochs_frame,
    read_records,
)
from benchmark.report.groups import comparison_groups
from tests.report.site_results import COMPARISONS, NETWORKS, PERIOD, write_results


def test_runs_are_whole_and_of_every_kind(tmp_path):
    runs = PERIOD + 5
    written = write_results(tmp_path, runs=runs, cases=8)
    records = read_records(tmp_path)
    assert {record["key"] for record in records} == {record["key"] for record in written}
    assert len(records) == runs
    statuses = [record["status"] for record in records]
    assert {"ok", "oom", "diverged"} < set(statuses) <= set(STATUSES)
    cases = cases_frame(records)
    assert cases.groupby("run")["case"].nunique().eq(8).all()
    assert cases["run"].nunique() == statuses.count("ok") == epochs_frame(records)["run"].nunique()
    assert {"both_empty", "scored"} <= set(cases["outcome"])
    assert {"ED", "ES"} < set(cases["phase"].fillna(""))
    assert set(cases["view"].dropna()) == {"2CH", "4CH"}
    assert cases["group"].nunique() > 3
    assert "epicardium" in set(cases.loc[cases["kind"] == "region", "class"])
    assert {"lv_ef", "la_volume"} < set(clinical_frame(records)["endpoint"])
    groups = comparison_groups(records, cases, epochs_frame(records))
    assert len(groups) == len(COMPARISONS)
    assert sum(group.phantom for group in groups) == 1
    assert any(group.others for group in groups), "several protocols of one dataset"
    assert all(len(group.names) == len(NETWORKS) for group in groups)


def test_the_truth_of_a_case_is_the_same_for_every_network(tmp_path):
    cases = cases_frame(write_results(tmp_path, runs=25, cases=8))
    known = ["dataset", "source", "case", "class"]
    sizes = cases.groupby(known)[["volume_truth_ml", "area_truth_cm2"]].nunique().sum(axis=1)
    assert len(sizes) > 50
    assert sizes.eq(1).all()


def test_the_same_arguments_give_the_same_folder(tmp_path):
    digests = []
    for name in ("one", "other"):
        write_results(tmp_path / name, runs=8, cases=4, pictures=True)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        digests.append({path.relative_to(tmp_path / name): digest_of(path) for path in files})
    assert digests[0] == digests[1]
    assert len(digests[0]) > 8 * 4
