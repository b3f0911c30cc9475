"""Pairs, rank stability, ranks over datasets, and what challengeR reads."""

import csv
import io

import numpy as np
import pandas as pd
import pytest

from benchmark.report.across import across_sections, ranks_across
from benchmark.report.analyses import challenger, write_analyses
from benchmark.report.comparisons import COLUMNS, comparison_sections, comparisons, p_value
from benchmark.report.document import latex, markdown
from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import leaderboard
from benchmark.report.material import Material
from benchmark.report.stability import (
    METRICS,
    rankings,
    stability_frame,
    stability_sections,
)
from benchmark.statistics.ranking import SCHEMES

NAMES = ("unet", "attention_unet", "vnet", "deeplabv3")


@pytest.fixture
def made(record, finished, tmp_path):
    records = [
        record(tmp_path, name, dataset, "real")
        for dataset in ("acdc", "camus", "decathlon")
        for name in NAMES
    ]
    records.append(record(tmp_path, "my_net", "acdc", "real", status="oom"))
    groups = comparison_groups(*finished(records, patients=8, slices=False))
    return leaderboard(groups), groups


def test_every_pair_of_ranked_rows_has_a_row(made):
    frame, groups = made
    pairs = comparisons(frame, groups)
    assert list(pairs.columns) == list(COLUMNS)
    assert len(pairs) == 3 * 6
    assert "my_net" not in set(pairs["first"]) | set(pairs["second"])
    assert (pairs["difference"] >= 0).all()
    assert (pairs["p"] <= pairs["p_holm"]).all()
    assert (pairs["separable"] == (pairs["p_holm"] < 0.05)).all()
    assert (pairs["patients"] == 8).all()
    dice = frame.set_index(["dataset", "architecture"])["dice"]
    for row in pairs.itertuples():
        expected = dice[row.dataset, row.first] - dice[row.dataset, row.second]
        assert row.difference == pytest.approx(expected)


def test_pairs_decide_tiers(made):
    frame, groups = made
    pairs = comparisons(frame, groups).set_index(["dataset", "first", "second"])["separable"]
    for dataset, rows in frame[frame["tier"].notna()].groupby("dataset"):
        leader, *others = rows["architecture"]
        for name, tier in zip(others, rows["tier"][1:], strict=True):
            assert (tier == 1) == (not pairs[dataset, leader, name]) or tier > 2


def test_pairs_are_printed_with_their_test(made):
    frame, groups = made
    sections = comparison_sections(comparisons(frame, groups), frame, groups)
    text = markdown("Pairs", sections)
    assert text.count("| U-Net ") == 9
    assert "randomisation test" in text
    assert latex(sections).count(r"\begin{tabular}") == 3
    assert p_value(0.0004) == "< 0.001"
    assert p_value(0.0312) == "0.031"


def test_stability_has_every_metric_and_scheme(made):
    frame, groups = made
    found = stability_frame(rankings(frame, groups))
    assert len(found) == 3 * len(METRICS) * len(SCHEMES) * len(NAMES)
    shares = found[[name for name in found if name.startswith("share_")]]
    assert shares.shape[1] == len(NAMES)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (found["rank_low"] <= found["rank_median"]).all()
    assert (found["rank_median"] <= found["rank_high"]).all()
    assert found["tau_low"].between(-1, 1).all()
    means = found[(found["metric"] == "dice") & (found["scheme"] == "mean then rank")]
    ranks = means.set_index(["dataset", "architecture"])["rank"]
    for row in frame[frame["rank"].notna()].itertuples():
        # The leaderboard rounds to what it prints; here nothing but noise is rounded off.
        assert ranks[row.dataset, row.architecture] >= row.rank


def test_schemes_stand_side_by_side(made):
    frame, groups = made
    text = markdown("Stability", stability_sections(rankings(frame, groups), frame, groups))
    heading = next(line for line in text.splitlines() if line.startswith("| Metric"))
    for title in ("Mean, then rank", "Median, then rank", "Rank, then mean", "Test, then rank"):
        assert title in heading
    assert "| HD95   | DeepLabv3" in text
    assert "worst rank" in text
    assert "Kendall" in text


def test_a_metric_that_cases_lack_is_left_out(record, finished, tmp_path):
    records, cases, epochs = finished(
        [record(tmp_path, name) for name in NAMES[:2]], patients=3, slices=False
    )
    groups = comparison_groups(records, cases.drop(columns=["nsd", "hd95_mm"]), epochs)
    found = rankings(leaderboard(groups), groups)
    assert {one.metric for one in found} == {"dice"}
    assert "NSD" not in markdown(
        "Stability", stability_sections(found, leaderboard(groups), groups)
    )


def test_ranks_are_decided_on_what_is_printed(record, finished, tmp_path):
    records, cases, epochs = finished([record(tmp_path, name) for name in NAMES[:2]], slices=False)
    cases["dice"] = np.where(cases["architecture"] == "unet", 0.9004, 0.8996)
    groups = comparison_groups(records, cases, epochs)
    frame = leaderboard(groups)
    first = next(one for one in rankings(frame, groups) if one.metric == "dice")
    assert first.stability.scheme == "mean then rank"
    assert first.stability.ranks.tolist() == frame["rank"].tolist() == [1, 1]


def test_a_patient_that_is_rightly_empty_costs_no_rank(record, finished, tmp_path):
    """One network leaves a patient empty, as the truth is; another invents something there."""
    records, cases, epochs = finished([record(tmp_path, name) for name in NAMES[:2]], slices=False)
    right, wrong = (cases["architecture"] == name for name in NAMES[:2])
    cases["dice"] = np.where(right, 0.9, 0.8)
    cases["outcome"] = "scored"
    empty = cases["patient"] == "patient001"
    cases.loc[right & empty, ["dice", "outcome"]] = [np.nan, "both_empty"]
    cases.loc[wrong & empty, ["dice", "outcome"]] = [0.0, "spurious"]
    groups = comparison_groups(records, cases, epochs)
    frame = leaderboard(groups)
    assert frame["status"].tolist() == ["ok", "ok"]
    assert dict(zip(frame["architecture"], frame["rank"], strict=True)) == {
        NAMES[0]: 1,
        NAMES[1]: 2,
    }
    # Nobody is compared on that patient; the mean of the leaderboard has the invented structure.
    assert comparisons(frame, groups)["patients"].tolist() == [9]
    assert frame["dice"].tolist() == pytest.approx([0.9, 0.72])
    for one in rankings(frame, groups):
        assert one.metric != "dice" or one.stability.ranks[0] == 1


def test_rule_ranks_over_datasets_are_described_and_not_tested(made):
    frame, groups = made
    ranks = ranks_across(frame, groups)
    assert len(ranks) == 3 * len(NAMES)
    for _, rows in ranks.groupby("architecture"):
        assert rows["mean_rank"].iloc[0] == pytest.approx(rows["rank"].mean())
    text = markdown("Across", across_sections(ranks, groups))
    assert "| Architecture    | Rank on ACDC | Rank on CAMUS |" in text
    assert "2.71 apart (5 %), of 3 possible" in text
    fewer = [group for group in groups if group.dataset != "camus"]
    text = markdown("Across", across_sections(ranks_across(frame, fewer), fewer))
    assert "over 2 datasets" in text
    assert "more than the 3 possible" in text


def test_architectures_without_a_rank_somewhere_are_not_averaged(record, finished, tmp_path):
    records = [
        record(tmp_path, name, dataset)
        for dataset, names in (("acdc", NAMES[:3]), ("camus", NAMES[1:3]))
        for name in names
    ]
    groups = comparison_groups(*finished(records, patients=3, slices=False))
    ranks = ranks_across(leaderboard(groups), groups)
    assert set(ranks["architecture"]) == set(NAMES[1:3])
    # Among those two: U-Net's first place on ACDC counts for neither.
    assert ranks["rank"].tolist() == [1, 1, 2, 2]


def test_one_dataset_has_no_mean_rank(made):
    frame, groups = made
    assert ranks_across(frame, groups[:1]).empty
    assert across_sections(ranks_across(frame, groups[:1]), groups[:1]) == []


def test_challenger_has_a_row_per_patient_and_ranked_row(made):
    frame, groups = made
    rows = list(csv.DictReader(io.StringIO(challenger(frame, groups))))
    assert list(rows[0]) == ["task", "alg_name", "value", "case"]
    assert {row["task"] for row in rows} == {"acdc_real", "camus_real", "decathlon_real"}
    assert len(rows) == 3 * len(NAMES) * 8
    mean = np.mean([float(row["value"]) for row in rows
                    if row["task"] == "camus_real" and row["alg_name"] == "vnet"])  # fmt: skip
    board = frame[(frame["dataset"] == "camus") & (frame["architecture"] == "vnet")]
    assert mean == pytest.approx(board["dice"].item())


def test_analyses_of_nothing_are_said_in_words(tmp_path):
    paths = write_analyses(Material(tmp_path, [], leaderboard([]), {}))
    assert [path.name for path in paths] == [
        *(f"{stem}.{kind}" for stem in ("comparisons", "stability", "across")
          for kind in ("csv", "md", "tex")),
        "challenger.csv",
    ]  # fmt: skip
    assert "Nothing to compare yet." in paths[1].read_text(encoding="utf-8")
    assert pd.read_csv(paths[0]).empty


def test_a_group_without_comparisons_says_why(record, finished, tmp_path):
    records = [record(tmp_path, "unet"), record(tmp_path, "unet", "camus"),
               record(tmp_path, "vnet", "camus")]  # fmt: skip
    groups = comparison_groups(*finished(records, patients=1, slices=False))
    write_analyses(Material(tmp_path, groups, leaderboard(groups), {}))
    for stem in ("comparisons", "stability"):
        text = (tmp_path / f"{stem}.md").read_text(encoding="utf-8")
        acdc, camus = text.split("\n## ")[1:]
        assert "1 row has a rank" in acdc
        assert "fewer than two patients have a Dice" in camus
