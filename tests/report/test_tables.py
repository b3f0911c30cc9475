import re
from itertools import pairwise

import pandas as pd
import pytest

from benchmark.errors import BenchmarkError
from benchmark.report.columns import Printing
from benchmark.report.document import tex_escape
from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import by_group, leaderboard
from benchmark.report.numerals import count, duration, magnitude, number, significant
from benchmark.report.tables import latex, markdown, write_tables


@pytest.fixture
def made(record, finished, tmp_path):
    records, cases, epochs = finished(
        [
            record(tmp_path, "unet", "acdc", "phantom"),
            record(tmp_path, "vnet", "acdc", "phantom"),
            record(tmp_path, "deeplabv3", "acdc", "phantom", status="oom"),
            record(tmp_path, "unet", "camus", "real", unannotated=("left_atrium",)),
            record(tmp_path, "my_net", "camus", "real", unannotated=("left_atrium",)),
        ],
        patients=4,
        slices=False,
    )
    groups = comparison_groups(records, cases, epochs)
    return groups, leaderboard(groups)


def test_every_row_names_its_source_and_no_section_mixes_them(made):
    groups, frame = made
    sections = markdown(frame, groups).split("\n## ")[1:]
    assert len(sections) == 2
    for section, source, other in zip(
        sections, ("phantom", "real"), ("real", "phantom"), strict=True
    ):
        body = [line for line in section.splitlines() if re.match(r"\| (ACDC|CAMUS)", line)]
        assert body
        assert all(f"| {source}" in line for line in body)
        assert not any(other in line for line in body)


def test_failed_runs_are_rows_with_their_status(made):
    groups, frame = made
    text = markdown(frame, groups)
    assert re.search(r"\| DeepLabv3, fold 0, seed 0 +(\| +— ){4}\| +— \(oom\) \|", text)
    assert "DeepLabv3, fold 0, seed 0: oom: expected 4 GiB" in text
    assert "--- (oom)" in latex(frame, groups)


def test_costs_show_what_was_measured_and_nothing_else(record, finished, tmp_path):
    records = [record(tmp_path, name) for name in ("unet", "vnet")]
    timing = {"latency_ms_p50": 4.56, "throughput_per_s": 105.2, "throughput_batch": 8}

    def costs():
        groups = comparison_groups(*finished(records, patients=3, slices=False))
        return markdown(leaderboard(groups), groups).split("Costs")[1]

    bare = costs()
    assert "Training time" in bare
    for heading in ("GMACs", "Latency", "Patches per second", "energy", "GPU"):
        assert heading not in bare
    records[0]["timing"] |= timing
    records[0]["gmacs"] = 1.234
    records[0]["energy"] = {"train_j": 12_340.0, "train_cpu_j": 2_340.0, "train_gpu_j": 10_000.0}
    full = costs()
    lines = {cells[3]: cells for line in full.splitlines() if line.startswith("| ACDC")
             for cells in [[cell.strip() for cell in line.split("|")]]}  # fmt: skip
    assert "1.23" in lines["U-Net"]
    assert "4.56" in lines["U-Net"]
    assert "105 (8)" in lines["U-Net"]
    assert "12.3 (CPU, GPU)" in lines["U-Net"]
    assert lines["V-Net"].count("—") == lines["U-Net"].count("—") + 4


def test_footers_name_unannotated_classes_and_phantoms(made):
    groups, frame = made
    first, second = markdown(frame, groups).split("\n## ")[1:]
    assert "Phantom data: synthetic hearts" in first
    assert "hence not scored: left atrium" in second
    assert "left atrium" not in first
    assert "Dice left atrium" not in second


def test_markdown_columns_line_up(made):
    groups, frame = made
    table = [line for line in markdown(frame, groups).splitlines() if line.startswith("|")]
    for first, second in pairwise(table):
        if first.startswith("| ACDC") and second.startswith("| ACDC"):
            assert len(first) == len(second)
            assert first.count("|") == second.count("|")


def test_latex_is_balanced_and_escaped(made):
    groups, frame = made
    text = latex(frame, groups)
    assert text.count(r"\begin{") == text.count(r"\end{")
    depth = 0
    for position, character in enumerate(text):
        if position and text[position - 1] == "\\":
            continue
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert not re.search(r"(?<!\\)[_#$&%](?![\w ])(?<!&)", body.replace("&", "").replace("{%", ""))
    assert r"\toprule" in text
    assert "left ventricle" in text
    rows = [line for line in text.splitlines() if line.rstrip().endswith(r"\\")]
    tables = text.split(r"\begin{tabular}")[1:]
    for table in tables:
        columns = re.match(r"\{@\{\}([lr]+)@\{\}\}", table)
        assert columns
        lines = [line for line in table.splitlines() if line.rstrip().endswith(r"\\")]
        assert {line.count("&") + 1 for line in lines} == {len(columns.group(1))}
    assert rows


def test_best_is_bold_and_second_underlined(made):
    groups, frame = made
    text = latex(frame, groups[:1])
    row = by_group(frame, groups[0]).iloc[0]
    assert rf"\textbf{{{row['dice']:.3f} [" in text
    second = by_group(frame, groups[0]).iloc[1]
    assert rf"\underline{{{second['dice']:.3f} [" in text


def rows_of(text):
    """The cells of all rows of the first table in a document."""
    lines = text.split("###")[1].splitlines()
    table = [line for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_columns_are_chosen_and_ordered(made):
    groups, frame = made
    asked = Printing(("dice", "architecture", "parameters", "dice_left_ventricle"))
    text = markdown(frame, groups, asked)
    heading, _, first, *_ = rows_of(text)
    assert heading == ["Dice [95 % interval]", "Architecture", "Dice left ventricle"]
    assert first[1] == "U-Net"
    assert "| Architecture | Parameters |" in re.sub(" +", " ", text)
    # What is left out of the table is left out of no note and no CSV.
    assert "Phantom data: synthetic hearts" in text
    assert "DeepLabv3, fold 0, seed 0: oom" in text
    for tables in (latex(frame, groups, asked), latex(frame, groups)):
        assert tables.count(r"\begin{tabular}") == 2 * len(groups)
    assert "{@{}rlr@{}}" in latex(frame, groups, asked)


def test_rows_keep_their_name_and_tables_without_a_chosen_column_go(made):
    groups, frame = made
    text = markdown(frame, groups, Printing(("train_s",)))
    assert rows_of(text)[0] == ["Architecture", "Training time"]
    assert "Segmentation scores" not in text
    assert text.count("Phantom data: synthetic hearts") == 1


def test_an_unknown_column_is_refused_and_nothing_written(made, tmp_path):
    groups, frame = made
    with pytest.raises(BenchmarkError, match=r"(?s)rank_interval.*gmacs.*'dise'.*'dice'") as fault:
        write_tables(tmp_path / "report", frame, groups, Printing(("dise",)))
    assert len(str(fault.value).splitlines()) == 1
    assert not (tmp_path / "report").exists()
    # A column that some report has is no error in one that lacks it.
    assert "Costs" not in markdown(frame, groups, Printing(("dice", "energy_j")))


def test_decimals_are_printed_as_asked_and_decide_no_rank(made):
    groups, frame = made
    row = by_group(frame, groups[0]).iloc[0]
    text = markdown(frame, groups, Printing(decimals=5))
    assert f"{row['dice']:.5f} [{row['dice_low']:.5f}, {row['dice_high']:.5f}]" in text
    assert f"{row['nsd']:.5f}" in text
    assert "decided on 3 decimals, not on the 5 printed" in text
    assert "decimals, not on" not in markdown(frame, groups)
    places = [
        [cells[4] for cells in rows_of(markdown(frame, groups, Printing(decimals=n)))]
        for n in (2, 3)
    ]
    assert places[0] == places[1]
    for wrong in (1, 6):
        with pytest.raises(BenchmarkError, match="expected 2 to 5 decimals"):
            Printing(decimals=wrong)


def test_nsd_stands_beside_hd95_and_more_is_better(made):
    groups, frame = made
    rows = by_group(frame, groups[0])
    best, worst = rows[rows["rank"].notna()]["nsd"]
    assert best > worst
    heading, _, *body = rows_of(markdown(frame, groups))
    place = heading.index("NSD")
    assert heading[place - 1] == "HD95 (mm)"
    assert [cells[place] for cells in body] == [f"**{best:.3f}**", f"{worst:.3f}", "—"]


def test_a_row_alone_is_not_called_best(record, finished, tmp_path):
    groups = comparison_groups(*finished([record(tmp_path)], patients=3, slices=False))
    frame = leaderboard(groups)
    assert "**" not in markdown(frame, groups)
    assert r"\textbf" not in latex(frame, groups)


def test_csv_keeps_full_precision_and_machine_names(made, tmp_path):
    groups, frame = made
    paths = write_tables(tmp_path / "report", frame, groups)
    assert [path.name for path in paths] == [
        "leaderboard.csv",
        "leaderboard.md",
        "leaderboard.tex",
        "cases.csv",
    ]
    back = pd.read_csv(paths[0])
    assert back["dice"].dropna().tolist() == frame["dice"].dropna().tolist()
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in back.columns)
    cases = pd.read_csv(paths[3])
    wanted = {"run", "architecture", "dataset", "source", "fold", "seed", "case", "patient"}
    wanted |= {"class", "dice", "iou"}
    assert wanted <= set(cases.columns)
    assert len(cases) == sum(len(group.cases) for group in groups)


def test_no_runs_are_said_in_words(tmp_path):
    frame = leaderboard([])
    assert "No runs yet." in markdown(frame, [])
    paths = write_tables(tmp_path, frame, [])
    assert "dice" in pd.read_csv(paths[3]).columns


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b", r"a\_b"),
        ("5 % & $", r"5 \% \& \$"),
        ("{x}", r"\{x\}"),
        ("a\\b", r"a\textbackslash{}b"),
    ],
)
def test_tex_escape(text, escaped):
    assert tex_escape(text) == escaped


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(0.91449, 3), "0.914"),
        (number(float("nan"), 3), "—"),
        (number(float("inf"), 1), "—"),
        (count(pd.NA), "—"),
        (count(3), "3"),
        (significant(1234.5), "1230"),
        (significant(0.01234), "0.0123"),
        (significant(0.0), "0"),
        (magnitude(999_999), "1.00 M"),
        (magnitude(1_940_000), "1.94 M"),
        (magnitude(512), "512"),
        (magnitude(float("nan")), "—"),
        (duration(4.25), "4.2 s"),
        (duration(59.6), "1 min 00 s"),
        (duration(245), "4 min 05 s"),
        (duration(3599.7), "1 h 00 min"),
        (duration(12_000), "3 h 20 min"),
    ],
)
def test_numbers_as_people_read_them(shown, expected):
    assert shown == expected
