import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.evaluation.clinical import (
    EF_CLASSES,
    Ventricle,
    ef_class,
    ef_confusion,
    endpoint_table,
    endpoints_of,
    mri_endpoints,
    myocardial_mass_g,
    volume_ml,
)
from benchmark.evaluation.metrics import METRICS, score
from benchmark.statistics.agreement import agreement

CLASSES = {"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3}
REPOSITORY = Path(__file__).resolve().parents[2]
REAL_DATA = REPOSITORY / os.environ.get("BENCHMARK_REAL_DATA", "data")
ACDC = REAL_DATA / "ACDC" / "training"
needs_acdc = pytest.mark.skipif(not ACDC.is_dir(), reason="the ACDC scans are not here")

# Volumes of the official masks at end-diastole and end-systole and of the muscle at end-diastole,
# in mL, as published with Khened et al., Medical Image Analysis 2019. The table of all patients
# calls the last a mass, but on every patient it is voxels times voxel size, without the 1.05 g/mL.
ACDC_ENDPOINTS = {
    "patient001": (295.5078, 225.6104, 23.6533, 139.7217, 59.5459, 57.3825, 164.2578),
    "patient021": (173.852, 56.399, 67.56, 161.748, 55.016, 65.99, 245.768),
    "patient042": (211.597, 141.610, 33.08, 172.757, 71.624, 58.54, 128.540),
    "patient090": (77.551, 42.761, 44.86, 217.760, 130.261, 40.18, 60.012),
}
ENDPOINTS = (
    "lv_edv_ml",
    "lv_esv_ml",
    "lv_ef_pct",
    "rv_edv_ml",
    "rv_esv_ml",
    "rv_ef_pct",
    "myocardium_ed_ml",
)


def test_a_volume_is_voxels_times_their_size():
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[:2, :3, :4] = 1
    assert volume_ml(mask, 1, (10.0, 1.5, 1.25)) == pytest.approx(24 * 18.75 / 1000)


def test_an_absent_chamber_is_not_measurable():
    empty = np.zeros((4, 5, 6), np.uint8)
    endpoints = mri_endpoints(empty, empty, (1.0, 1.0, 1.0), CLASSES)
    assert endpoints
    assert all(math.isnan(value) for value in endpoints.values())


@pytest.mark.parametrize("edv_ml", [0.0, math.nan])
def test_no_ejection_fraction_without_a_diastolic_volume(edv_ml):
    assert math.isnan(Ventricle(edv_ml, 10.0).ef_pct)


def test_ejection_fraction_and_stroke_volume():
    left = Ventricle(120.0, 48.0)
    assert (left.ef_pct, left.stroke_volume_ml) == (60.0, 72.0)


def test_mass_of_100_ml_of_muscle():
    assert myocardial_mass_g(100.0) == pytest.approx(105.0)


def test_classes_that_a_dataset_lacks_are_left_out():
    mask = np.ones((2, 3, 3), np.uint8)
    endpoints = mri_endpoints(mask, mask, (1.0, 1.0, 1.0), {"left_ventricle": 1})
    assert list(endpoints) == ["lv_edv_ml", "lv_esv_ml", "lv_sv_ml", "lv_ef_pct"]


def test_endpoints_from_a_table_of_cases_equal_those_from_the_masks():
    rng = np.random.default_rng(0)
    spacing_mm = (10.0, 1.5, 1.5)
    truth, prediction = (
        {phase: rng.integers(0, 4, (4, 8, 8)).astype(np.uint8) for phase in ("ED", "ES")}
        for _ in range(2)
    )
    rows = [
        {"run": "r", "patient": "p", "phase": phase, **row}
        for phase in ("ED", "ES")
        for row in score(truth[phase], prediction[phase], spacing_mm, CLASSES)
    ]
    table = endpoint_table(pd.DataFrame(rows)).set_index("endpoint")
    for column, masks in (("truth", truth), ("prediction", prediction)):
        wanted = mri_endpoints(masks["ED"], masks["ES"], spacing_mm, CLASSES)
        assert table[column].to_dict() == pytest.approx(wanted)
    assert set(table["patient"]) == {"p"}


def test_endpoints_of_an_atrium_and_of_a_lost_one():
    row = {"run": "r", "phase": math.nan, "class": "left_atrium", "volume_truth_ml": 90.0}
    cases = pd.DataFrame(
        [
            {**row, "patient": "p1", "volume_prediction_ml": 85.0},
            {**row, "patient": "p2", "volume_prediction_ml": 0.0},
        ]
    )
    table = endpoint_table(cases)
    assert table["endpoint"].tolist() == ["la_ml", "la_ml"]
    found = agreement(table["truth"], table["prediction"])
    assert (found.n_valid, found.n_failed, found.bias) == (1, 1, -5.0)


def test_a_ventricle_seen_in_one_phase_has_no_ejection_fraction():
    endpoints = endpoints_of({("left_ventricle", "ED"): 120.0})
    assert endpoints["lv_edv_ml"] == 120.0
    assert math.isnan(endpoints["lv_ef_pct"])


def test_planar_cases_give_no_endpoint():
    row = {"run": "r", "patient": "p", "phase": "ED", "class": "left_ventricle"}
    planar = {"volume_truth_ml": math.nan, "volume_prediction_ml": math.nan}
    assert endpoint_table(pd.DataFrame([{**row, **planar}])).empty


def test_planar_masks_are_sent_to_simpson():
    with pytest.raises(ValueError, match=r"comes from benchmark\.evaluation\.simpson"):
        volume_ml(np.ones((3, 3), np.uint8), 1, (1.0, 1.0))


@pytest.mark.parametrize(
    ("ef_pct", "name"),
    [
        (63.0, "normal"),
        (50.0, "normal"),
        (49.9, "mildly reduced"),
        (40.0, "mildly reduced"),
        (30.0, "moderately reduced"),
        (29.9, "severely reduced"),
        (-5.0, "severely reduced"),
    ],
)
def test_classes_of_ejection_fraction(ef_pct, name):
    assert ef_class(ef_pct) == name


def test_confusion_counts_what_is_not_measurable():
    assert ef_class(math.nan) is None
    table = ef_confusion([60, 45, 35, 20, 55, math.nan], [55, 51, 35, 20, math.nan, 60])
    assert len(table) == len(EF_CLASSES)
    assert table == [[1, 0, 0, 0, 1], [1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]


def test_bland_altman_oracle():
    found = agreement([55, 60, 30, 45, 65], [52, 63, 28, 50, 61])
    assert found.bias == pytest.approx(-0.2)
    assert found.sd == pytest.approx(3.962323, abs=1e-6)
    assert found.limit_low == pytest.approx(-7.966152, abs=1e-6)
    assert found.limit_high == pytest.approx(7.566152, abs=1e-6)
    assert found.mae == pytest.approx(3.4)
    assert found.pearson_r == pytest.approx(0.9593521195)
    assert (found.n_valid, found.n_failed, found.n_excluded) == (5, 0, 0)


def test_agreement_counts_who_is_left_out():
    found = agreement([50, 60, math.nan, 40], [52, math.nan, 55, 40])
    assert (found.n_valid, found.n_failed, found.n_excluded) == (2, 1, 1)
    assert found.bias == 1.0


def test_agreement_of_too_few_or_constant_values_has_no_spread():
    nobody, one = agreement([], []), agreement([50], [51])
    assert math.isnan(nobody.bias)
    assert math.isnan(nobody.mae)
    assert one.bias == 1.0
    assert math.isnan(one.sd)
    assert math.isnan(one.pearson_r)
    assert math.isnan(agreement([50, 50], [51, 52]).pearson_r)


def test_agreement_wants_pairs():
    with pytest.raises(ValueError, match="one prediction per patient"):
        agreement([1, 2], [1])


def acdc_masks(patient):
    import nibabel as nib

    folder = ACDC / patient
    info = dict(line.split(": ") for line in (folder / "Info.cfg").read_text().splitlines())
    for phase in ("ED", "ES"):
        path = next(folder.glob(f"{patient}_frame{int(info[phase]):02d}_gt.nii*"))
        image = nib.load(path)
        spacing_mm = tuple(float(step) for step in image.header.get_zooms()[:3][::-1])
        yield np.asarray(image.dataobj).T.astype(np.uint8), spacing_mm


@needs_acdc
@pytest.mark.parametrize("patient", ACDC_ENDPOINTS)
def test_acdc_endpoints_meet_the_published_ones(patient):
    if not (ACDC / patient).is_dir():
        pytest.skip(f"{patient} is not here")
    (diastole, spacing_mm), (systole, _) = acdc_masks(patient)
    endpoints = mri_endpoints(diastole, systole, spacing_mm, CLASSES)
    measured = [endpoints[name] for name in ENDPOINTS]
    assert measured == pytest.approx(ACDC_ENDPOINTS[patient], rel=2e-4)
    assert endpoints["lv_mass_g"] == pytest.approx(1.05 * endpoints["myocardium_ed_ml"])


@needs_acdc
def test_all_acdc_volumes_meet_the_table_of_references():
    path = REAL_DATA.parent / "reference" / "acdc_volumes.csv"
    if not path.is_file():
        pytest.skip("the table of reference volumes is not here")
    table = pd.read_csv(path, index_col="patient").rename(
        columns={"myo_ed_mass_g": "myocardium_ed_ml"}
    )
    patients = [folder.name for folder in sorted(ACDC.iterdir()) if folder.name in table.index]
    assert patients
    for patient in patients:
        (diastole, spacing_mm), (systole, _) = acdc_masks(patient)
        endpoints = mri_endpoints(diastole, systole, spacing_mm, CLASSES)
        wanted = {name: float(table.loc[patient, name]) for name in ENDPOINTS}
        measured = {name: endpoints[name] for name in ENDPOINTS}
        assert measured == pytest.approx(wanted, rel=1e-5), patient


@needs_acdc
def test_real_truth_against_itself_is_perfect():
    for patient in sorted(folder.name for folder in ACDC.iterdir())[:5]:
        for mask, spacing_mm in acdc_masks(patient):
            for row in score(mask, mask, spacing_mm, CLASSES):
                assert row["outcome"] == "scored"
                for name, metric in METRICS.items():
                    if metric.direction != "none":
                        assert row[name] == (1.0 if metric.direction == "higher" else 0.0), name
