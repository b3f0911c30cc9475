import itertools
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.report import layout, style, write_report
from benchmark.report.figures import overlays, scores, slices
from benchmark.report.figures.costs import pareto_front
from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import leaderboard
from benchmark.report.material import gather
from benchmark.report.stability import rankings
from tests.report.figure_texts import svg_text

NAMES = ("unet", "attention_unet", "vnet", "deeplabv3")

TABLES = [
    *("leaderboard.csv", "leaderboard.md", "leaderboard.tex", "cases.csv"),
    *("strata.csv", "strata.md", "strata.tex", "clinical.csv", "clinical.md", "clinical.tex"),
    *(f"{stem}.{kind}" for stem in ("comparisons", "stability", "across")
      for kind in ("csv", "md", "tex")),
    "challenger.csv",
    *("errors.csv", "errors_by_kind.csv", "worst_cases.csv", "errors.md", "errors.tex"),
]  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """One report of two groups, made once: a phantom one with a failed run, and a real one."""
    from importlib.util import module_from_spec, spec_from_file_location
    from pathlib import Path

    spec = spec_from_file_location("made_up", Path(__file__).with_name("conftest.py"))
    assert spec
    assert spec.loader
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    results = tmp_path_factory.mktemp("results")
    records = [
        made.make_record(results, "unet", "acdc", "phantom"),
        made.make_record(results, "vnet", "acdc", "phantom"),
        made.make_record(results, "deeplabv3", "acdc", "phantom", status="oom"),
        made.make_record(results, "unet", "decathlon", "real"),
    ]
    done = [item for item in records if item["status"] == "ok"]
    tables = [made.make_cases(item, 4) for item in done]
    for item, table in zip(done, tables, strict=True):
        made.write_slices(item, table, 48)
    cases = pd.concat(tables, ignore_index=True)
    epochs = pd.concat([made.make_epochs(item, 5) for item in done], ignore_index=True)
    clinical = pd.concat([made.make_clinical(item, 4) for item in done], ignore_index=True)
    frames = (cases, epochs, clinical)
    return (
        results,
        records,
        frames,
        write_report(gather(results, records, *frames), formats=["svg"]),
    )


def test_each_group_has_its_figures_and_the_source_is_in_the_name(report):
    results, *_, paths = report
    stems = {path.stem for path in paths if path.suffix == ".svg"}
    kinds = ("dice", "cost", "training", "overlay", "worst")
    agreement_kinds = ("bland_altman", "correlation")
    assert stems == {
        *(f"{kind}_acdc_phantom" for kind in kinds),
        *(f"{kind}_decathlon_real" for kind in kinds),
        *(f"{kind}_{name}_acdc_phantom" for kind in agreement_kinds for name in ("lv", "rv")),
        *(f"{kind}_la_decathlon_real" for kind in agreement_kinds),
        "heatmap_phantom",
        "heatmap_real",
        # the real group has one row, which cannot be ranked
        *("stability_phantom", "tiers_acdc_phantom"),
    }
    assert all(path.is_file() for path in paths)
    moving = [path.stem for path in paths if path.suffix == ".gif"]
    assert moving == ["animation_acdc_phantom", "animation_decathlon_real"]
    page = [path for path in paths if path.name in ("index.html", "METHODOLOGY.md")]
    cases = [path for path in paths if path.suffix == ".js"]
    assert len(page) == 2
    assert len(paths) == len(TABLES) + len(stems) + len(moving) + len(page) + len(cases)
    assert paths[0] == results / "report" / "leaderboard.csv"


def test_files_open(report, tmp_path):
    """A figure of text and lines, and one of pictures, in every format."""
    _, records, (cases, epochs, _), _ = report
    group = comparison_groups(records, cases, epochs)[0]
    with layout.drawing():
        figures = {
            "dice": scores.draw(group, style.looks(group.names)),
            "overlay": overlays.draw(group),
        }
        paths = [path for stem, one in figures.items() for path in layout.save(one, tmp_path, stem)]
    assert len(paths) == 2 * len(layout.FORMATS)
    for path in paths:
        if path.suffix == ".png":
            with Image.open(path) as image:
                image.verify()
            with Image.open(path) as image:
                assert round(image.info["dpi"][0]) == 300
                assert image.size[0] == 300 * layout.TWO_COLUMNS_IN
        elif path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
        elif path.suffix == ".pdf":
            content = path.read_bytes()
            assert content.startswith(b"%PDF")
            assert content.rstrip().endswith(b"%%EOF")
            assert b"/CreationDate" not in content
            assert b"/Type3" not in content
            # Regular and bold, each embedded once: no ligature, no font of one glyph.
            assert content.count(b"/FontFile2") == 2


def test_phantoms_are_marked_and_real_data_is_not(report):
    for path in report[-1]:
        if path.suffix == ".svg":
            text = svg_text(path)
            assert ("PHANTOM" in text) == ("phantom" in path.stem)
            assert ("real data" in text) == ("real" in path.stem)


def test_text_stays_text_and_failed_runs_are_told(report):
    paths = {path.name: path for path in report[-1]}
    assert "U-Net (tier 1)" in svg_text(paths["dice_acdc_phantom.svg"])
    for kind in ("dice", "cost", "training", "bland_altman_rv", "correlation_lv"):
        assert "DeepLabv3: — (oom)" in svg_text(paths[f"{kind}_acdc_phantom.svg"])
    assert "— (oom)" in svg_text(paths["heatmap_phantom.svg"])


def test_the_same_records_give_the_same_bytes(report, tmp_path):
    _, records, frames, paths = report
    again = [record for record in records if record["spec"]["source"] == "real"]
    found = [
        path for path in write_report(gather(tmp_path, again, *frames), formats=["svg"])
        if path.suffix == ".svg"
    ]  # fmt: skip
    assert len(found) == 8
    for path in found:
        first = next(other for other in paths if other.name == path.name)
        assert first.read_bytes() == path.read_bytes(), path.name


def test_the_order_of_the_records_changes_nothing(report, tmp_path):
    from benchmark.report.clinical import agreement_frame
    from benchmark.report.clinical_tables import write_clinical
    from benchmark.report.tables import write_tables

    _, records, (cases, epochs, clinical), paths = report
    groups = comparison_groups(records[::-1], cases, epochs)
    clinical = clinical[::-1]
    agreed = write_clinical(tmp_path, agreement_frame(groups, clinical), groups, clinical)
    for again in [*write_tables(tmp_path, leaderboard(groups), groups), *agreed]:
        first = next(path for path in paths if path.name == again.name)
        assert first.read_bytes() == again.read_bytes(), again.name


def test_a_report_of_failures_alone_has_tables_and_a_heat_map(record, tmp_path):
    records = [record(tmp_path, name, status="oom") for name in ("unet", "vnet")]
    paths = write_report(gather(tmp_path, records, *[pd.DataFrame()] * 3))
    assert sorted(path.name for path in paths if path.suffix == ".png") == ["heatmap_phantom.png"]
    assert "— (oom)" in (tmp_path / "report" / "leaderboard.md").read_text(encoding="utf-8")


def test_figures_of_an_earlier_report_are_removed(record, tmp_path):
    empty = [pd.DataFrame()] * 3
    for source in ("phantom", "real"):
        failed = [record(tmp_path, source=source, status="oom")]
        write_report(gather(tmp_path, failed, *empty), formats=["svg"])
    left = [path.name for path in (tmp_path / "report" / "figures").iterdir()]
    assert left == ["heatmap_real.svg"]


def test_a_report_of_nothing_is_written(tmp_path):
    paths = write_report(gather(tmp_path, [], *[pd.DataFrame()] * 3))
    # Without a run there is no phase to split by.
    tables = [name for name in TABLES if "strata" not in name]
    assert [path.name for path in paths] == [*tables, "index.html", "METHODOLOGY.md"]


def test_matplotlib_settings_are_left_alone(report):
    import matplotlib

    assert matplotlib.rcParams["svg.fonttype"] == matplotlib.rcParamsDefault["svg.fonttype"]
    assert matplotlib.rcParams["font.size"] == matplotlib.rcParamsDefault["font.size"]


def test_pareto_front_holds_what_nothing_beats():
    costs = [3.0, 1.0, 2.0, 2.0, float("nan")]
    dice = [0.9, 0.7, 0.6, 0.8, 0.99]
    assert pareto_front(costs, dice) == [1, 3, 0]
    assert pareto_front([1.0, 1.0], [0.5, 0.6]) == [1]
    assert pareto_front([], []) == []


def test_cases_are_chosen_by_rule(record, finished, tmp_path):
    item = record(tmp_path, "unet", "decathlon")
    records, cases, epochs = finished([item], patients=3)
    cases = cases[cases["phase"] == "ED"].assign(dice=[0.5, 0.9, 0.7])
    group = comparison_groups(records, cases, epochs)[0]
    found = {("unet", ""): dict.fromkeys(cases["case"], tmp_path)}
    assert overlays.choose_cases(group, found) == [
        ("best", "patient001_ED"),
        ("median", "patient002_ED"),
        ("worst", "patient000_ED"),
    ]
    only = {("unet", ""): {"patient002_ED": tmp_path}}
    assert overlays.choose_cases(group, only) == [("best", "patient002_ED")]
    assert overlays.choose_cases(group, {}) == []


def test_blobs_have_the_area_of_their_share(record, finished, tmp_path):
    from matplotlib.patches import Ellipse

    from benchmark.report.figures import stability

    records = [record(tmp_path, name) for name in ("unet", "attention_unet", "vnet")]
    groups = comparison_groups(*finished(records, patients=7, slices=False))
    found = rankings(leaderboard(groups), groups)
    figure = stability.draw(found, style.looks(groups[0].names))
    assert figure is not None
    first = next(one for one in found if one.metric == "dice")
    blobs = figure.axes[0].findobj(Ellipse)
    assert len(blobs) == (first.shares > 0).sum()
    areas = np.array([blob.width * blob.height for blob in blobs])
    np.testing.assert_allclose(areas / areas.sum(), first.shares[first.shares > 0] / 3)
    assert stability.draw([], {}) is None


def test_worst_cases_are_those_of_the_table(record, finished, tmp_path):
    from benchmark.report.figures import worst
    from benchmark.report.worst import worst_cases

    records = [record(tmp_path, name, seed=seed) for name in ("unet", "vnet") for seed in (0, 1)]
    group = comparison_groups(*finished(records, patients=4, side=32))[0]
    figure = worst.draw(group)
    assert figure is not None
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == worst_cases(group)["case"].tolist()
    # The number is the one that orders them, whatever the run shown has.
    numbers = [axes.texts[0].get_text() for axes in figure.axes]
    assert numbers == [f"{dice:.3f}" for dice in worst_cases(group)["dice"]]
    bare = comparison_groups(*finished([record(tmp_path / "none")], slices=False))[0]
    assert worst.draw(bare) is None


def test_classes_that_are_not_scored_are_no_errors():
    image = np.zeros((4, 4), np.uint8)
    prediction = np.array([[0, 1, 2, 3]] * 4, np.uint8)
    one = slices.Slice(image, image, prediction, (1.0, 1.0), 0.5)
    assert slices.only_labels(one, [1, 2]).prediction[0].tolist() == [0, 1, 2, 0]


def test_a_slice_without_any_structure_is_shown_whole(record, finished, tmp_path):
    item = record(tmp_path, "unet", "decathlon")
    group = comparison_groups(*finished([item], patients=1, side=32))[0]
    for path in (item["path"] / "slices").glob("*.npz"):
        empty = np.zeros((20, 30), np.uint8)
        np.savez(
            path, image=empty, truth=empty, prediction=empty, spacing_mm=[2.0, 1.0], dice=np.nan
        )
    assert overlays.draw(group) is not None


def test_regions_stand_apart_from_classes_and_enter_no_mean(record, finished, tmp_path):
    records, cases, epochs = finished([record(tmp_path)], patients=3, slices=False)
    union = cases[cases["class"] == "myocardium"].assign(**{"class": "epicardium", "dice": 0.123})
    rows = pd.concat([cases.assign(kind="class"), union.assign(kind="region")], ignore_index=True)
    group, bare = (comparison_groups(records, part, epochs)[0] for part in (rows, cases))
    looks = style.looks(group.names)
    (axes,), (without,) = (scores.draw(one, looks).axes for one in (group, bare))
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert labels[-1].startswith("epicardium (union)")
    assert labels[:-1] == [tick.get_text() for tick in without.get_xticklabels()]
    gaps = np.diff(axes.get_xticks())
    assert gaps[-1] > gaps[0]


def test_words_of_a_panel_lie_over_no_point():
    from benchmark.report.figures.agreement import free_corner

    rng = np.random.default_rng(0)
    for _ in range(20):
        points = rng.uniform(0, 1, (25, 2)) * [1, 0.7]
        x, y = free_corner(points, 0.4, 0.15)
        over = (points > (x, y - 0.15)) & (points < (x + 0.4, y))
        assert not over.all(axis=1).any()
        assert x >= 0
        assert y <= 1
    assert free_corner(np.empty((0, 2)), 0.4, 0.15) == (0.03, 0.98)
    below = np.array([[0.1, 0.9], [0.9, 0.9]])
    assert free_corner(below, 0.4, 0.15) == pytest.approx((0.03, 0.18))


def test_rows_are_joined_that_no_test_separates():
    from benchmark.report.figures.tiers import cliques

    names = [(letter, "") for letter in "abcd"]
    a, b, c, d = names

    def alike(*pairs):
        return {frozenset(pair) for pair in pairs}

    assert cliques(names, alike()) == []
    # b is like a and like c, which are separable from each other.
    assert cliques(names, alike((a, b), (b, c))) == [[a, b], [b, c]]
    assert cliques(names, alike((a, b), (b, c), (a, c))) == [[a, b, c]]
    assert cliques(names, alike((a, d), (b, c))) == [[a, d], [b, c]]


def test_forty_rows_that_nothing_separates_are_one_set():
    from benchmark.report.figures.tiers import cliques

    names = [(f"net{number}", "") for number in range(40)]  # 2^40 calls without a pivot
    alike = {frozenset(pair) for pair in itertools.combinations(names, 2)}
    assert cliques(names, alike) == [names]
    apart = alike - {frozenset((names[0], names[39]))}
    assert cliques(names, apart) == [names[:39], names[1:]]


def test_tiers_join_what_the_tests_of_the_table_leave_together(record, finished, tmp_path):
    from benchmark.report.comparisons import comparisons
    from benchmark.report.figures import tiers

    records = [record(tmp_path, name) for name in NAMES]
    groups = comparison_groups(*finished(records, patients=4, slices=False))
    frame = leaderboard(groups)
    pairs = comparisons(frame, groups)
    assert not pairs["separable"].any()  # four patients separate nothing
    figure = tiers.draw(groups[0], frame, pairs, style.looks(groups[0].names))
    (line,) = figure.axes[2].lines
    assert list(line.get_ydata()) == [0, 1, 2, 3]
    assert [text.get_text().strip() for text in figure.axes[2].texts] == ["tier 1"]
    assert tiers.draw(groups[0], frame, pairs[:0], {}) is None


def test_rule_ranks_over_few_datasets_are_drawn_as_a_description(record, finished, tmp_path):
    from benchmark.report.across import ranks_across
    from benchmark.report.figures import ranks

    def words(datasets):
        made = [record(tmp_path, name, data) for name in NAMES for data in datasets]
        groups = comparison_groups(*finished(made, patients=3, slices=False))
        across = ranks_across(leaderboard(groups), groups)
        figure = ranks.draw(across, groups, style.looks(groups[0].names))
        texts = figure.texts + figure.axes[0].texts
        return " ".join(text.get_text().replace("\n", " · ") for text in texts)

    three, two = words(["acdc", "camus", "decathlon"]), words(["acdc", "camus"])
    assert "Nemenyi's critical difference, 5 %: 2.71" in three
    assert "critical difference" not in two
    assert "over 2 datasets Nemenyi's test asks for 3.32, more than the 3 possible" in two
    for text, count in ((three, 3), (two, 2)):
        assert "a description, not a test" in text
        assert f"{count} datasets are too few to tell architectures apart" in text


def test_looks_differ_without_colour():
    looks = style.looks([(name, "") for name in (*NAMES, "alpha", "beta", "gamma")]).values()
    assert len({look.marker for look in looks}) == 7
    assert len({str(look.dashes) for look in looks}) == 7
    assert len({look.hatch for look in looks}) == 7


def test_colours_belong_to_architectures():
    alone = style.looks([("vnet", "")])
    among = style.looks([("unet", ""), ("vnet", ""), ("zeta", ""), ("alpha", "")])
    assert alone[("vnet", "")] == among[("vnet", "")]
    assert len({look.colour for look in among.values()}) == 4
    variants = style.looks([("unet", "width=16"), ("unet", "width=32")])
    assert len({look.colour for look in variants.values()}) == 2
