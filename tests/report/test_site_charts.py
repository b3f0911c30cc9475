import io
import json
import math
import re
from pathlib import Path

import altair
import numpy as np
import pandas as pd
import pytest
import vl_convert

from benchmark.report.groups import comparison_groups
from benchmark.report.leaderboard import leaderboard
from benchmark.report.material import Material
from benchmark.report.numerals import duration
from benchmark.report.site import libraries
from benchmark.report.site.charts import chart_parts, clock, costs, parts, training
from benchmark.report.style import (
    _ARCHITECTURE_LOOKS,
    _EXTERNAL_LOOKS,
    _OTHER_LOOKS,
    DATASET_TITLES,
)


def material_of(records, cases, epochs, folder=Path("report")):
    groups = comparison_groups(records, cases, epochs)
    frame = leaderboard(groups)
    return Material(
        folder=folder,
        groups=groups,
        frame=frame,
        records={record["key"]: record for record in records},
    )


@pytest.fixture(scope="module")
def kept():
    """What the tests of this file only read, made once."""
    return {}


@pytest.fixture
def material(record, finished, kept, tmp_path):
    """Real and phantom data, two datasets, three seeds, a failed row and a partial one."""
    if "material" not in kept:
        records = [
            record(
                tmp_path, architecture, dataset, source, seed=seed,
                status="oom" if (dataset, architecture) == ("camus", "vnet") else "ok",
            )
            for dataset in ("acdc", "camus")
            for source in ("real", "phantom")
            for architecture in ("unet", "attention_unet", "vnet")
            for seed in (0, 1, 2)
        ]  # fmt: skip
        records.append(record(tmp_path, "deeplabv3", "acdc", "real", seed=0))
        records.append(record(tmp_path, "deeplabv3", "acdc", "real", seed=1, status="diverged"))
        latencies_ms = {"unet": 4.0, "vnet": 90.0}
        for item in records:
            if item["status"] == "ok":
                architecture = item["spec"]["architecture"]
                item["timing"]["latency_ms_p50"] = latencies_ms.get(architecture, 12.0)
        kept["material"] = material_of(*finished(records, patients=6, slices=False))
    return kept["material"]


@pytest.fixture
def drawn(material, kept):
    if "drawn" not in kept:
        kept["drawn"] = chart_parts(material)
    return kept["drawn"]


def chart_of(parts_of_page, slug, kind):
    return next(one for one in parts_of_page[slug] if one["id"] == f"{kind}-{slug}")


def csv_of(spec):
    """The rows that a chart draws, whatever layer they are in."""
    if "data" not in spec:
        return csv_of(next(layer for layer in spec["layer"] if "layer" in layer))
    return pd.read_csv(io.StringIO(spec["data"]["values"]))


def row_titles(spec):
    """The names that the transform of a chart gives its rows."""
    if "transform" not in spec:
        return row_titles(next(layer for layer in spec["layer"] if "layer" in layer))
    found = re.fullmatch(r"(\[.*\])\[datum\.i\]", spec["transform"][0]["calculate"])
    return json.loads(found.group(1))


def scales_of(node):
    """Every scale of rows in a specification: domain and range."""
    if isinstance(node, dict):
        if node.get("field") == "row" and "range" in node.get("scale", {}):
            yield node["scale"]["domain"], node["scale"]["range"]
        for child in node.values():
            yield from scales_of(child)
    elif isinstance(node, list):
        for child in node:
            yield from scales_of(child)


def test_altair_and_vega_take_every_chart(drawn):
    kinds = set()
    for charts in drawn.values():
        for chart in charts:
            kind = chart["id"].rsplit("-", 1)[0]
            if kind not in kinds:  # the groups differ in their numbers alone
                altair.Chart.from_dict(chart["spec"])
                svg = vl_convert.vegalite_to_svg({**chart["spec"], "width": 500})
                assert chart["title"] in svg
                assert "NaN" not in svg
            kinds.add(kind)
    assert kinds == {
        *("latency", "inference", "parameters", "stability"),
        *("training-dice", "training-loss", "clock", "heatmap"),
    }


def test_ids_differ_and_every_chart_is_described_with_numbers(drawn):
    charts = [chart for charts in drawn.values() for chart in charts]
    assert len({chart["id"] for chart in charts}) == len(charts)
    for chart in charts:
        assert re.search(r"\d\.\d|\d %", chart["description"])
        assert not re.search(r"\bnan\b|None", chart["description"])


def test_phantoms_are_said_in_titles_and_in_saved_pictures(drawn):
    for slug, charts in drawn.items():
        for chart in charts:
            phantom = "phantom" in (slug if slug != "across" else chart["id"])
            assert chart["title"].startswith("PHANTOM") == phantom
            assert chart["spec"]["title"]["text"] == chart["title"]
            assert ("not patients" in chart["spec"]["title"]["subtitle"]) == phantom


def test_no_number_is_nan_and_no_colour_is_of_text_or_ground(material, drawn):
    text = json.dumps(drawn, allow_nan=False)
    assert not re.search(r"\bnan\b|\binf\b", text, re.IGNORECASE)
    looks = {look.colour.lower() for look in material.looks.values()}
    # Beside the rows' own colours only those of the cells of a heat map, and a grey for both.
    others = {"#e6eef6", "#0b4f8a", "#808b96"}
    assert set(re.findall(r"#[0-9a-f]{6}", text.lower())) <= looks | others


def test_points_of_costs_are_those_of_the_leaderboard(material, drawn):
    group = next(group for group in material.groups if group.slug == "acdc_real")
    rows = material.rows(group)
    rows = rows[rows["run"].isna()].set_index("architecture")
    titles = {"unet": "U-Net", "attention_unet": "Attention U-Net", "vnet": "V-Net",
              "deeplabv3": "DeepLabv3"}  # fmt: skip
    for kind, column in (("latency", "latency_ms"), ("parameters", "parameters")):
        points = chart_of(drawn, "acdc_real", kind)["spec"]["data"]["values"]
        assert [point["row"] for point in points] == list(titles.values())
        for point, name in zip(points, titles, strict=True):
            assert point["cost"] == pytest.approx(rows.loc[name, column])
            for field in ("dice", "low", "high"):
                column_name = "dice" if field == "dice" else f"dice_{field}"
                assert point[field] == pytest.approx(rows.loc[name, column_name], abs=1e-5)
            assert point["partial"] == (name == "deeplabv3")


def test_front_of_a_hand_made_set(record, finished, tmp_path):
    """Cheapest and best are on it; what is dearer and no better, and what is partial, is not."""
    costs_ms = {"unet": 10.0, "attention_unet": 30.0, "vnet": 20.0, "deeplabv3": 1.0}
    dice = {"unet": 0.8, "attention_unet": 0.9, "vnet": 0.7, "deeplabv3": 0.95}
    records = [record(tmp_path, name, source="real") for name in costs_ms]
    records.append(record(tmp_path, "deeplabv3", source="real", seed=1, status="oom"))
    for item in records:
        item["timing"]["latency_ms_p50"] = costs_ms[item["spec"]["architecture"]]
    records, cases, epochs = finished(records, patients=3, slices=False)
    cases["dice"] = cases["architecture"].map(dice)
    chart = chart_of(chart_parts(material_of(records, cases, epochs)), "acdc_real", "latency")
    line = chart["spec"]["layer"][0]["data"]["values"]
    assert [(point["cost"], round(point["dice"], 3)) for point in line[:-1]] == [
        (10.0, 0.8),
        (30.0, 0.9),
    ]
    scale = chart["spec"]["encoding"]["x"]["scale"]
    assert scale["type"] == "log"  # from 1 to 30 ms
    assert line[-1] == {"cost": scale["domain"][1], "dice": line[-2]["dice"]}
    ringed = {point["row"] for point in chart["spec"]["data"]["values"] if point["front"]}
    assert ringed == {"U-Net", "Attention U-Net"}
    assert "Partial, hence hollow and in no front: DeepLabv3 (0.950" in chart["description"]


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [([1.0, 10.0], False), ([1.0, 10.5], True), ([0.0, 100.0], False), ([7.0], False)],
)
def test_axis_of_costs(values, logarithmic):
    low, high, found = costs.cost_domain(values)
    assert found is logarithmic
    assert low < min(values) or min(values) == 0
    assert high > max(values)
    if logarithmic:
        ticks = costs.decades(low, high)
        assert ticks == sorted(ticks)
        assert all(low <= tick <= high for tick in ticks)
        assert len(ticks) >= 3


def test_shares_of_ranks_are_those_of_the_draws(material, drawn):
    for one in material.found:
        if one.metric != "dice" or one.stability.scheme != "mean then rank":
            continue
        spec = chart_of(drawn, one.group.slug, "stability")["spec"]
        blobs = pd.read_csv(io.StringIO(spec["layer"][0]["data"]["values"]))
        shares = np.zeros_like(one.shares)
        shares[blobs["i"], blobs["rank"] - 1] = blobs["share"]
        np.testing.assert_allclose(shares, one.shares)
        table = pd.read_csv(io.StringIO(spec["layer"][1]["data"]["values"]))
        np.testing.assert_array_equal(table["rank"], one.stability.ranks)
        np.testing.assert_array_equal(table[["middle", "low", "high"]].T, one.limits)


def test_a_failed_run_is_an_empty_cell_with_its_reason(material, drawn):
    chart = next(one for one in drawn["across"] if one["id"] == "heatmap-real")
    cells = {
        (cell["row"], cell["group"].split(" · ")[0]): cell
        for cell in chart["spec"]["data"]["values"]
    }
    failed = cells["V-Net", DATASET_TITLES["camus"]]
    assert failed["dice"] is None
    assert failed["label"] == "— (oom)"
    assert failed["note"] == "oom: expected 4 GiB, 3 GiB are left"
    assert cells["DeepLabv3", DATASET_TITLES["camus"]]["label"] == "not run"
    partial = cells["DeepLabv3", DATASET_TITLES["acdc"]]
    assert partial["label"].endswith("*")
    assert "diverged" in partial["note"]
    dice = material.frame.query("architecture == 'unet' and dataset == 'acdc' and source == 'real'")
    assert cells["U-Net", "ACDC"]["dice"] == pytest.approx(dice["dice"].item(), abs=1e-5)
    assert "V-Net on CAMUS, — (oom)" in chart["description"]


def test_curves_are_means_of_runs_and_bands_their_range(material, drawn):
    spec = chart_of(drawn, "acdc_real", "training-dice")["spec"]
    rows = csv_of(spec)
    group = next(group for group in material.groups if group.slug == "acdc_real")
    epochs = group.epochs[group.epochs["architecture"] == "unet"]
    points = rows[rows["i"] == row_titles(spec).index("U-Net")]
    assert points["x"].tolist() == sorted(epochs["epoch"].unique())
    for _, point in points.iterrows():
        values = epochs.loc[epochs["epoch"] == point["x"], "validation_dice"]
        assert len(values) == 3
        for field, value in (
            ("y", values.mean()),
            ("low", values.min()),
            ("high", values.max()),
        ):
            assert point[field] == pytest.approx(value, abs=6e-4)
    alone = rows[rows["i"] == row_titles(spec).index("DeepLabv3")]
    assert alone[["low", "high"]].isna().all(axis=None)


def test_a_mean_ends_with_its_shortest_run():
    epochs = pd.DataFrame(
        {"run": list("aaabb"), "epoch": [1, 2, 3, 1, 2], "loss": [3, 2, np.inf, 1, math.nan]}
    )
    found = training.curve(epochs, "loss")
    assert found.index.tolist() == [1, 2]
    assert found["mean"].tolist()[0] == 2
    assert math.isnan(found["mean"].tolist()[1])
    assert found[["low", "high"]].to_numpy().tolist() == [[1, 3], [2, 2]]


@pytest.mark.parametrize(
    ("ends", "ticks"),
    [
        ((1, 1), [1]),
        ((1, 3), [1, 2, 3]),
        ((1, 10), [2, 4, 6, 8, 10]),
        ((0, 200), [0, 50, 100, 150, 200]),
    ],
)
def test_ticks_of_epochs_are_whole(ends, ticks):
    assert training.whole_ticks(*ends) == ticks


def steps(*runs):
    rows = [
        {"run": str(index), "elapsed_s": second, "validation_dice": dice}
        for index, run in enumerate(runs)
        for second, dice in run
    ]
    return clock.best_so_far(pd.DataFrame(rows))


def test_seconds_to_a_dice_by_hand():
    one = steps([(10, 0.4), (20, 0.7), (30, 0.6), (40, 0.8)])
    assert [clock.seconds_to(one, value) for value in (0.4, 0.5, 0.7, 0.75, 0.9)] == [
        10, 20, 20, 40, None,
    ]  # fmt: skip
    three = steps([(10, 0.9)], [(30, 0.9)], [(5, 0.2)])
    assert clock.seconds_to(three, 0.9) == 30  # two of three
    two = steps([(10, 0.9)], [(30, 0.5)])
    assert clock.seconds_to(two, 0.9) is None  # half is not more than half
    assert clock.seconds_to(two, 0.5) == 30
    assert clock.seconds_to(steps([(7, 0.7996)]), 0.8) == 7  # it reads 0.800
    assert clock.seconds_to(steps([(7, 0.7994)]), 0.8) is None


def test_the_line_crosses_a_threshold_when_the_table_says():
    rng = np.random.default_rng(4)
    for runs in (1, 2, 3, 4, 7):
        found = steps(
            *(
                [(float(t), float(d)) for t, d in zip(np.cumsum(rng.uniform(1, 9, 40)),
                                                       rng.uniform(0, 1, 40), strict=True)]
                for _ in range(runs)
            )
        )  # fmt: skip
        for threshold in (0.5, 0.8, 0.95):
            at_s = clock.seconds_to(found, threshold)
            assert at_s is not None
            before, after = clock.held(found, [at_s - 1e-6, at_s])[0]
            assert after >= threshold
            assert not before >= threshold


def test_time_to_dice_has_a_table_of_all_rows(material, drawn):
    chart = chart_of(drawn, "acdc_real", "clock")
    rows = {row["id"]: row for row in chart["table"]["rows"]}
    assert list(rows) == ["U-Net", "Attention U-Net", "V-Net", "DeepLabv3"]
    assert rows["U-Net"]["runs"] == 3
    group = next(group for group in material.groups if group.slug == "acdc_real")
    found = clock.best_so_far(group.epochs[group.epochs["architecture"] == "unet"])
    expected = [clock.seconds_to(found, threshold) for threshold in clock.THRESHOLDS]
    assert rows["U-Net"]["texts"] == ["—" if s is None else duration(s) for s in expected]
    assert rows["DeepLabv3"]["texts"][-1] == "—"  # made to level off below 0.9


def test_lines_of_long_runs_are_thinned_and_say_so(record, finished, tmp_path):
    records, cases, _ = finished([record(tmp_path)], patients=3, slices=False)
    epochs = np.arange(1, 2001)
    long = pd.DataFrame({
        "run": records[0]["key"], "architecture": "unet", "dataset": "acdc", "source": "phantom",
        "fold": 0, "seed": 0, "epoch": epochs, "loss": 1 / epochs,
        "validation_dice": 0.9 * epochs / 2000, "elapsed_s": 2.0 * epochs,
    })  # fmt: skip
    for table, thinned in ((long, True), (long[:20], False)):
        charts = chart_parts(material_of(records, cases, table))
        for kind, shown in (("clock", "steps"), ("training", "epochs")):
            chart = next(one for one in charts["acdc_phantom"] if one["id"].startswith(kind))
            said = f"A line shows at most {parts.POINTS_PER_LINE} of its {shown}."
            assert (said in chart["description"]) == thinned
            points = len(csv_of(chart["spec"]))
            assert (80 if thinned else 10) < points <= parts.POINTS_PER_LINE


def test_an_architecture_looks_alike_in_every_chart(material, drawn):
    from benchmark.report.groups import row_title

    expected = {
        row_title(*name): {look.colour, parts.SHAPES[look.marker]}
        for name, look in material.looks.items()
    }
    seen: dict[str, set[str]] = {}
    for charts in drawn.values():
        for chart in charts:
            for domain, values in scales_of(chart["spec"]):
                for title, value in zip(domain, values, strict=True):
                    seen.setdefault(title, set()).add(value)
    assert seen == expected


def test_every_marker_has_a_shape_of_its_own():
    looks = [*_ARCHITECTURE_LOOKS.values(), *_OTHER_LOOKS, *_EXTERNAL_LOOKS]
    markers = [marker for _, marker in looks]
    assert len({parts.SHAPES[marker] for marker in markers}) == len(markers)


def test_many_runs_stay_small(record, tmp_path):
    """Five hundred runs of two hundred epochs in one group, in less than 40 kB."""
    names = ("unet", "attention_unet", "vnet", "deeplabv3")
    records = [
        record(tmp_path, name, source="real", seed=seed, fold=0)
        for name in names
        for seed in range(125)
    ]
    for index, item in enumerate(records):  # so that there are all three charts of costs
        item["timing"]["latency_ms_p50"] = 4.0 + index
    step = np.tile(np.arange(1, 201), len(records))
    runs = np.repeat(np.arange(len(records)), 200)
    noise = np.random.default_rng(0).uniform(0.8, 1, len(step))
    epochs = pd.DataFrame(
        {
            "run": np.array([item["key"] for item in records])[runs],
            "architecture": np.array([item["spec"]["architecture"] for item in records])[runs],
            "epoch": step,
            "loss": 1 / step * noise,
            "validation_dice": (1 - np.exp(-step / 30)) * noise,
            "elapsed_s": step * (5.0 + noise),
        }
    )
    cases = pd.DataFrame(
        [
            {"run": item["key"], "architecture": item["spec"]["architecture"], "dataset": "acdc",
             "source": "real", "fold": 0, "seed": item["spec"]["seed"], "case": f"p{patient}",
             "patient": f"p{patient}", "class": "myocardium", "kind": "class",
             "outcome": "scored", "dice": 0.8 + 0.01 * patient, "iou": 0.7, "inference_s": 0.1}
            for item in records[::125]
            for patient in range(3)
        ]
    )  # fmt: skip
    drawn = chart_parts(material_of(records, cases, epochs))["acdc_real"]
    size = len(json.dumps(drawn, ensure_ascii=False, separators=(",", ":")).encode())
    assert len(drawn) == 7
    assert size < 40_000
    for kind in ("training-dice", "training-loss", "clock"):
        rows = csv_of(chart_of({"acdc_real": drawn}, "acdc_real", kind)["spec"])
        counts = rows.groupby("i").size()
        assert len(counts) == 4
        assert counts.max() <= parts.POINTS_PER_LINE
        assert counts.sum() <= parts.POINTS_PER_CHART


def test_a_group_without_scores_has_no_chart(record, finished, tmp_path):
    records = [
        record(tmp_path, "unet", name, source="real", status="oom") for name in ("acdc", "camus")
    ]
    drawn = chart_parts(material_of(*finished(records)))
    assert drawn["acdc_real"] == []
    cells = drawn["across"][0]["spec"]["data"]["values"]
    assert [cell["label"] for cell in cells] == ["— (oom)"] * 2


def test_one_dataset_has_no_map_over_datasets(record, finished, tmp_path):
    records = [record(tmp_path, "unet", source=source) for source in ("real", "phantom")]
    assert chart_parts(material_of(*finished(records)))["across"] == []


def test_vega_is_made_once_for_each_version(tmp_path, monkeypatch):
    made = []

    def bundle(snippet):
        made.append(snippet)
        return "window.vegaEmbed = 1; // µ"

    monkeypatch.setattr(vl_convert, "javascript_bundle", bundle)
    first = libraries.vega_bundle(tmp_path / "cache")
    assert libraries.vega_bundle(tmp_path / "cache") == first == "window.vegaEmbed = 1; // µ"
    assert len(made) == 1
    monkeypatch.setattr(libraries, "version", lambda name: "0")
    libraries.vega_bundle(tmp_path / "cache")
    assert len(made) == 2
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_no_text_breaks_out_of_its_element():
    hard = 'a</script><script>alert(1)</SCRIPT ><!-- \\ " \n \u2028 <style> 1<2 µ'
    element = libraries.inert("library-x", hard)
    head, body = re.fullmatch(r"(<script [^>]*>)(.*)</script>", element, re.DOTALL).groups()
    assert head == '<script type="application/json" id="library-x">'
    assert not re.search(r"<[/!a-z]", body, re.IGNORECASE)
    assert json.loads(body) == hard


def test_the_snippet_holds_both_libraries(tmp_path, monkeypatch):
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda snippet: snippet)
    html = libraries.libraries_html(tmp_path)
    assert html.count("</script>") == 3
    assert libraries.inert("library-tables", libraries.datatables_bundle()) in html
    assert re.search(r"export\{[^}]*\bas default\b", libraries.datatables_bundle())
    assert "table.dataTable" in libraries.datatables_css()
