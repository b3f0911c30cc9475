import math
import re

import numpy as np
import pandas as pd
import pytest

from benchmark.report import layout, style
from benchmark.report.clinical import agreement_frame, main_rows, patient_values
from benchmark.report.clinical_tables import latex, markdown, signed, write_clinical
from benchmark.report.figures import agreement as figures
from benchmark.report.groups import comparison_groups
from benchmark.statistics.agreement import EF_CLASSES, agreement

NO_ROWS = pd.DataFrame()


def rows_of(record, values, endpoint="la_volume", method="voxel_count", unit="mL"):
    """Clinical rows of a run from `{patient: (truth, prediction)}`."""
    spec = record["spec"]
    return pd.DataFrame(
        [
            {
                "run": record["key"], "architecture": spec["architecture"],
                "dataset": spec["dataset"], "patient": patient, "endpoint": endpoint,
                "method": method, "unit": unit, "truth": truth, "prediction": prediction,
            }
            for patient, (truth, prediction) in values.items()
        ]
    )  # fmt: skip


def group_of(records):
    (group,) = comparison_groups(records, NO_ROWS, NO_ROWS)
    return group


def test_rule_seeds_are_averaged_and_folds_stand_together(record, tmp_path):
    records = [
        record(tmp_path, "unet", "decathlon", fold=fold, seed=seed)
        for fold in (0, 1)
        for seed in (0, 1)
    ]
    clinical = pd.concat(
        [
            rows_of(records[0], {"a": (50.0, 40.0), "b": (60.0, 60.0)}),
            rows_of(records[1], {"a": (50.0, 56.0), "b": (60.0, 70.0)}),
            rows_of(records[2], {"c": (70.0, 71.0)}),
            rows_of(records[3], {"c": (70.0, 75.0)}),
        ]
    )
    values = patient_values(group_of(records), clinical).set_index("patient")
    assert values["prediction"].to_dict() == {"a": 48.0, "b": 65.0, "c": 73.0}
    assert set(values["runs"]) == {2}
    row = agreement_frame([group_of(records)], clinical).iloc[0]
    assert (row["n_valid"], row["runs"]) == (3, 4)
    assert row["bias"] == pytest.approx((-2 + 5 + 3) / 3)
    assert row["mae"] == pytest.approx((2 + 5 + 3) / 3)


def test_rule_a_patient_that_one_seed_could_not_measure_is_failed(record, tmp_path):
    records = [record(tmp_path, "unet", "decathlon", seed=seed) for seed in (0, 1)]
    clinical = pd.concat(
        [
            rows_of(records[0], {"a": (50.0, math.nan), "b": (60.0, 62.0), "c": (math.nan, 3.0)}),
            rows_of(records[1], {"a": (50.0, 52.0), "b": (60.0, 60.0), "c": (math.nan, 3.0)}),
        ]
    )
    row = agreement_frame([group_of(records)], clinical).iloc[0]
    assert (row["n_valid"], row["n_failed"], row["n_excluded"]) == (1, 1, 1)
    assert row["bias"] == 1.0


def test_runs_without_endpoints_are_absent_and_counted(record, clinical, tmp_path):
    records = [
        record(tmp_path, "unet", "decathlon"),
        record(tmp_path, "vnet", "decathlon"),
        record(tmp_path, "deeplabv3", "decathlon", status="oom"),
    ]
    values = clinical(records, patients=5)
    values = values[values["architecture"] == "unet"]  # the other is from an older version
    group = group_of(records)
    frame = agreement_frame([group], values)
    assert frame["architecture"].tolist() == ["unet"]
    text = markdown(frame, [group], values)
    assert "Runs without endpoints: 1 failed and 1 finished without a clinical.csv, of 3." in text


@pytest.fixture
def made(record, clinical, tmp_path):
    """Four architectures on three datasets with 8 patients, one of them lost by the V-Net."""
    records = [
        record(tmp_path, name, dataset, source)
        for dataset, source in (("decathlon", "real"), ("acdc", "phantom"), ("camus", "real"))
        for name in ("unet", "attention_unet", "vnet", "deeplabv3")
    ]
    values = clinical(records, patients=8)
    groups = comparison_groups(records, NO_ROWS, NO_ROWS)
    return groups, values, agreement_frame(groups, values)


def test_the_frame_holds_what_agreement_says(made):
    _, values, frame = made
    assert len(frame) == 4 * (1 + 9 + 4 * 4 + 1)
    for _, row in frame.iterrows():
        chosen = values
        for name in ("dataset", "architecture", "endpoint", "method"):
            chosen = chosen[chosen[name] == row[name]]
        found = agreement(chosen["truth"], chosen["prediction"])
        for name, value in vars(found).items():
            assert row[name] == pytest.approx(value, nan_ok=True), name
    lost = frame[(frame["architecture"] == "vnet") & (frame["dataset"] != "decathlon")]
    lost = lost[lost["endpoint"].str.startswith("lv")]
    assert set(lost["n_failed"]) == {1}
    assert set(frame["n_failed"]) == {0, 1}


def test_primary_endpoints_come_first(made):
    _, _, frame = made
    first = {
        dataset: part.loc[part["primary"], ["endpoint", "method"]]
        .drop_duplicates()
        .agg(" ".join, 1)
        for dataset, part in frame.groupby("dataset")
    }
    names = ["lv_edv", "lv_esv", "lv_ef", "rv_edv", "rv_esv", "rv_ef", "lv_mass"]
    assert first["decathlon"].tolist() == ["la_volume voxel_count"]
    assert first["acdc"].tolist() == [f"{name} voxel_count" for name in names]
    assert first["camus"].tolist() == [f"{name} simpson_biplane" for name in names[:3]]
    for _, part in frame.groupby("dataset"):
        assert part["primary"].is_monotonic_decreasing
    assert frame["architecture"].tolist()[:4] == ["unet", "attention_unet", "vnet", "deeplabv3"]
    assert {
        main_rows(part)["endpoint"].unique().item() for _, part in frame.groupby("dataset")
    } == {
        "la_volume",
        "lv_ef",
    }


def test_exams_of_one_view_are_told_by_their_plane(record, clinical, tmp_path):
    records = [record(tmp_path, name, "camus") for name in ("unet", "vnet")]
    values = clinical(records, patients=3)
    values = values[values["method"] == "simpson_4ch"]
    group = group_of(records)
    frame = agreement_frame([group], values)
    rows = main_rows(frame)
    assert rows[["endpoint", "method"]].drop_duplicates().to_numpy().tolist() == [
        ["lv_ef", "simpson_4ch"]
    ]
    assert len(rows) == 2
    text = markdown(frame, [group], values)
    assert "### Agreement with the reference" in text
    assert "### Classes of LV ejection fraction (Simpson 4CH)" in text
    assert "### Further endpoints" in text
    assert set(drawn(group, values)) == {"bland_altman_lv", "correlation_lv"}
    assert main_rows(frame[:0]).empty


def test_tables_have_units_counts_and_classes(made):
    groups, values, frame = made
    text = markdown(frame, groups, values)
    row = frame[(frame["dataset"] == "acdc") & (frame["endpoint"] == "lv_mass")].iloc[2]
    line = next(line for line in text.splitlines() if "LV mass (g)" in line and "V-Net" in line)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        "LV mass (g)", "V-Net", "7", "1", "0", f"{row['pearson_r']:.3f}", signed(row["bias"]),
        f"{signed(row['limit_low'])} to {signed(row['limit_high'])}", f"{row['mae']:.1f}",
    ]  # fmt: skip
    lost = "not measurable: prediction: no left ventricle (5)"
    assert f"Reasons for values that are missing, with their number: {lost}." in text
    assert "LV EF (%)" in text
    assert "LA volume (mL)" in text
    assert text.count("Phantom data: synthetic hearts") == 1
    assert "from this method, and is compared with no other" in text
    assert text.count("### Classes of LV ejection fraction") == 2
    assert text.index("Simpson biplane") < text.index("Simpson 2CH")


def test_confusion_counts_every_patient_once(made):
    groups, values, frame = made
    lines = markdown(frame, groups[:1], values).splitlines()
    start = next(i for i, line in enumerate(lines) if "Class by reference" in line)
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines[start + 2 : start + 18]
    ]
    truth = values[(values["dataset"] == "acdc") & (values["endpoint"] == "lv_ef")]
    for name, part in (("U-Net", "unet"), ("V-Net", "vnet")):
        mine = [row for row in table if row[0] == name]
        assert [row[1] for row in mine] == list(EF_CLASSES)
        assert sum(int(cell) for row in mine for cell in row[2:]) == 8
        assert sum(int(row[-1]) for row in mine) == (1 if part == "vnet" else 0)
        normal = (truth.loc[truth["architecture"] == part, "truth"] >= 50).sum()
        assert sum(int(cell) for cell in mine[0][2:]) == normal


def test_latex_is_balanced_and_its_rows_are_even(made):
    groups, values, frame = made
    text = latex(frame, groups, values)
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert r"$\pm$" in text
    assert "±" not in text
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert len(labels) == len(set(labels)) == 7
    for table in text.split(r"\begin{tabular}")[1:]:
        columns = re.match(r"\{@\{\}([lr]+)@\{\}\}", table)
        assert columns
        lines = [line for line in table.splitlines() if line.rstrip().endswith(r"\\")]
        assert {line.count("&") + 1 for line in lines} == {len(columns.group(1))}


def test_csv_keeps_full_precision(made, tmp_path):
    groups, values, frame = made
    paths = write_clinical(tmp_path / "report", frame, groups, values)
    assert [path.name for path in paths] == ["clinical.csv", "clinical.md", "clinical.tex"]
    back = pd.read_csv(paths[0], keep_default_na=False, na_values=[""])
    np.testing.assert_array_equal(back["limit_low"], frame["limit_low"])
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in back.columns)


def test_nothing_recorded_is_said_in_words(record, tmp_path):
    groups = comparison_groups([record(tmp_path, status="oom")], NO_ROWS, NO_ROWS)
    frame = agreement_frame(groups, NO_ROWS)
    assert "No clinical endpoints were recorded." in markdown(frame, groups, NO_ROWS)
    assert "table" not in latex(frame, groups, NO_ROWS).split("\n", 1)[1]
    assert figures.draw(groups[0], NO_ROWS, {}) == {}


def test_signs_are_written_and_no_zero_is_negative():
    assert [signed(value) for value in (2.04, -3.17, -0.04, math.nan)] == [
        "+2.0",
        "-3.2",
        "+0.0",
        "—",
    ]


def drawn(group, values):
    import matplotlib

    with matplotlib.rc_context(dict(layout.RC)):
        return figures.draw(group, values, style.looks(group.names))


def test_a_panel_per_architecture_and_endpoint_with_units_and_counts(made):
    groups, values, _ = made
    pictures = drawn(groups[0], values)
    assert list(pictures) == [
        f"{k}_{c}" for c in ("lv", "rv") for k in ("bland_altman", "correlation")
    ]
    axes = pictures["bland_altman_lv"].axes
    assert len(axes) == 4 * 4
    assert [one.get_title() for one in axes[:4]] == [
        "U-Net",
        "Attention U-Net",
        "V-Net",
        "DeepLabv3",
    ]
    assert axes[0].get_xlabel() == "LV EDV, mean of both (mL)"
    assert axes[8].get_ylabel() == "LV EF difference (%)"
    assert axes[12].get_xlabel() == "LV mass, mean of both (g)"
    assert "n = 7, 1 not measurable" in axes[2].texts[0].get_text()
    assert len({one.get_ylim() for one in axes[:4]}) == 1
    assert len({tuple(one.collections[0].get_facecolor()[0]) for one in axes[:4]}) == 4


def test_bland_altman_draws_bias_and_limits(made):
    groups, values, frame = made
    axes = drawn(groups[0], values)["bland_altman_rv"].axes[1]
    row = frame[(frame["dataset"] == "acdc") & (frame["endpoint"] == "rv_edv")].iloc[1]
    heights = [line.get_ydata()[0] for line in axes.lines]
    assert heights == pytest.approx([0, row["bias"], row["limit_low"], row["limit_high"]])
    mine = (values["architecture"] == "attention_unet") & (values["endpoint"] == "rv_edv")
    truth, prediction = (values.loc[mine, name].to_numpy() for name in ("truth", "prediction"))
    wanted = np.column_stack([(prediction + truth) / 2, prediction - truth])
    np.testing.assert_allclose(axes.collections[0].get_offsets(), wanted)


def test_correlation_has_an_identity_line_and_equal_axes(made):
    groups, values, _ = made
    axes = drawn(groups[1], values)["correlation_lv"].axes[0]
    (line,) = axes.lines
    assert list(line.get_xdata()) == list(line.get_ydata())
    assert axes.get_xlim() == axes.get_ylim()
    width, height = axes.figure.get_size_inches() * axes.get_position().size
    assert width == pytest.approx(height)


def test_many_architectures_wrap_and_one_patient_is_drawn(record, clinical, tmp_path):
    names = ["unet", "attention_unet", "vnet", "deeplabv3", "other"]
    records = [record(tmp_path, name, "decathlon") for name in names]
    picture = drawn(group_of(records), clinical(records, patients=1))["bland_altman_la"]
    assert [axes.get_title() for axes in picture.axes][-1] == "other"
    assert picture.axes[4].get_position().y1 < picture.axes[0].get_position().y0
    assert "—" in picture.axes[0].texts[0].get_text()


def test_an_endpoint_that_nobody_measured_has_no_panel(record, clinical, tmp_path):
    records = [record(tmp_path, "unet", "camus")]
    values = clinical(records, patients=3)
    values.loc[values["endpoint"] == "lv_ef", "prediction"] = math.nan
    assert len(drawn(group_of(records), values)["correlation_lv"].axes) == 2
    values["prediction"] = math.nan
    assert drawn(group_of(records), values) == {}
