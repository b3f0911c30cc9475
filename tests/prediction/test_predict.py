"""``predict`` from the command line to the files it writes."""

from __future__ import annotations

import contextlib
import json
import math
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from benchmark.cli import main
from benchmark.prediction.committee import Committee
from datasets.nifti import read_image

LPS = np.diag([-1.5, -1.5, 8.0, 1.0])


@pytest.fixture
def predict(finished, formula, tmp_path, monkeypatch, capsys):
    """Call the command; returns exit code, folder of the output, and what was printed."""

    def call(*arguments, key=None, pictures=False):
        if not pictures:
            for name in ("draw_overlay", "draw_curve"):
                monkeypatch.setattr(f"benchmark.prediction.task.{name}", lambda *a, **k: None)
        key = key or finished()
        code = main(["predict", key, *map(str, arguments), "-o", str(tmp_path / "out"),
                     "--results", str(tmp_path / "results")])  # fmt: skip
        printed = capsys.readouterr()
        return code, tmp_path / "out", printed.out + printed.err

    return call


def save(path, array, affine=LPS):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def test_all_48_orders_and_flips_give_one_mask_on_the_original_grid(predict, scene, tmp_path):
    import itertools

    base = nib.Nifti1Image(scene(), LPS)
    for axes in itertools.permutations(["LR", "AP", "IS"]):
        for code in itertools.product(*axes):
            move = ornt_transform(io_orientation(LPS), axcodes2ornt(code))
            path = tmp_path / "in" / f"{''.join(code)}.nii"
            path.parent.mkdir(exist_ok=True)
            nib.save(base.as_reoriented(move), path)
    code, out, _ = predict(tmp_path / "in")
    assert code == 0
    masks = sorted(out.glob("*.nii.gz"))
    assert len(masks) == 48
    expected = np.asarray(nib.load(out / "LPS.nii.gz").dataobj)
    assert set(np.unique(expected)) == {0, 1, 2, 3}
    for path in masks:
        mask, image = nib.load(path), nib.load(tmp_path / "in" / path.name.removesuffix(".gz"))
        np.testing.assert_array_equal(mask.affine, image.affine)
        back = ornt_transform(io_orientation(mask.affine), axcodes2ornt(tuple("LPS")))
        np.testing.assert_array_equal(np.asarray(mask.as_reoriented(back).dataobj), expected)
    volumes = pd.read_csv(out / "measurements.csv").query("unit == 'mL'")
    assert set(volumes["name"]) == {"lv_volume", "rv_volume", "myocardium_volume"}
    assert (volumes.groupby("name")["value"].nunique(dropna=False) == 1).all()


def test_measurements_and_the_record_say_what_was_done(predict, scene, tmp_path):
    save(tmp_path / "in" / "patient007_ED.nii.gz", scene(scale=1.0))
    save(tmp_path / "in" / "patient007_ES.nii.gz", scene(scale=0.7))
    save(tmp_path / "in" / "sub" / "other.nii.gz", scene(seed=2))
    save(tmp_path / "in" / "sub" / "other_gt.nii.gz", np.ones((4, 4, 4), np.uint8))
    code, out, printed = predict(tmp_path / "in", pictures=True)
    assert code == 0
    assert "3 images predicted" in printed
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == [
        "measurements.csv", "overlays/patient007_ED.png", "overlays/patient007_ES.png",
        "overlays/sub/other.png", "patient007_ED.nii.gz", "patient007_ES.nii.gz", "predict.json",
        "sub/other.nii.gz",
    ]  # fmt: skip
    mask = np.asarray(nib.load(out / "patient007_ED.nii.gz").dataobj)
    rows = pd.read_csv(out / "measurements.csv")
    one = rows[rows.patient == "patient007"].set_index("name")
    voxels = int((mask == 3).sum())
    assert voxels > 0
    assert one.loc["lv_edv", "value"] == pytest.approx(voxels * 1.5 * 1.5 * 8 / 1000)
    ef = rows[(rows.patient == "patient007") & (rows["name"] == "lv_ef")]
    small = int((np.asarray(nib.load(out / "patient007_ES.nii.gz").dataobj) == 3).sum())
    assert ef["value"].tolist() == [pytest.approx(100 * (voxels - small) / voxels)]
    record = json.loads((out / "predict.json").read_text())
    assert [image["name"] for image in record["images"]] == [
        "patient007_ED", "patient007_ES", "sub/other"
    ]  # fmt: skip
    assert record["training_orientation"] == {"LPS": 1}
    assert record["images"][0]["orientation"] == "LPS"
    assert len(record["images"][0]["image_sha256"]) == 64
    assert record["failures"] == {}


def test_rule_predict_and_measure_say_the_same_of_a_mask(predict, scene, tmp_path):
    save(tmp_path / "in" / "patient007_ED.nii.gz", scene(scale=1.0))
    save(tmp_path / "in" / "patient007_ES.nii.gz", scene(scale=0.7))
    save(tmp_path / "in" / "patient008_ED.nii.gz", scene(seed=2, scale=1.5)[6:])
    save(tmp_path / "in" / "other.nii.gz", scene(seed=3))
    code, out, _ = predict(tmp_path / "in")
    assert code == 0
    table = tmp_path / "measured.csv"
    assert main(["measure", str(out), "--dataset", "acdc", "-o", str(table)]) == 0
    by = ["patient", "case", "method", "name"]
    said, measured = (
        pd.read_csv(path, dtype={"case": str})
        .fillna({"case": ""})
        .sort_values(by, ignore_index=True)
        for path in (out / "measurements.csv", table)
    )
    assert measured["value"].notna().any()
    assert measured["reason"].str.contains("cut off by the edge").any()
    assert measured["reason"].str.contains("no ES mask").any()
    pd.testing.assert_frame_equal(said.drop(columns="frame"), measured, check_dtype=False)


def test_a_cine_is_predicted_frame_by_frame_with_ed_and_es_from_its_curve(predict, scene, tmp_path):
    scales = [1.0, 0.95, 0.8, 0.62, 0.7, 0.9]
    loop = np.stack([scene(scale=scale) for scale in scales], axis=-1)
    image = nib.Nifti1Image(loop, LPS)
    image.header.set_zooms((1.5, 1.5, 8.0, 0.04))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, tmp_path / "loop.nii.gz")
    code, out, printed = predict(tmp_path / "loop.nii.gz", pictures=True)
    assert code == 0
    mask = nib.load(out / "loop.nii.gz")
    assert mask.shape == loop.shape
    assert mask.header.get_zooms() == image.header.get_zooms()
    curve = pd.read_csv(out / "curves" / "loop.csv")
    assert curve["phase"].fillna("").tolist() == ["ED", "", "", "ES", "", ""]
    assert curve["time_s"].tolist() == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.2])
    voxels = (np.asarray(mask.dataobj) == 3).sum(axis=(0, 1, 2))
    np.testing.assert_allclose(curve["left_ventricle_volume_mL"], voxels * 0.018)
    for name in ("curves/loop.png", "overlays/loop_ED.png", "overlays/loop_ES.png"):
        assert (out / name).stat().st_size > 5000
    rows = pd.read_csv(out / "measurements.csv")
    expected = 100 * (voxels[0] - voxels[3]) / voxels[0]
    ef = rows[rows["name"] == "lv_ef"]
    assert ef["value"].tolist() == [pytest.approx(expected)]
    assert ef[["case", "frame"]].to_numpy().tolist() == [["loop", "ED 1, ES 4"]]
    assert f"lv_ef {expected:.1f} %" in printed


def test_a_frame_of_a_cine_has_the_mask_of_the_frame_alone(predict, scene, tmp_path):
    loop = np.stack([scene(scale=1.0), scene(scale=0.7)], axis=-1)
    save(tmp_path / "in" / "loop.nii", loop)
    save(tmp_path / "in" / "alone.nii", loop[..., 1])
    _, out, _ = predict(tmp_path / "in")
    whole, alone = (np.asarray(nib.load(out / f"{name}.nii.gz").dataobj)
                    for name in ("loop", "alone"))  # fmt: skip
    np.testing.assert_array_equal(whole[..., 1], alone)


PLANAR = np.diag([-1.0, -1.0, 1.0, 1.0])


def echo_loop(wide):
    """Four frames of a dark ellipse in a bright picture, 1 mm pixels; the third is smallest."""
    y, x = np.mgrid[:96, :80]
    frames = [
        np.where(((y - 40) / (30 * size)) ** 2 + ((x - 36) / (wide * size)) ** 2 < 1, 60.0, 200.0)
        for size in (1.0, 0.9, 0.75, 0.85)
    ]
    return np.stack([frame.T for frame in frames], axis=-1).astype(np.float32)


@contextlib.contextmanager
def dark_is_ventricle():
    """Let what is dark be the first class, on the image's own grid, in place of the network."""
    import benchmark.prediction.task as task
    from benchmark.data.preprocessing import prepare

    def label_map(blocks, prepared):
        list(blocks)
        return (prepared.image[0] < 0.5).astype(np.uint8)

    def as_it_is(image, mask, steps, target):
        return prepare(image, mask, steps, (None, None, None))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "label_map", label_map)
        patch.setattr(task, "prepare", as_it_is)
        yield


def test_an_echo_sequence_has_areas_and_the_fraction_of_its_view(predict, finished, tmp_path):
    save(tmp_path / "someone_4CH_loop.nii", echo_loop(14), PLANAR)
    key = finished(dataset="camus", affine=np.diag([-0.3, -0.3, 1, 1]), dims_of_masks=2)
    with dark_is_ventricle():
        code, out, _ = predict(tmp_path / "someone_4CH_loop.nii", key=key)
    assert code == 0
    rows = pd.read_csv(out / "measurements.csv")
    curve = pd.read_csv(out / "curves" / "someone_4CH_loop.csv")
    assert curve["left_ventricle_area_cm2"][0] == pytest.approx(math.pi * 30 * 14 / 100, rel=0.03)
    assert curve["phase"].fillna("").tolist() == ["ED", "", "ES", ""]
    ef = rows[(rows["name"] == "lv_ef") & rows["reason"].isna()]
    assert ef["method"].tolist() == ["simpson_4ch"]
    assert ef["value"].iloc[0] == pytest.approx(100 * (1 - 0.75**3), abs=4)


def test_two_sequences_of_one_echo_patient_give_a_biplane_fraction(predict, finished, tmp_path):
    for view, wide in (("2CH", 16), ("4CH", 14)):
        loop = echo_loop(wide)
        save(tmp_path / "in" / f"patient0001_{view}_half_sequence.nii", loop, PLANAR)
    # The images of the instants themselves are measured for themselves, not mixed with these.
    save(tmp_path / "in" / "patient0001_2CH_ED.nii", loop[..., 0], PLANAR)
    key = finished(dataset="camus", affine=np.diag([-0.3, -0.3, 1, 1]), dims_of_masks=2)
    with dark_is_ventricle():
        code, out, _ = predict(tmp_path / "in", key=key)
    assert code == 0
    rows = pd.read_csv(out / "measurements.csv")
    assert rows["patient"].unique().tolist() == ["patient0001"]
    biplane = rows[(rows["name"] == "lv_ef") & (rows["method"] == "simpson_biplane")]
    assert biplane["value"].notna().sum() == 1
    both = biplane[biplane["value"].notna()].iloc[0]
    assert both["value"] == pytest.approx(100 * (1 - 0.75**3), abs=4)
    assert both["frame"] == "2CH ED 1, 2CH ES 3, 4CH ED 1, 4CH ES 3"


def test_probabilities_views_and_ensembles(predict, finished, scene, tmp_path):
    path = save(tmp_path / "a.nii", scene())
    keys = [finished(seed=seed) for seed in (0, 1)]
    found = []
    for options in ((), ("--tta",), ("--ensemble", "seeds")):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        code, out, printed = predict(path, "--probabilities", *options, key=keys[0])
        assert code == 0
        image = nib.load(out / "probabilities" / "a_probabilities.nii.gz")
        found.append(np.asarray(image.dataobj))
        assert image.shape == (*scene().shape, 4)
        assert image.get_data_dtype() == np.float32
        np.testing.assert_allclose(found[-1].sum(axis=-1), 1, atol=1e-5)
        mask = np.asarray(nib.load(out / "a.nii.gz").dataobj)
        np.testing.assert_array_equal(mask, found[-1].argmax(axis=-1))
        record = json.loads((out / "predict.json").read_text())
        assert record["options"]["mirror"] == ("--tta" in options)
        assert len(record["networks"]) == (2 if "--ensemble" in options else 1)
        assert ("never seen a mirrored heart" in printed) == ("--tta" in options)
    assert not list(out.rglob("*.raw"))
    assert all(np.abs(found[0] - other).max() > 0.01 for other in found[1:])


def test_what_best_chose_and_a_lost_member_are_told(predict, finished, scene, tmp_path):
    path = save(tmp_path / "a.nii", scene())
    keys = [finished(seed=seed, record={"summary": {"dice": 0.9, "validation_dice": 0.9 - seed}})
            for seed in range(3)]  # fmt: skip
    (tmp_path / "results" / "runs" / keys[2] / "record.json").write_text("{")
    code, out, printed = predict(path, "--ensemble", "seeds", key="best:acdc")
    assert code == 0
    assert f"({keys[0]})" in printed.splitlines()[0] + printed.splitlines()[1]
    assert "note: --ensemble seeds: left out a record" in printed
    notes = json.loads((out / "predict.json").read_text())["notes"]
    assert [keys[2] in note for note in notes if "left out" in note] == [True]


def test_the_tree_of_the_dataset_gives_its_cases_and_who_is_known(
    predict, finished, phantoms, tmp_path
):
    import datasets
    from benchmark.experiment.sources import fingerprint

    root = datasets.find("acdc", phantoms).root
    cases = datasets.read_cases("acdc", root)
    key = finished(fingerprint=fingerprint("acdc", root, cases))
    code, out, printed = predict(phantoms, key=key)
    assert code == 0
    assert sorted(path.name for path in out.glob("*.nii.gz")) == [
        f"{case.id}.nii.gz" for case in cases
    ]
    assert "2 of 10 images are of patients that the model was trained on" in printed
    record = json.loads((out / "predict.json").read_text())
    sides = {image["name"]: image["patient_was_in"] for image in record["images"]}
    assert sides["patient001_ED"] == "train"
    assert sides["patient004_ED"] is None
    for mask in out.glob("*.nii.gz"):
        mask.unlink()
    code, out, printed = predict(phantoms, "--test-only", key=key)
    assert sorted(path.name for path in out.glob("*.nii.gz")) == [
        "patient003_ED.nii.gz", "patient003_ES.nii.gz"
    ]  # fmt: skip
    evaluated = ["evaluate", str(phantoms), str(out), "--dataset", "acdc", "--skip-missing"]
    assert main(evaluated) == 0
    # Of other files nobody knows whom the network has seen.
    shutil.rmtree(out)
    code, _, printed = predict(phantoms, "--test-only", key=finished(seed=5))
    assert (code, "found none of them" in printed) == (2, True)


def bad(path):
    array = np.random.default_rng(0).random((8, 8, 4)).astype(np.float32)
    array[0, 0, 0] = np.nan
    return save(path, array)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda folder: [bad(folder / "bad.nii")], "1 of 256 pixels are NaN"),
        (lambda folder: [folder / "nothing.nii"], "found nothing"),
        (lambda folder: [folder], "found none"),
        (lambda folder: [save(folder / "a.nii", np.zeros((4, 4, 4), np.int16))], "no picture"),
        (lambda folder: [save(folder / "a.nii", np.arange(216.0).reshape(6, 6, 6), 5000 * LPS)],
         "Check the spacing"),
        (lambda folder: [save(folder / "x" / "a.nii", np.eye(4)),
                         save(folder / "y" / "a.nii", np.eye(4))], "are both a"),
    ],
)  # fmt: skip
def test_bad_input_is_one_error_and_leaves_nothing(predict, tmp_path, prepare, words):
    (tmp_path / "in").mkdir()
    code, out, printed = predict(*prepare(tmp_path / "in"))
    assert code == 2
    assert words in printed
    assert printed.count("error:") == 1
    assert "Traceback" not in printed
    assert not out.exists()


def test_an_unknown_model_and_a_mask_over_its_image_are_refused(predict, scene, tmp_path):
    path = save(tmp_path / "out" / "a.nii.gz", scene())
    before = path.read_bytes()
    code, _, printed = predict(path)
    assert (code, "take the place of an image" in printed) == (2, True)
    code, _, printed = predict(path, key="best:moon")
    assert (code, "expected a finished run for best:moon" in printed) == (2, True)
    assert path.read_bytes() == before


def test_one_bad_image_among_many_is_found_first_and_can_be_left_out(predict, scene, tmp_path):
    for name in "abc":
        save(tmp_path / "in" / f"{name}.nii.gz", scene())
    bad(tmp_path / "in" / "bad.nii.gz")
    code, out, printed = predict(tmp_path / "in")
    assert code == 2
    assert "1 of 4 images cannot be predicted" in printed
    assert not out.exists()
    code, out, printed = predict(tmp_path / "in", "--skip-bad")
    assert code == 1
    assert sorted(path.name for path in out.glob("*.nii.gz")) == [f"{n}.nii.gz" for n in "abc"]
    assert "not predicted" in printed
    failures = json.loads((out / "predict.json").read_text())["failures"]
    assert list(failures) == [str(tmp_path / "in" / "bad.nii.gz")]


def test_a_file_that_goes_bad_on_the_way_does_not_take_the_others_along(
    predict, scene, tmp_path, monkeypatch
):
    for name in "abc":
        save(tmp_path / "in" / f"{name}.nii.gz", scene())
    blocks = Committee.blocks

    def spoil(self, prepared):
        bad(tmp_path / "in" / "b.nii.gz")
        return blocks(self, prepared)

    monkeypatch.setattr(Committee, "blocks", spoil)
    code, out, printed = predict(tmp_path / "in")
    assert code == 1
    assert "NaN" in printed
    assert sorted(path.name for path in out.iterdir()) == [
        "a.nii.gz", "c.nii.gz", "measurements.csv", "predict.json"
    ]  # fmt: skip


def test_what_was_done_before_an_interruption_is_told_and_can_be_gone_on_with(
    predict, scene, tmp_path, monkeypatch
):
    for name in "abc":
        save(tmp_path / "in" / f"{name}.nii.gz", scene())
    (tmp_path / "out" / ".predict-left").mkdir(parents=True)
    blocks, calls = Committee.blocks, []

    def full(self, prepared):
        calls.append(prepared)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return blocks(self, prepared)

    def told(out):
        record = json.loads((out / "predict.json").read_text())
        table = pd.read_csv(out / "measurements.csv")
        names = [image["name"] for image in record["images"]]
        assert sorted(set(table["patient"])) == sorted(names)
        assert sorted(path.name for path in out.glob("*.nii.gz")) == sorted(
            f"{name}.nii.gz" for name in names
        )
        return names, record["not_reached"]

    with monkeypatch.context() as patch:
        patch.setattr(Committee, "blocks", full)
        with contextlib.suppress(KeyboardInterrupt):
            predict(tmp_path / "in")
    out = tmp_path / "out"
    assert told(out) == (["a"], ["b", "c"])
    assert not list(out.glob(".predict-*"))
    assert predict(tmp_path / "in" / "c.nii.gz")[0] == 0
    assert told(out) == (["a", "c"], [])
    assert predict(tmp_path / "in")[0] == 0
    assert told(out) == (["a", "b", "c"], [])


def test_predictions_of_another_run_or_other_options_are_not_mixed(
    predict, finished, scene, tmp_path
):
    path = save(tmp_path / "a.nii.gz", scene())
    one, two = finished(seed=0), finished(seed=1)
    _, out, _ = predict(path, key=one)
    before = (out / "predict.json").read_bytes()
    for options, key, words in (
        ((), two, "one of the same run"),
        (("--tta",), one, "masks with mirror False"),
    ):
        code, _, printed = predict(path, *options, key=key)
        assert (code, words in printed, "another folder" in printed) == (2, True, True)
    assert (out / "predict.json").read_bytes() == before
    (out / "predict.json").write_text("{")
    code, _, printed = predict(path, key=one)
    assert (code, "found it damaged" in printed) == (2, True)


def test_the_output_of_an_earlier_call_is_no_input(predict, scene, tmp_path):
    save(tmp_path / "a.nii.gz", scene())
    for _ in range(2):
        code, out, _ = predict(tmp_path / "a.nii.gz")
        assert code == 0
    key = next((tmp_path / "results" / "runs").iterdir()).name
    code, out, _ = predict(out.parent / "out" / "..", key=key)
    names = [image["name"] for image in json.loads((out / "predict.json").read_text())["images"]]
    assert not [name for name in names if name.startswith("out")]


def test_an_oblique_image_has_the_mask_of_the_upright_one_where_it_lies(predict, scene, tmp_path):
    tilt = np.array([[0.9, 0.3, -0.3, 5], [-0.2, 0.93, 0.3, 7], [0.38, -0.2, 0.9, 9], [0, 0, 0, 1]])
    path = save(tmp_path / "in" / "oblique.nii.gz", scene(), tilt @ LPS)
    save(tmp_path / "in" / "upright.nii.gz", scene())
    _, out, _ = predict(tmp_path / "in")
    oblique, upright = (nib.load(out / f"{name}.nii.gz") for name in ("oblique", "upright"))
    np.testing.assert_allclose(oblique.affine, nib.load(path).affine)
    np.testing.assert_array_equal(np.asarray(oblique.dataobj), np.asarray(upright.dataobj))
    found, bright = np.asarray(oblique.dataobj) == 3, read_image(path).array.T > 250
    assert (found & bright).sum() > 0.9 * bright.sum()
