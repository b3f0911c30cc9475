"""``measure`` as it is typed: tables, JSON, CSV, and one sentence where it cannot be."""

import json
import shutil

import pandas as pd
import pytest

import datasets
from benchmark.cli import main
from benchmark.evaluation.patients import MEASUREMENT_COLUMNS


@pytest.fixture(scope="module")
def acdc(phantoms):
    root = datasets.find("acdc", phantoms).root
    return root, datasets.read_cases("acdc", root)


def refused(capsys, *arguments):
    assert main(["measure", *map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    return said.err


def test_a_few_patients_are_told_one_by_one(acdc, capsys):
    first = [str(case.mask) for case in acdc[1][:2]]
    assert main(["measure", *first, "--dataset", "acdc"]) == 0
    said = capsys.readouterr().out
    assert "1 patient (phantom: synthetic hearts)" in said
    for words in ("LV EF", "LV mass", "LV wall, thickest, ED", "mL", "mid-ventricular slices"):
        assert words in said
    assert main(["measure", first[0], "--dataset", "acdc"]) == 0
    assert "no ES mask" in capsys.readouterr().out


def test_many_patients_are_told_by_their_means(acdc, tmp_path, capsys):
    for number, case in enumerate(acdc[1][:8]):
        shutil.copy(case.mask, tmp_path / f"patient{100 + number}_ED.nii.gz")
    assert main(["measure", str(tmp_path), "--dataset", "acdc"]) == 0
    said = capsys.readouterr().out
    assert "8 patients: mean, standard deviation and range" in said
    assert "LV EDV" in said


def test_files_hold_every_row_with_its_reason(acdc, tmp_path, capsys):
    out, plain = tmp_path / "new" / "m.csv", tmp_path / "new" / "m.json"
    only = str(acdc[1][0].mask)
    arguments = ["measure", only, "--dataset", "acdc", "-o", str(out), "--json", str(plain)]
    assert main(arguments) == 0
    assert "LV EDV" in capsys.readouterr().out
    frame = pd.read_csv(out)
    assert tuple(frame.columns) == MEASUREMENT_COLUMNS
    assert (frame["value"].isna() == frame["reason"].notna()).all()
    content = json.loads(plain.read_text())
    assert content["source"] == "phantom"
    assert content["masks"] == [only]
    by_name = {each["name"]: each for each in content["measurements"]}
    assert by_name["lv_ef"]["value"] is None
    assert by_name["lv_ef"]["reason"] == "no ES mask"
    assert by_name["lv_edv"]["title"] == "LV EDV"
    assert by_name["lv_edv"]["value"] == pytest.approx(
        frame.set_index("name").loc["lv_edv", "value"]
    )
    assert sorted(path.name for path in out.parent.iterdir()) == ["m.csv", "m.json"]


def test_json_alone_is_all_that_is_printed(acdc, capsys):
    diastole, systole = (str(case.mask) for case in acdc[1][:2])
    arguments = ["--ed", diastole, "--es", systole, "--dataset", "acdc", "--json", "-"]
    assert main(["measure", *arguments]) == 0
    content = json.loads(capsys.readouterr().out)
    assert {each["patient"] for each in content["measurements"]} == {"patient001"}
    assert all(each["reason"] == "" for each in content["measurements"])


def test_masks_without_an_instant_are_named(acdc, tmp_path, capsys):
    shutil.copy(acdc[1][0].mask, tmp_path / "somebody.nii.gz")
    assert main(["measure", str(tmp_path), "--dataset", "acdc"]) == 0
    said = capsys.readouterr().out
    assert "do not tell the instant" in said
    assert "somebody." in said


def test_faults_are_one_sentence_and_leave_nothing(acdc, tmp_path, capsys):
    mask = acdc[1][0].mask
    out = tmp_path / "m.csv"
    assert "neither" in refused(capsys, "--dataset", "acdc")
    assert "both" in refused(capsys, mask, "--ed", mask, "--dataset", "acdc")
    assert "Did you mean 'acdc'" in refused(capsys, mask, "--dataset", "acdcc")
    assert "found a folder" in refused(capsys, mask, "--dataset", "acdc", "-o", tmp_path)
    assert "found a folder" in refused(capsys, mask, "--dataset", "acdc", "--json", tmp_path)
    wrong = refused(capsys, mask, "--dataset", "decathlon", "-o", out)
    assert "holds values that are not labels: 2, 3. Expected only [0, 1]" in wrong
    photo = tmp_path / "photo.nii.gz"
    photo.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(400))
    assert "photo.nii.gz is not a NIfTI image" in refused(
        capsys, photo, "--dataset", "acdc", "-o", out
    )
    assert [path.name for path in tmp_path.iterdir()] == ["photo.nii.gz"]
