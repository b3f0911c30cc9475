"""Full releases: cine loops, `testing/` and half sequences lie beside the same frames as ever."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

import datasets
from datasets import camus
from datasets.nifti import read_image, read_mask, read_pair
from datasets.phantom import short_axis, write_phantom
from datasets.phantom.heart import GROUPS, random_heart
from datasets.phantom.short_axis import FRAMES, contraction

SEED = 7  # of the phantoms without them, in conftest
FEW = 14
"""Frames of a cine loop here: half of the usual ones, for the sake of time."""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("full")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(short_axis, "FRAMES", FEW)
        for dataset in ("acdc", "camus"):
            write_phantom(dataset, root, patients=1, seed=SEED, full=True)
    return root


def test_the_frames_are_those_of_the_small_release(full, phantoms) -> None:
    def images(root: Path) -> set[Path]:
        return {path.relative_to(root) for path in root.rglob("*.nii.gz")}

    ours, theirs = images(full), images(phantoms)
    both = ours & theirs
    assert len(both) == 4 + 8
    assert all((full / path).read_bytes() == (phantoms / path).read_bytes() for path in both)
    extra = {path.name for path in ours - theirs if "patient101" not in path.name}
    assert extra == {
        "patient001_4d.nii.gz",
        *(f"patient0001_{view}_half_sequence{end}.nii.gz"
          for view in ("2CH", "4CH") for end in ("", "_gt")),
    }  # fmt: skip


def test_acdc_has_its_testing_patients_and_no_loop_is_a_case(full) -> None:
    cases = datasets.read_cases("acdc", datasets.find("acdc", full).root)
    assert [case.id for case in cases] == [
        "patient001_ED", "patient001_ES", "patient101_ED", "patient101_ES",
    ]  # fmt: skip
    assert [case.metadata["subset"] for case in cases] == ["training"] * 2 + ["testing"] * 2


def test_acdc_loops_pass_through_ed_and_es(full) -> None:
    ed, es = datasets.read_cases("acdc", datasets.find("acdc", full).root)[:2]
    loop = nibabel.load(ed.image.with_name("patient001_4d.nii.gz"))
    frames = np.asarray(loop.dataobj).T
    assert len(frames) == FEW
    assert loop.header.get_zooms()[3] == pytest.approx(0.03)
    for case in (ed, es):
        still = read_image(case.image)
        np.testing.assert_array_equal(frames[int(case.metadata["frame"]) - 1], still.array)
        assert loop.header.get_zooms()[2::-1] == pytest.approx(still.spacing_mm)
    # The blood pool of the middle slices shrinks until ES and grows again.
    where = read_mask(ed.mask, (1, 2, 3)).array == 3
    bright = [float(frame[where].mean()) for frame in frames]
    systole = int(es.metadata["frame"]) - 1
    assert abs(int(np.argmin(bright)) - systole) <= 2
    assert bright[0] > bright[systole // 2] > bright[systole]
    assert bright[systole] < bright[-1]


def test_camus_half_sequences_run_from_ed_to_es(full) -> None:
    root = datasets.find("camus", full).root
    frames = {case.id: case for case in datasets.read_cases("camus", root)}
    sequences = camus.read_half_sequences(root)
    assert [case.metadata["order"] for case in sequences] == ["ED-ES"] * 2
    for case in sequences:
        image, mask = read_pair(case, camus.SEQUENCE_INFO)
        for place, phase in ((0, "ED"), (-1, "ES")):
            still = read_pair(frames[f"{case.patient}_{case.metadata['view']}_{phase}"], camus.INFO)
            np.testing.assert_array_equal(image.array[place], still[0].array)
            np.testing.assert_array_equal(mask.array[place], still[1].array)
        areas = (mask.array == 1).sum(axis=(1, 2))
        assert (np.diff(areas) < 0).all()


@pytest.mark.parametrize("group", list(GROUPS))
def test_volumes_between_ed_and_es_are_exact(group: str) -> None:
    heart = random_heart(group, rng=np.random.default_rng(3))
    ed, es = heart.diastole, heart.systole
    for share in (0.0, 0.3, 1.0):
        now = heart.at(share)
        for volume in ("inner_volume_ml", "right_volume_ml"):
            before, after = getattr(ed, volume)(), getattr(es, volume)()
            expected = before + share * (after - before)
            assert getattr(now, volume)() == pytest.approx(expected, rel=1e-6)
        assert now.myocardium_ml() == pytest.approx(ed.myocardium_ml())


@pytest.mark.parametrize("systole", [8, 14])
def test_one_beat_is_one_contraction(systole: int) -> None:
    course = [contraction(frame, systole) for frame in range(1, FRAMES + 1)]
    assert (course[0], course[systole - 1]) == (0.0, 1.0)
    assert (np.diff(course[:systole]) > 0).all()
    assert (np.diff(course[systole - 1 :]) < 0).all()
    assert 0 < course[-1] < 0.1
