"""Every fault of every file is named, once, and nothing else is."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import datasets
from benchmark.experiment.matrix import BOOK_KEEPING
from datasets import truth
from datasets.verify import verify

# The known volumes are of patients 1 to 100; these files hold small numbers instead of hearts.
PATIENT = "testing/patient101/patient101"


def check(name: str, root: Path, **options):
    found = datasets.find(name, root)
    assert found is not None
    return verify(name, found, **options)


def flip(path: Path, at: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def rewrite(path: Path, *, spacing=None, change=None) -> None:
    """Save a file again, whole, with another spacing or with other voxels."""
    image = nibabel.load(path)
    array = np.asarray(image.dataobj).copy()
    if change is not None:
        array = change(array)
    fresh = nibabel.Nifti1Image(array, image.affine, image.header)
    if spacing is not None:
        fresh.header.set_zooms(spacing)
    content = gzip.compress(fresh.to_bytes(), compresslevel=1, mtime=0)
    path.write_bytes(content)


def one_voxel(value):
    def change(array):
        array[tuple(0 for _ in array.shape)] = value
        return array

    return change


@pytest.fixture
def acdc(tmp_path, acdc_patient) -> Path:
    for number in (101, 102):
        acdc_patient(tmp_path / f"testing/patient{number}")
    return tmp_path


def test_a_sound_release_has_no_fault(acdc):
    seen = []
    verdict = check("acdc", acdc, progress=lambda done, total: seen.append((done, total)))
    assert verdict.faults == ()
    assert (verdict.patients, verdict.cases, verdict.files) == (2, 4, 10)
    assert seen == [(done, 6) for done in range(1, 7)]  # four pairs and two 4D files
    assert any("testing: 2 of 50 official patients" in note for note in verdict.notes)
    assert any("training: 0 of 100 official patients" in note for note in verdict.notes)


FAULTS = {
    "flipped byte of a mask": ("_frame01_gt.nii.gz", lambda p: flip(p, -12), "damaged"),
    "flipped byte of an image": ("_frame12.nii.gz", lambda p: flip(p, -6), "damaged"),
    "truncated image": ("_frame01.nii.gz", truncate, "cut short"),
    "truncated mask": ("_frame12_gt.nii.gz", truncate, "cut short"),
    "truncated 4D recording": ("_4d.nii.gz", truncate, "cut short"),
    "nothing in the file": ("_frame12.nii.gz", lambda p: p.write_bytes(b""), "empty"),
    "missing mask": ("_frame12_gt.nii.gz", Path.unlink, "is missing, although its image"),
    "missing image": ("_frame01.nii.gz", Path.unlink, "is missing, although its mask"),
    "altered spacing of a mask": (
        "_frame01_gt.nii.gz",
        lambda p: rewrite(p, spacing=(1.5, 1.6, 10.0)),
        "has the spacing 10 x 1.6 x 1.5 mm but its image",
    ),
    "mask of another shape": (
        "_frame01_gt.nii.gz",
        lambda p: rewrite(p, change=lambda array: array[:-1]),
        "has the shape (2, 6, 4) but its image",
    ),
    "extra label": (
        "_frame12_gt.nii.gz",
        lambda p: rewrite(p, change=one_voxel(7)),
        "values that are not labels: 7",
    ),
    "empty mask": (
        "_frame12_gt.nii.gz",
        lambda p: rewrite(p, change=np.zeros_like),
        "background alone",
    ),
}


@pytest.mark.parametrize(("ending", "harm", "said"), FAULTS.values(), ids=FAULTS)
def test_one_fault_is_one_line_that_names_the_file(acdc, ending, harm, said):
    path = acdc / f"{PATIENT}{ending}"
    harm(path)
    (fault,) = check("acdc", acdc).faults
    assert fault.startswith(str(path))
    assert said in fault


def test_every_fault_is_named_however_many_there_are(tmp_path, acdc_patient):
    harmed = []
    for number, (ending, harm, _) in enumerate(FAULTS.values(), start=101):
        folder = acdc_patient(tmp_path / f"testing/patient{number}")
        harmed.append(folder / f"{folder.name}{ending}")
        harm(harmed[-1])
    (acdc_patient(tmp_path / "testing/patient150") / "Info.cfg").unlink()
    harmed.append(tmp_path / "testing/patient150/Info.cfg")
    faults = check("acdc", tmp_path).faults
    assert sorted(str(path) for path in harmed) == sorted(
        fault.split()[0].rstrip(":") for fault in faults
    )
    assert not any("\n" in fault for fault in faults)


def test_all_faults_of_one_pair_are_named(acdc):
    image, mask = (acdc / f"{PATIENT}_frame01{kind}.nii.gz" for kind in ("", "_gt"))
    rewrite(image, spacing=(2.5, 1.5, 10.0))
    rewrite(mask, change=one_voxel(9))
    spacing, labels = sorted(check("acdc", acdc).faults, key=lambda fault: "labels" in fault)
    assert f"its image {image.name} has 10 x 1.5 x 2.5 mm" in spacing
    assert labels.startswith(f"{mask} holds values that are not labels: 9")


def test_missing_files_of_both_phases_are_both_named(acdc):
    for ending in ("_frame01_gt", "_frame12"):
        (acdc / f"{PATIENT}{ending}.nii.gz").unlink()
    named = {fault.split()[0] for fault in check("acdc", acdc).faults}
    assert named == {str(acdc / f"{PATIENT}{e}.nii.gz") for e in ("_frame01_gt", "_frame12")}


def test_phases_of_one_patient_have_one_grid(acdc):
    for kind in ("", "_gt"):
        rewrite(acdc / f"{PATIENT}_frame12{kind}.nii.gz", spacing=(1.5, 1.5, 8.0))
    (fault,) = check("acdc", acdc).faults
    assert fault.startswith(f"{acdc}/{PATIENT}_frame12.nii.gz: expected the grid of")
    assert "8 x 1.5 x 1.5 mm" in fault


def test_a_spacing_in_metres_is_not_plausible(acdc):
    for frame in ("01", "12"):
        for kind in ("", "_gt"):
            path = acdc / f"{PATIENT}_frame{frame}{kind}.nii.gz"
            rewrite(path, spacing=(0.0015, 0.0015, 0.01))
    faults = check("acdc", acdc).faults
    assert len(faults) == 2
    assert all("expected a spacing near the usual 10 x 1.5625 x 1.5625 mm" in f for f in faults)


def test_patients_that_acdc_does_not_have(tmp_path, acdc_patient):
    acdc_patient(tmp_path / "training/patient101")
    (fault,) = check("acdc", tmp_path).faults
    assert fault.startswith(f"{tmp_path}/training: expected the 100 patients patient001 to")
    assert "found patient101 too" in fault


def test_testing_without_masks_is_a_note_and_one_patient_without_them_a_fault(acdc):
    for path in (acdc / "testing/patient102").glob("*_gt.nii.gz"):
        path.unlink()
    (fault,) = check("acdc", acdc).faults
    assert fault.startswith(f"{acdc}/testing/patient102: expected masks")
    (acdc / "testing").rename(acdc / "labelled")
    shutil.copytree(acdc / "labelled/patient102", acdc / "testing/patient102")
    shutil.copytree(acdc / "labelled/patient101", acdc / "training/patient001")
    verdict = check("acdc", acdc)
    assert f"{acdc}/testing: its 1 patients have no masks" in verdict.notes


def test_the_number_of_threads_does_not_matter(acdc):
    truncate(acdc / f"{PATIENT}_frame01.nii.gz")
    (acdc / f"{PATIENT}_frame12_gt.nii.gz").unlink()
    assert check("acdc", acdc, threads=1) == check("acdc", acdc, threads=4)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(["_frame01", "_frame12_gt", "_4d"]),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
    cut=st.booleans(),
)
def test_no_damage_passes_unnamed(acdc, name, place, bit, cut):
    """A flipped bit or a cut is named, unless what is unpacked is the same all the same."""
    path = acdc / f"{PATIENT}{name}.nii.gz"
    sound = path.read_bytes()
    at = int(place * len(sound))
    if cut:
        path.write_bytes(sound[:at])
    else:
        flip(path, at, bit)
    try:
        faults = check("acdc", acdc).faults
        assert len(faults) <= 1
        assert all(fault.startswith(str(path)) for fault in faults)
        if not faults:
            assert not cut
            # The name and date in gzip's own header, or padding between its blocks.
            assert gzip.decompress(path.read_bytes()) == gzip.decompress(sound)
    except zlib.error as error:
        raise AssertionError(f"{path.name} was damaged at {at} and not named") from error
    finally:
        path.write_bytes(sound)


@pytest.fixture
def known(monkeypatch, tmp_path, acdc_patient, nifti_file) -> Path:
    """Patients 1 and 2 of ACDC with small hearts, and a table that knows their volumes."""
    rows = {}
    for number in (1, 2):
        folder = acdc_patient(tmp_path / f"ACDC/training/patient{number:03d}")
        row = {"patient": folder.name, "group": "DCM"}
        amounts = {}
        for phase, frame, voxels in (("ed", "01", (40, 30, 50)), ("es", "12", (20, 31, 25))):
            mask = np.zeros(400, np.uint8)
            mask[: sum(voxels)] = np.repeat([1, 2, 3], voxels)
            for kind in ("", "_gt"):
                path = folder / f"{folder.name}_frame{frame}{kind}.nii.gz"
                nifti_file(path, mask.reshape(4, 10, 10), (10.0, 1.5, 1.5))
            for key, count in zip(("rv", "myocardium", "lv"), voxels, strict=True):
                amounts[key, phase] = count * 0.0225
        for key in ("lv", "rv"):
            large, small = amounts[key, "ed"], amounts[key, "es"]
            row |= {f"{key}_edv_ml": f"{large:.4f}", f"{key}_esv_ml": f"{small:.4f}"}
            row[f"{key}_ef_pct"] = f"{100 * (1 - small / large):.4f}"
        for phase in ("ed", "es"):
            row[f"myocardium_{phase}_ml"] = f"{amounts['myocardium', phase]:.4f}"
        row["lv_mass_g"] = f"{1.05 * amounts['myocardium', 'ed']:.4f}"
        rows[folder.name] = row
    monkeypatch.setattr(truth, "acdc_table", lambda: rows)
    return tmp_path / "ACDC"


def test_known_volumes_are_confirmed(known):
    verdict = check("acdc", known)
    assert verdict.faults == ()
    (line,) = verdict.confirmed
    assert line.startswith("LV and RV volumes, EF and LV mass of 2 of 2 patients")


def test_one_changed_voxel_of_an_intact_file_is_named(known):
    path = known / "training/patient002/patient002_frame12_gt.nii.gz"
    rewrite(path, change=one_voxel(0))
    verdict = check("acdc", known)
    (fault,) = verdict.faults
    assert fault.startswith(f"{path}: expected the volumes of the official mask at ES")
    assert "right_ventricle 0.4500 mL, measured 0.4275 mL" in fault
    assert "1 of 2 patients" in verdict.confirmed[0]


def test_a_fraction_a_mass_or_a_group_that_disagrees_is_named(known):
    row = truth.acdc_table()["patient001"]
    row |= {"lv_ef_pct": "51.0", "lv_mass_g": "9.9", "group": "HCM"}
    faults = check("acdc", known).faults
    assert len(faults) == 1
    assert "patient001/Info.cfg: expected `Group: HCM`" in faults[0]
    row["group"] = "DCM"
    fraction, mass = check("acdc", known).faults
    assert "patient001: expected lv_ef_pct 51.0, measured 50.0000" in fraction
    assert "patient001: expected lv_mass_g 9.9, measured 0.7087" in mass


def test_the_table_of_known_values_agrees_with_itself():
    with truth.TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["patient"] for row in rows] == [f"patient{n:03d}" for n in range(1, 101)]
    assert all([row["group"] for row in rows].count(group) == 20 for group in
               ("NOR", "MINF", "DCM", "HCM", "RV"))  # fmt: skip
    for row in rows:
        for key in ("lv", "rv"):
            large, small = float(row[f"{key}_edv_ml"]), float(row[f"{key}_esv_ml"])
            fraction = 100 * (1 - small / large)
            assert fraction == pytest.approx(float(row[f"{key}_ef_pct"]), abs=2e-4)
        muscle_ml = float(row["myocardium_ed_ml"])
        assert float(row["lv_mass_g"]) == pytest.approx(1.05 * muscle_ml, abs=1e-4)


def test_camus_faults_of_every_kind(tmp_path, camus_patient):
    for number in (1, 2, 3, 4):
        camus_patient(tmp_path / f"database_nifti/patient{number:04d}")
    folders = [tmp_path / f"database_nifti/patient{number:04d}" for number in (1, 2, 3, 4)]
    for kind in ("", "_gt"):
        (folders[0] / f"patient0001_2CH_ES{kind}.nii.gz").unlink()
    truncate(folders[1] / "patient0002_4CH_half_sequence_gt.nii.gz")
    (folders[2] / "Info_4CH.cfg").write_text("no colon")
    flip(folders[2] / "patient0003_4CH_ED_gt.nii.gz", -9)
    for path in folders[3].glob("*_2CH_*"):
        path.unlink()
    verdict = check("camus", tmp_path)
    assert sorted({fault.split()[0].rstrip(",") for fault in verdict.faults}) == [
        str(folders[0] / "patient0001_2CH_ES.nii.gz"),
        str(folders[1] / "patient0002_4CH_half_sequence_gt.nii.gz"),
        str(folders[2] / "Info_4CH.cfg"),
        str(folders[2] / "patient0003_4CH_ED_gt.nii.gz"),
    ]
    assert any("4 of 500 official patients" in note for note in verdict.notes)
    assert any("one of the two views only: patient0004" in note for note in verdict.notes)
    assert any("no list of the official split" in note for note in verdict.notes)


def test_camus_on_metaimage(tmp_path, mhd_file):
    folder = tmp_path / "training/patient0001"
    for view in ("2CH", "4CH"):
        for phase in ("ED", "ES"):
            for kind in ("", "_gt"):
                mhd_file(folder / f"patient0001_{view}_{phase}{kind}.mhd", np.eye(9, dtype="u1"))
    assert check("camus", tmp_path).faults == ()
    path = folder / "patient0001_4CH_ES.raw"
    path.write_bytes(path.read_bytes()[:-1])
    (fault,) = check("camus", tmp_path).faults
    assert "patient0001_4CH_ES.mhd" in fault


def test_task02_listing_and_images_without_masks(tmp_path, task02, nifti_file):
    task02(tmp_path, (3, 4, 5))
    for path in (*tmp_path.glob("*Tr/la_*"),):
        rewrite(path, spacing=(1.25, 1.25, 1.37))
    nifti_file(tmp_path / "imagesTs/la_001.nii.gz", np.ones((2, 3, 4), "f4"))
    names = [f"la_{number:03d}.nii.gz" for number in (3, 4, 5)]
    listing = {
        "numTraining": 20,
        "training": [{"image": f"./imagesTr/{n}", "label": f"./labelsTr/{n}"} for n in names],
        "test": ["./imagesTs/la_001.nii.gz", "./imagesTs/la_002.nii.gz"],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(listing))
    verdict = check("decathlon", tmp_path)
    (fault,) = verdict.faults
    assert "its numTraining says, 20, received 3" in fault
    assert any("3 of 20 official patients" in note for note in verdict.notes)
    assert any("1 of 2 listed images without masks are absent: la_002" in n for n in verdict.notes)
    truncate(tmp_path / "imagesTs/la_001.nii.gz")
    (tmp_path / "labelsTr/la_004.nii.gz").unlink()
    (tmp_path / "dataset.json").write_text("{")
    named = {fault.split()[0] for fault in check("decathlon", tmp_path).faults}
    assert named == {
        str(tmp_path / place)
        for place in ("imagesTs/la_001.nii.gz", "labelsTr/la_004.nii.gz", "dataset.json")
    }


def test_other_scans_in_the_layout_of_task02_are_said_to_be_such(tmp_path, task02):
    task02(tmp_path, (1, 3))
    notes = check("decathlon", tmp_path).notes
    assert any("not the Decathlon's own" in note for note in notes)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("phantom")
    datasets.write_phantom("acdc", root, patients=2, seed=5)
    datasets.write_phantom("camus", root, patients=1, seed=5)
    return root


@pytest.mark.parametrize(("name", "values"), [("acdc", 12), ("camus", 12)])
def test_phantoms_hold_their_true_volumes(phantom, name, values):
    verdict = check(name, phantom)
    assert verdict.faults == ()
    assert verdict.confirmed[0].startswith(f"{values} of {values} true values agree")


def test_a_phantom_that_lost_a_part_of_its_heart(phantom, tmp_path):
    shutil.copytree(phantom / "CAMUS_public", tmp_path / "CAMUS_public")
    path = tmp_path / "CAMUS_public/database_nifti/patient0001/patient0001_4CH_ES_gt.nii.gz"
    rewrite(path, change=lambda array: np.where(array == 3, 0, array).astype("u1"))
    (fault,) = check("camus", tmp_path).faults
    assert fault.startswith(f"{path}: expected what the phantom was drawn from")
    assert "left_atrium_4CH_ES_mm2" in fault
    (tmp_path / "CAMUS_public/PHANTOM.json").write_text("[]")
    assert any(
        f"{tmp_path}/CAMUS_public/PHANTOM.json" in f for f in check("camus", tmp_path).faults
    )


def test_a_phantom_without_one_of_its_patients(phantom, tmp_path):
    shutil.copytree(phantom / "ACDC", tmp_path / "ACDC")
    shutil.rmtree(tmp_path / "ACDC/training/patient002")
    (fault,) = check("acdc", tmp_path).faults
    assert "expected 2 patients of the phantom, found 1" in fault


def test_book_keeping_names_files_that_exist():
    rooms = (Path(datasets.__file__).parent, Path(datasets.__file__).parents[1] / "architectures")
    assert {"verify", "truth", "census"} <= set(BOOK_KEEPING)
    for stem in BOOK_KEEPING:
        assert any((room / f"{stem}.py").is_file() for room in rooms)


def test_real_acdc_is_confirmed(real_data):
    verdict = check("acdc", real_data)
    assert verdict.faults == ()
    assert (
        f"EF and LV mass of {verdict.patients} of {verdict.patients} patients"
        in (verdict.confirmed[0])
    )
    assert verdict.patients == 80


@pytest.mark.parametrize("name", ["decathlon", "camus"])
def test_other_real_scans_are_sound(real_data, name):
    verdict = check(name, real_data)
    assert verdict.faults == ()
    assert verdict.cases == 24


def test_faults_in_a_copy_of_real_patients(real_data, tmp_path):
    root = datasets.find("acdc", real_data).root
    names = ("patient001", "patient002", "patient004", "patient005")
    for name in names:
        shutil.copytree(root / "training" / name, tmp_path / "training" / name)
    for path in tmp_path.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    masks = [sorted((tmp_path / "training" / name).glob("*_gt.nii.gz")) for name in names]
    images = [sorted((tmp_path / "training" / name).glob("*frame??.nii.gz")) for name in names]
    flip(masks[0][1], masks[0][1].stat().st_size // 2)
    truncate(images[1][0])
    steps = nibabel.load(masks[2][0]).header.get_zooms()
    rewrite(masks[2][0], spacing=(*steps[:2], steps[2] / 2))
    rewrite(masks[3][1], change=one_voxel(3))
    verdict = check("acdc", tmp_path)
    harmed = [masks[0][1], images[1][0], masks[2][0], masks[3][1]]
    assert {f.split()[0].rstrip(":") for f in verdict.faults} == {str(path) for path in harmed}
    assert len(verdict.faults) == 4
    assert "0 of 4 patients" in verdict.confirmed[0]
