"""Masks are found, given to their patients and instants, and measured as whole trees are."""

import dataclasses
import math
import shutil

import numpy as np
import pandas as pd
import pytest

import datasets
from benchmark.errors import DataError
from benchmark.evaluation.patients import (
    MEASUREMENT_COLUMNS,
    find_masks,
    measure_files,
    two_instants,
)
from benchmark.records import write_record
from datasets import nifti

ACDC, CAMUS, DECATHLON = (datasets.info(name) for name in ("acdc", "camus", "decathlon"))


def measured(selection, info):
    found = measure_files(selection, info)
    return pd.DataFrame(found.rows, columns=list(MEASUREMENT_COLUMNS)), found


def tree(info, root):
    return datasets.find(info.name, root).root


def cases(info, root):
    return datasets.read_cases(info.name, tree(info, root))


def values(frame, patient):
    mine = frame[frame["patient"] == patient]
    return mine.set_index(["method", "name"])["value"].to_dict()


@pytest.mark.parametrize("info", [ACDC, CAMUS, DECATHLON], ids=lambda info: info.name)
def test_a_tree_a_part_of_it_and_masks_by_their_names_agree(info, phantoms, tmp_path):
    frame, found = measured(find_masks([tree(info, phantoms)], info), info)
    assert (found.source, found.unplaced) == ("phantom", [])
    assert set(frame["source"]) == {"phantom"}
    every = cases(info, phantoms)
    assert found.patients == frame["patient"].nunique() == len({case.patient for case in every})
    patient = every[0].patient
    mine = [case for case in every if case.patient == patient]
    part, _ = measured(find_masks([case.mask for case in mine], info), info)
    assert values(part, patient) == values(frame, patient)
    for case in mine:
        suffix = ".nii.gz" if case.mask.name.endswith(".gz") else ".nii"
        shutil.copy(case.mask, tmp_path / f"{case.id}{suffix}")
    named, found = measured(find_masks([tmp_path], info), info)
    assert values(named, patient) == values(frame, patient)
    assert found.source == ""
    assert (frame["reason"] == "").all()


def test_frames_are_told_by_the_info_beside_them(phantoms):
    folder = cases(ACDC, phantoms)[0].mask.parent
    frame, found = measured(find_masks([folder], ACDC), ACDC)
    assert found.unplaced == []
    assert found.patients == 1
    assert set(frame["name"]) >= {"lv_edv", "lv_esv", "lv_ef", "lv_mass"}


def test_a_mask_whose_name_tells_nothing_is_measured_alone(phantoms, tmp_path):
    case = cases(ACDC, phantoms)[0]
    shutil.copy(case.mask, tmp_path / "somebody.nii.gz")
    frame, found = measured(find_masks([tmp_path], ACDC), ACDC)
    assert found.unplaced == ["somebody"]
    assert set(frame["patient"]) == set(frame["case"]) == {"somebody"}
    assert {"lv_volume", "rv_volume", "myocardium_volume"} <= set(frame["name"])
    assert "lv_ef" not in set(frame["name"])


def test_predictions_of_a_run_are_what_it_was_tested_on(phantoms, tmp_path):
    made = tmp_path / "0123" / "predictions"
    made.mkdir(parents=True)
    for case in cases(ACDC, phantoms)[:2]:
        shutil.copy(case.mask, made / f"{case.id}.nii.gz")
    assert find_masks([made], ACDC).source == ""
    spec = {"source": "phantom"}
    write_record(
        made.parent, {"key": "0123", "spec": spec, "status": "ok", "summary": {"dice": 0.5}}
    )
    assert find_masks([made], ACDC).source == "phantom"
    files = sorted(made.iterdir())
    assert two_instants(files[:1], files[1:], ACDC).source == "phantom"


def test_two_files_whose_instants_are_told(phantoms, tmp_path):
    ed, es = (case for case in cases(ACDC, phantoms)[:2])
    shutil.copy(ed.mask, tmp_path / "first.nii.gz")
    shutil.copy(es.mask, tmp_path / "second.nii.gz")
    frame, _ = measured(
        two_instants([tmp_path / "first.nii.gz"], [tmp_path / "second.nii.gz"], ACDC), ACDC
    )
    whole, _ = measured(find_masks([ed.mask, es.mask], ACDC), ACDC)
    assert values(frame, "first") == values(whole, ed.patient)
    alone, _ = measured(two_instants([ed.mask], [], ACDC), ACDC)
    assert set(alone.loc[alone["name"] == "lv_ef", "reason"]) == {"no ES mask"}


def test_two_instants_of_an_exam(phantoms, tmp_path):
    exam = [case for case in cases(CAMUS, phantoms) if case.patient == "patient0001"]
    sides = {
        phase: [case.mask for case in exam if case.metadata["phase"] == phase]
        for phase in ("ED", "ES")
    }
    frame, _ = measured(two_instants(sides["ED"], sides["ES"], CAMUS), CAMUS)
    whole, _ = measured(find_masks([exam[0].mask.parent], CAMUS), CAMUS)
    assert values(frame, "patient0001") == values(whole, "patient0001")
    shutil.copy(sides["ED"][0], tmp_path / "x.nii.gz")
    with pytest.raises(DataError, match=r"x\.nii\.gz: expected a name that tells the view"):
        two_instants([tmp_path / "x.nii.gz"], [], CAMUS)


def test_requests_without_one_answer_are_refused(phantoms, tmp_path):
    first, second = cases(ACDC, phantoms)[0], cases(ACDC, phantoms)[2]
    with pytest.raises(DataError, match=r"masks of one patient.*patient001 and patient002"):
        two_instants([first.mask], [second.mask], ACDC)
    with pytest.raises(DataError, match="has no instants"):
        two_instants([first.mask], [], DECATHLON)
    with pytest.raises(DataError, match="expected the mask of ES, found no file"):
        two_instants([first.mask], [tmp_path / "none.nii.gz"], ACDC)
    copy = tmp_path / "sub" / f"{first.id}.nii.gz"
    copy.parent.mkdir()
    shutil.copy(first.mask, copy)
    with pytest.raises(DataError, match="expected one mask of patient001 ED, found"):
        find_masks([first.mask, copy], ACDC)
    # The same file twice is one mask.
    assert len(find_masks([first.mask, first.mask], ACDC).targets) == 1
    with pytest.raises(DataError, match="found nothing"):
        find_masks([tmp_path / "none"], ACDC)


def write(path, array, dtype=None):
    import nibabel

    image = nibabel.Nifti1Image(array if dtype is None else array.astype(dtype), np.eye(4))
    nibabel.save(image, path)
    return path


def rgb(shape):
    return np.zeros(shape, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((4, 5, 6), 7, np.uint8), r"not labels: 7\. Expected only \[0, 1, 2, 3\]"),
        (np.full((4, 5, 6), 0.5, np.float32), r"not labels: 0\.5"),
        (np.full((4, 5, 6), np.nan, np.float32), "not labels: nan"),
        (np.zeros((4, 5, 6, 2, 2), np.uint8), "expected 3 axes"),
        (np.zeros((4, 5), np.uint8), "expected 3 axes"),
        (rgb((4, 5, 6)), "expected one integer or float per pixel"),
    ],
    ids=["foreign label", "grey", "nan", "5D", "2D", "RGB"],
)
def test_a_mask_that_is_none_is_named(array, words, tmp_path):
    path = write(tmp_path / "patient001_ED.nii.gz", array)
    with pytest.raises(DataError, match=words) as caught:
        measure_files(find_masks([path], ACDC), ACDC)
    assert "patient001_ED.nii.gz" in str(caught.value)


def test_the_truth_of_acdc_has_the_published_volumes(real_data):
    if datasets.find("acdc", real_data) is None:
        pytest.skip("no files of acdc")
    every = find_masks([tree(ACDC, real_data)], ACDC)
    chosen = sorted({target.patient for target in every.targets})[::4]
    some = [target for target in every.targets if target.patient in chosen]
    frame, found = measured(dataclasses.replace(every, targets=some), ACDC)
    assert found.patients >= 20
    table = pd.read_csv(real_data.parent / "reference" / "acdc_volumes.csv", index_col="patient")
    assert found.source == "real"
    assert (frame["reason"] == "").all()
    wide = frame.pivot(index="patient", columns="name", values="value")
    wanted = table.loc[wide.index]
    for name, column in (
        ("lv_edv", "lv_edv_ml"), ("lv_esv", "lv_esv_ml"), ("lv_ef", "lv_ef_pct"),
        ("rv_edv", "rv_edv_ml"), ("rv_esv", "rv_esv_ml"), ("rv_ef", "rv_ef_pct"),
    ):  # fmt: skip
        np.testing.assert_allclose(wide[name], wanted[column], rtol=1e-4, err_msg=name)
    # The table's mass is the volume of the muscle.
    np.testing.assert_allclose(wide["lv_mass"], 1.05 * wanted["myo_ed_mass_g"], rtol=1e-4)
    # Walls are what the disease makes them: thickest in HCM, and thicker at end systole.
    means = wide.groupby(wanted["group"])[["lv_wall_mean_ed", "lv_wall_max_ed"]].mean()
    assert means["lv_wall_max_ed"].idxmax() == "HCM"
    assert means.loc["NOR", "lv_wall_mean_ed"] == pytest.approx(7.5, abs=1.5)
    assert means.loc["HCM", "lv_wall_max_ed"] > 13
    assert (wide["lv_wall_mean_es"] > wide["lv_wall_mean_ed"]).mean() >= 0.9


def test_real_atria_are_counted_voxel_by_voxel(real_data):
    if datasets.find("decathlon", real_data) is None:
        pytest.skip("no files of decathlon")
    chosen = cases(DECATHLON, real_data)[:6]
    frame, _ = measured(find_masks([case.mask for case in chosen], DECATHLON), DECATHLON)
    for case in chosen:
        mask = nifti.read_mask(case.mask, (1,), dims=3)
        voxels = np.argwhere(mask.array)
        found = frame[frame["patient"] == case.patient].set_index("name")
        cut = (voxels.min(0) == 0).any() or (voxels.max(0) == np.array(mask.array.shape) - 1).any()
        if cut:
            assert set(found["reason"]) == {"left atrium cut off by the first or last slice"}
            continue
        volume = len(voxels) * math.prod(mask.spacing_mm) / 1000
        assert found.loc["la_volume", "value"] == pytest.approx(volume)
        extent = np.ptp(voxels, axis=0) * mask.spacing_mm
        diameter = found.loc["la_diameter_max", "value"]
        assert extent.max() <= diameter <= np.linalg.norm(extent + mask.spacing_mm)
        assert 0.4 < found.loc["la_sphericity", "value"] < 0.92


def test_fractions_of_phantoms_are_those_they_were_drawn_from(phantoms):
    """The `EF` of the phantom's `Info_*.cfg`; the official method is known to give less."""
    frame, _ = measured(find_masks([tree(CAMUS, phantoms)], CAMUS), CAMUS)
    stated = {case.patient: float(case.metadata["ef_percent"]) for case in cases(CAMUS, phantoms)}
    wide = frame[frame["name"] == "lv_ef"].pivot(index="patient", columns="method", values="value")
    wanted = pd.Series(stated).loc[wide.index]
    assert len(wanted) == 3
    np.testing.assert_allclose(wide["simpson_biplane"], wanted, atol=2.5)
    assert ((wide["simpson_biplane"] - wide["camus_official"]).between(0, 15)).all()


def test_real_exams_are_measured_by_the_views_they_have(real_data):
    if datasets.find("camus", real_data) is None:
        pytest.skip("no files of camus")
    frame, _ = measured(find_masks([tree(CAMUS, real_data)], CAMUS), CAMUS)
    every = cases(CAMUS, real_data)
    views = {case.patient: set() for case in every}
    stated = {}
    for case in every:
        views[case.patient].add(case.metadata["view"])
        if "ef_percent" in case.metadata:
            stated[case.patient] = float(case.metadata["ef_percent"])
    fractions = frame[frame["name"] == "lv_ef"].set_index(["patient", "method"])
    for patient, known in views.items():
        for view in ("2CH", "4CH"):
            row = fractions.loc[patient, f"simpson_{view.lower()}"]
            if view in known:
                assert 5 < row["value"] < 85
            else:
                assert row["reason"] == f"no {view} ED mask, no {view} ES mask"
        biplane = fractions.loc[patient, "simpson_biplane"]
        assert (biplane["reason"] == "") == (len(known) == 2)
        official = fractions.loc[patient, "camus_official"]
        if len(known) == 2 and patient in stated:
            assert official["value"] == pytest.approx(stated[patient], abs=15)
