"""Figures of every width: what they hold, and that all of it can be read."""

import pandas as pd
import pytest

from benchmark.report import layout, style
from benchmark.report.figures import begin_figures, overlays, scores
from benchmark.report.figures.crew import Crew
from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import by_group, leaderboard
from benchmark.report.material import gather
from benchmark.report.stability import rankings
from benchmark.report.standings import tiers_of
from tests.report.figure_texts import overlaps

NAMES = ("unet", "attention_unet", "vnet", "deeplabv3")


def test_no_text_of_a_figure_overlaps_another_or_leaves_it(record, finished, clinical, tmp_path):
    from benchmark.report.figures import worst

    records = [record(tmp_path, name, "acdc") for name in NAMES]
    records += [record(tmp_path, "vnet", "acdc", seed=1, status="diverged")]
    records += [record(tmp_path, name, "decathlon") for name in NAMES]
    groups = comparison_groups(*finished(records, patients=4, side=48))
    frame, looks = leaderboard(groups), style.looks(groups[0].names)
    group = groups[0]
    with layout.drawing():
        figures = {
            "dice": scores.draw(group, looks, tiers_of(by_group(frame, group))),
            "overlay": overlays.draw(group),
            "worst": worst.draw(group),
            **of_both_widths(frame, groups, clinical(records, patients=6), looks),
        }
        assert len(figures) == 3 + 2 * 10
        for kind, figure in figures.items():
            assert figure is not None, kind
            assert not overlaps(figure), kind
            width_in = layout.ONE_COLUMN_IN if kind.endswith("_1col") else layout.TWO_COLUMNS_IN
            assert figure.get_size_inches()[0] == pytest.approx(width_in), kind


def of_both_widths(frame, groups, clinical, looks):
    """The figures of the first group and of all groups that are laid out for one column, too."""
    from benchmark.report.across import ranks_across
    from benchmark.report.comparisons import comparisons
    from benchmark.report.figures import agreement, costs, heatmap, ranks, stability, tiers
    from benchmark.report.figures import training as curves

    group = groups[0]
    rows = by_group(frame, group)
    pairs, found = by_group(comparisons(frame, groups), group), rankings(frame, groups)
    across = ranks_across(frame, groups)
    figures = {}
    for width_in in layout.WIDTHS["both"]:
        drawn = {
            "tiers": tiers.draw(group, rows, pairs, looks, width_in),
            "cost": costs.draw(group, rows, looks, width_in),
            "training": curves.draw(group, looks, width_in),
            "heatmap": heatmap.draw(groups, frame, width_in),
            "stability": stability.draw(found, looks, width_in),
            "ranks": ranks.draw(across, groups, looks, width_in),
            **agreement.draw(group, clinical, looks, width_in),
        }
        end = "" if width_in == layout.TWO_COLUMNS_IN else "_1col"
        figures |= {f"{kind}{end}": figure for kind, figure in drawn.items()}
    return figures


def test_one_column_is_drawn_on_request_and_nothing_for_no_format(record, finished, tmp_path):
    records = [record(tmp_path, name) for name in ("unet", "vnet")]
    material = gather(
        tmp_path, *finished(records, patients=3, slices=False), clinical=pd.DataFrame()
    )
    made = []
    for formats, width in ((["svg"], "one"), ([], "two")):
        drawn = begin_figures(material, formats, width, Crew())
        made.append({path.stem for path in drawn()})
    slug = material.groups[0].slug
    # Boxes per class need the room of two columns whatever is asked for.
    assert made[0] == {
        f"dice_{slug}", "heatmap_phantom_1col", "stability_phantom_1col",
        *(f"{kind}_{slug}_1col" for kind in ("tiers", "cost", "training")),
    }  # fmt: skip
    assert not made[1]
    assert not list((tmp_path / "report" / "figures").iterdir())


def test_what_has_no_room_in_one_column_is_drawn_for_two(record, finished, tmp_path):
    records = [
        record(tmp_path, name, dataset)
        for name in ("unet", "a_network_of_my_own_making")
        for dataset in ("acdc", "camus", "decathlon")
    ]
    material = gather(tmp_path, *finished(records, patients=3, slices=False), pd.DataFrame())
    stems = {}
    for width in ("one", "both"):
        drawn = begin_figures(material, ["svg"], width, Crew())
        stems[width] = {path.stem for path in drawn()}
    assert {"heatmap_phantom", "cost_acdc_phantom_1col"} <= stems["one"]
    assert "cost_acdc_phantom" not in stems["one"]
    assert "heatmap_phantom_1col" not in stems["one"] | stems["both"]
    assert {"heatmap_phantom", "cost_acdc_phantom"} <= stems["both"]


@pytest.mark.parametrize("count", [1, 6])
def test_a_row_with_many_options_has_a_long_name(record, finished, clinical, tmp_path, count):
    options = {f"option_number_{number}": number for number in range(count)}
    records = [
        record(tmp_path, name, dataset, **chosen)
        for dataset in ("acdc", "decathlon")
        for name, chosen in (("unet", {}), ("vnet", {}), ("vnet", options))
    ]
    groups = comparison_groups(*finished(records, patients=3, slices=False))
    frame, looks = leaderboard(groups), style.looks(groups[0].names)
    with layout.drawing():
        figures = of_both_widths(frame, groups, clinical(records, patients=3), looks)
        for kind in ("tiers", "ranks", "heatmap"):
            assert not overlaps(figures[kind]), kind
            narrow = figures[f"{kind}_1col"]
            assert narrow is None or not overlaps(narrow), kind
            assert narrow is None or count < 3, kind


@pytest.mark.parametrize("width_in", layout.WIDTHS["both"])
def test_the_release_of_a_dataset_has_room_beside_the_ranks(record, finished, tmp_path, width_in):
    from benchmark.report.figures import stability

    records = [
        record(tmp_path, name, "decathlon", "real") | {"release": "LA2018"} for name in NAMES[:2]
    ]
    groups = comparison_groups(*finished(records, patients=4, slices=False))
    assert groups[0].title == "Decathlon heart (LA2018)"
    found = rankings(leaderboard(groups), groups)
    with layout.drawing():
        figure = stability.draw(found, style.looks(groups[0].names), width_in)
        assert figure.get_size_inches()[0] == pytest.approx(width_in)
        assert not overlaps(figure)
