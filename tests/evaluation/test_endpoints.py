import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import datasets
from benchmark.evaluation.endpoints import ENDPOINT_COLUMNS, ClinicalCollector
from benchmark.evaluation.metrics import METRICS, score
from benchmark.statistics.agreement import agreement
from datasets.case import Case
from datasets.nifti import read_pair
from datasets.phantom import MARKER, folder_name

CLASSES = {"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3}
SPACING_MM = (10.0, 1.5, 1.25)


def case(patient="p1", **metadata):
    name = "_".join([patient, *metadata.values()])
    return Case(name, patient, Path("image.nii.gz"), Path("mask.nii.gz"), metadata)


def cine(right, muscle, left):
    """A label map with so many voxels of each structure."""
    flat = np.repeat([0, 1, 2, 3], [200 - right - muscle - left, right, muscle, left])
    return flat.astype(np.uint8).reshape(2, 10, 10)


def table(collector):
    frame = pd.DataFrame(collector.rows(), columns=list(ENDPOINT_COLUMNS))
    return frame.set_index(["method", "endpoint"]).sort_index()


def measured(name, root, *, patients=None):
    """The truth of a dataset against itself."""
    info = datasets.info(name)
    cases = datasets.read_cases(name, datasets.find(name, root).root)
    wanted = sorted({item.patient for item in cases})[:patients]
    collector = ClinicalCollector(info.classes)
    for item in cases:
        if item.patient in wanted:
            _, mask = read_pair(item, info)
            collector.add(item, mask.array, mask.array.copy(), mask.spacing_mm)
    return pd.DataFrame(collector.rows())


def assert_perfect(frame):
    own = frame[frame["method"] != "camus_stated"]
    assert (own["reason"] == "").all()
    for _, part in own.groupby(["endpoint", "method"]):
        found = agreement(part["truth"], part["prediction"])
        assert (found.n_valid, found.n_failed, found.n_excluded) == (len(part), 0, 0)
        assert found.bias == found.mae == 0.0
        if len(part) > 1:
            assert found.sd == 0.0
            assert found.pearson_r == pytest.approx(1.0, abs=1e-12)


def test_ventricles_and_mass_of_one_patient():
    collector = ClinicalCollector(CLASSES)
    ed, es = case(phase="ED", group="HCM"), case(phase="ES", group="HCM")
    collector.add(es, cine(20, 30, 12), cine(20, 30, 10), SPACING_MM)
    collector.add(ed, cine(40, 32, 30), cine(44, 30, 20), SPACING_MM)
    found = table(collector).loc["voxel_count"]
    voxel_ml = 0.01875
    assert found["truth"].to_dict() == pytest.approx(
        {
            "lv_edv": 30 * voxel_ml, "lv_esv": 12 * voxel_ml, "lv_sv": 18 * voxel_ml,
            "lv_ef": 60.0, "rv_edv": 40 * voxel_ml, "rv_esv": 20 * voxel_ml,
            "rv_sv": 20 * voxel_ml, "rv_ef": 50.0, "lv_mass": 32 * voxel_ml * 1.05,
        }
    )  # fmt: skip
    assert found.loc["lv_ef", "prediction"] == pytest.approx(50.0)
    assert found.loc["lv_mass", "prediction"] == pytest.approx(30 * voxel_ml * 1.05)
    assert found["unit"].to_dict() == {
        **dict.fromkeys(("lv_edv", "lv_esv", "lv_sv", "rv_edv", "rv_esv", "rv_sv"), "mL"),
        **dict.fromkeys(("lv_ef", "rv_ef"), "%"),
        "lv_mass": "g",
    }
    assert set(found["group"]) == {"HCM"}
    assert set(found["reason"]) == {""}


def test_every_voxel_of_an_mri_counts_wherever_it_lies():
    whole, torn = np.zeros((3, 8, 8), np.uint8), np.zeros((3, 8, 8), np.uint8)
    whole[1, 2:4, 2:4] = 1
    torn[1, 2:4, 2], torn[1, 6:8, 7] = 1, 1
    collector = ClinicalCollector({"left_atrium": 1})
    collector.add(case(), whole, torn, (1.0, 1.0, 1.0))
    row = table(collector).loc[("voxel_count", "la_volume")]
    assert row["truth"] == row["prediction"] == pytest.approx(0.004)


def test_a_lost_chamber_is_not_measurable_and_says_where():
    collector = ClinicalCollector(CLASSES)
    collector.add(case(phase="ED"), cine(40, 30, 30), cine(0, 30, 30), SPACING_MM)
    collector.add(case(phase="ES"), cine(0, 30, 12), cine(20, 30, 0), SPACING_MM)
    found = table(collector).loc["voxel_count"]
    assert math.isnan(found.loc["rv_edv", "prediction"])
    assert found.loc["rv_edv", "reason"] == "not measurable: prediction: no right ventricle in ED"
    assert found.loc["rv_ef", "reason"] == (
        "not measurable: reference: no right ventricle in ES; prediction: no right ventricle in ED"
    )
    assert found.loc["lv_edv", "reason"] == ""
    assert found.loc["lv_ef", "truth"] == pytest.approx(60.0)
    assert found.loc["lv_ef", ["prediction"]].isna().all()
    # Whoever reads the numbers can count: a reason stands exactly where a number lacks.
    lacking = found["truth"].isna() | found["prediction"].isna()
    assert (lacking == (found["reason"] != "")).all()


@pytest.mark.parametrize(("phase", "volume"), [("ED", "edv"), ("ES", "esv")])
def test_one_phase_gives_its_volume_alone(phase, volume):
    collector = ClinicalCollector(CLASSES)
    collector.add(case(phase=phase), cine(4, 5, 6), cine(4, 5, 6), SPACING_MM)
    mass = {"lv_mass"} if phase == "ED" else set()
    assert {row["endpoint"] for row in collector.rows()} == {
        f"lv_{volume}", f"rv_{volume}", *mass
    }  # fmt: skip


def test_a_class_without_annotation_has_no_endpoint():
    collector = ClinicalCollector({"left_ventricle": 3})
    collector.add(case(phase="ED"), cine(4, 5, 6), cine(4, 5, 6), SPACING_MM)
    assert [row["endpoint"] for row in collector.rows()] == ["lv_edv"]


def apical(diameter, length):
    """A half ellipsoid's view at 0.5 mm, 240 x 200."""
    y, x = np.mgrid[:240, :200]
    up, across = (200 - y) / 2, (x - 100) / 2
    return ((up >= 0) & ((up / length) ** 2 + (2 * across / diameter) ** 2 <= 1)).astype(np.uint8)


SIZES = {
    ("2CH", "ED"): (52, 92),
    ("4CH", "ED"): (50, 92),
    ("2CH", "ES"): (38, 76),
    ("4CH", "ES"): (36, 76),
}


def exam(spoil=None, keys=tuple(SIZES)):
    """A collector with the images of one exam; `spoil` replaces the prediction of 4CH ES."""
    collector = ClinicalCollector({"left_ventricle": 1})
    for view, phase in keys:
        truth = apical(*SIZES[view, phase])
        prediction = truth if spoil is None or (view, phase) != ("4CH", "ES") else spoil
        quality = {"2CH": "Medium", "4CH": "Good"}[view]
        one = case(view=view, phase=phase, quality=quality, ef_percent="48")
        collector.add(one, truth, prediction, (0.5, 0.5))
    return table(collector)


def test_an_exam_is_measured_by_every_method():
    found = exam()
    methods = ["simpson_biplane", "simpson_2ch", "simpson_4ch", "camus_official"]
    assert len(found) == 4 * len(methods) + 1
    for method in methods:
        assert (found.loc[method, "truth"] == found.loc[method, "prediction"]).all()
    biplane = found.loc["simpson_biplane", "truth"]
    assert biplane["lv_edv"] == pytest.approx(125.245, rel=0.015)
    assert biplane["lv_esv"] == pytest.approx(54.438, rel=0.015)
    assert biplane["lv_ef"] == pytest.approx(56.5, abs=0.7)
    assert biplane["lv_sv"] == pytest.approx(biplane["lv_edv"] - biplane["lv_esv"])


def test_the_stated_fraction_stands_beside_the_official_method():
    found = exam()
    stated = found.loc[("camus_stated", "lv_ef")]
    assert stated["truth"] == 48.0
    assert stated["prediction"] == found.loc[("camus_official", "lv_ef"), "prediction"]


def test_quality_is_that_of_the_poorest_view_used():
    quality = exam().groupby("method")["quality"].unique().str.join(" ")
    assert quality["simpson_biplane"] == quality["simpson_2ch"] == "Medium"
    assert quality["simpson_4ch"] == "Good"


def pixel(mask):
    mask[100, 100] = 1


def column(mask):
    mask[20:200, 100] = 1


def diagonal(mask):
    for row in range(100):
        mask[50 + row, 50 + row : 52 + row] = 1


@pytest.mark.parametrize(
    ("draw", "why"),
    [
        (lambda mask: None, "no left ventricle in 4CH ES"),
        (pixel, "no measurable long axis in 4CH ES"),
        (column, "no measurable long axis in 4CH ES"),
        (diagonal, "no measurable long axis in 4CH ES"),
    ],
)
def test_degenerate_masks_are_not_measurable(draw, why):
    mask = np.zeros((240, 200), np.uint8)
    draw(mask)
    found = exam(mask)
    for key in (("simpson_2ch", "lv_ef"), ("simpson_biplane", "lv_edv")):
        assert found.loc[key, "reason"] == ""
        assert math.isfinite(found.loc[key, "prediction"])
    for key in (("simpson_biplane", "lv_ef"), ("camus_official", "lv_edv")):
        assert math.isnan(found.loc[key, "prediction"])
        assert math.isfinite(found.loc[key, "truth"])
        assert found.loc[key, "reason"] == f"not measurable: prediction: {why}"


@pytest.mark.parametrize("seed", range(5))
def test_noise_never_raises(seed):
    rng = np.random.default_rng(seed)
    mask = (rng.random((240, 200)) < rng.uniform(0, 1)).astype(np.uint8)
    found = exam(mask)
    assert ((found["reason"] != "") == found["prediction"].isna()).all()


def test_a_speck_does_not_replace_the_ventricle():
    speckled = apical(*SIZES["4CH", "ES"])
    speckled[2:6, 2:6] = 1
    assert exam(speckled)["prediction"].equals(exam()["prediction"])


def test_one_view_is_measured_in_one_plane():
    found = exam(keys=[("4CH", "ED"), ("4CH", "ES")])
    assert set(found.index.get_level_values("method")) == {"simpson_4ch"}


def test_planar_images_without_view_give_nothing():
    collector = ClinicalCollector({"left_ventricle": 1})
    mask = apical(50, 90)
    collector.add(case(phase="ED"), mask, mask, (0.5, 0.5))
    assert collector.rows() == []


@pytest.fixture(scope="module")
def drawn(phantoms):
    """What is measured of the phantoms, and what they were drawn from."""
    truth = {
        name: json.loads((phantoms / folder_name(name) / MARKER).read_text())["truth"]
        for name in datasets.NAMES
    }
    return {name: measured(name, phantoms) for name in truth}, truth


def test_truth_against_itself_on_phantoms(drawn):
    frames, _ = drawn
    for frame in frames.values():
        assert_perfect(frame)


def test_phantoms_have_the_volumes_they_were_drawn_from(drawn):
    """Within voxels: 10 mm slices for the ventricles, and their ratio for the EF."""
    frames, truth = drawn
    values = {
        name: frame.set_index(["patient", "method", "endpoint"])["truth"]
        for name, frame in frames.items()
    }
    for patient, exact in truth["decathlon"].items():
        found = values["decathlon"][patient, "voxel_count", "la_volume"]
        assert found == pytest.approx(exact["left_atrium_ml"], rel=0.005)
    for patient, exact in truth["acdc"].items():
        found = values["acdc"][patient]["voxel_count"]
        for prefix, name in (("lv", "left_ventricle"), ("rv", "right_ventricle")):
            for phase, volume in (("ED", "edv"), ("ES", "esv")):
                wanted = pytest.approx(exact[f"{name}_{phase}_ml"], rel=0.03, abs=1.0)
                assert found[f"{prefix}_{volume}"] == wanted
            assert found[f"{prefix}_ef"] == pytest.approx(exact[f"{name}_EF_percent"], abs=2.0)
        assert found["lv_mass"] == pytest.approx(exact["left_ventricle_mass_g"], rel=0.03)
    for patient, exact in truth["camus"].items():
        found = values["camus"][patient]["simpson_biplane"]
        assert found["lv_edv"] == pytest.approx(exact["left_ventricle_ED_ml"], rel=0.04)
        assert found["lv_esv"] == pytest.approx(exact["left_ventricle_ES_ml"], rel=0.04)
        assert found["lv_ef"] == pytest.approx(exact["left_ventricle_EF_percent"], abs=2.0)
        stated = values["camus"][patient]["camus_stated"]["lv_ef"]
        assert stated == round(exact["left_ventricle_EF_percent"])


@pytest.mark.parametrize(("name", "patients"), [("acdc", 5), ("camus", 4), ("decathlon", 3)])
def test_real_truth_against_itself_is_perfect(real_data, name, patients):
    if datasets.find(name, real_data) is None:
        pytest.skip(f"no files of {name}")
    frame = measured(name, real_data, patients=patients)
    assert frame["patient"].nunique() == patients
    assert_perfect(frame)


def test_acdc_volumes_meet_the_published_ones(real_data):
    """The table's mass is the volume of the muscle, without the 1.05 g/mL, on every patient."""
    path = real_data.parent / "reference" / "acdc_volumes.csv"
    if not path.is_file() or datasets.find("acdc", real_data) is None:
        pytest.skip("the table of reference volumes is not here")
    frame = measured("acdc", real_data)
    found = frame.pivot(index="patient", columns="endpoint", values="truth")
    wanted = pd.read_csv(path, index_col="patient").loc[found.index]
    assert len(found)
    for endpoint in ("lv_edv", "lv_esv", "lv_ef", "rv_edv", "rv_esv", "rv_ef"):
        column = wanted[f"{endpoint}_{'pct' if endpoint.endswith('ef') else 'ml'}"]
        np.testing.assert_allclose(found[endpoint], column, rtol=1e-4, err_msg=endpoint)
    np.testing.assert_allclose(found["lv_mass"], 1.05 * wanted["myo_ed_mass_g"], rtol=1e-4)


def test_real_masks_score_perfectly_against_themselves(real_data):
    found = datasets.find("acdc", real_data)
    if found is None:
        pytest.skip("no files of acdc")
    info = datasets.info("acdc")
    for item in datasets.read_cases("acdc", found.root)[:4]:
        _, mask = read_pair(item, info)
        for row in score(mask.array, mask.array, mask.spacing_mm, info.classes):
            assert row["outcome"] == "scored"
            for name, metric in METRICS.items():
                if metric.direction != "none":
                    assert row[name] == (1.0 if metric.direction == "higher" else 0.0), name
