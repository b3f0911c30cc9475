"""The truth beside the files agrees with the masks to within their voxels."""

from __future__ import annotations

import numpy as np
import pytest

import datasets
from datasets.nifti import read_pair
from datasets.phantom.heart import GROUPS, random_heart


def volumes(case, info) -> dict[str, float]:
    _, mask = read_pair(case, info)
    cell = float(np.prod(mask.spacing_mm)) / 1000.0
    return {name: float((mask.array == label).sum()) * cell for name, label in info.classes.items()}


def test_acdc_volumes_fractions_and_mass(phantoms, markers) -> None:
    info = datasets.info("acdc")
    truth = markers["acdc"]["truth"]
    counted = {
        (case.patient, case.metadata["phase"]): volumes(case, info)
        for case in datasets.read_cases("acdc", datasets.find("acdc", phantoms).root)
    }
    for (patient, phase), found in counted.items():
        for name, value in found.items():
            # Ten-millimetre slices: the apex of a small right ventricle is the coarsest part.
            exact = truth[patient][f"{name}_{phase}_ml"]
            assert value == pytest.approx(exact, rel=0.03, abs=1.0), (patient, phase, name)
    for patient, known in truth.items():
        for name in ("left_ventricle", "right_ventricle"):
            large, small = counted[patient, "ED"][name], counted[patient, "ES"][name]
            exact = known[f"{name}_EF_percent"]
            assert 100 * (large - small) / large == pytest.approx(exact, abs=2.0)
        mass = known["left_ventricle_mass_g"]
        assert counted[patient, "ED"]["myocardium"] * 1.05 == pytest.approx(mass, rel=0.03)
        # Muscle is incompressible.
        assert known["myocardium_ED_ml"] == pytest.approx(known["myocardium_ES_ml"])


def test_acdc_groups_have_their_typical_hearts() -> None:
    """Group means against those of the 20 official training patients of each group."""
    rng = np.random.default_rng(0)
    measured = {}
    for group in GROUPS:
        hearts = [random_heart(group, rng=rng) for _ in range(40)]
        large = [heart.diastole.inner_volume_ml() for heart in hearts]
        small = [heart.systole.inner_volume_ml() for heart in hearts]
        mass = [heart.diastole.myocardium_ml() * 1.05 for heart in hearts]
        fraction = [100 * (a - b) / a for a, b in zip(large, small, strict=True)]
        measured[group] = tuple(float(np.mean(values)) for values in (large, fraction, mass))
    official = {
        "NOR": (130.1, 60.3, 97.6),
        "MINF": (172.2, 31.0, 117.1),
        "DCM": (284.6, 18.4, 162.1),
        "HCM": (129.1, 67.4, 168.6),
    }
    for group, means in official.items():
        assert measured[group] == pytest.approx(means, rel=0.12), group


def test_decathlon_volume(phantoms, markers) -> None:
    info = datasets.info("decathlon")
    case = datasets.read_cases("decathlon", datasets.find("decathlon", phantoms).root)[0]
    exact = markers["decathlon"]["truth"][case.patient]["left_atrium_ml"]
    assert volumes(case, info)["left_atrium"] == pytest.approx(exact, rel=0.005)


def test_camus_areas(phantoms, markers) -> None:
    info = datasets.info("camus")
    for case in datasets.read_cases("camus", datasets.find("camus", phantoms).root):
        known = markers["camus"]["truth"][case.patient]
        _, mask = read_pair(case, info)
        tail = f"{case.metadata['view']}_{case.metadata['phase']}_mm2"
        cell = float(np.prod(mask.spacing_mm))
        area = {n: float((mask.array == k).sum()) * cell for n, k in info.classes.items()}
        assert area["left_ventricle"] == pytest.approx(known[f"left_ventricle_{tail}"], rel=0.01)
        # The sector's edge may cut the wall's outside and the atrium's roof, as it does in real
        # exams; it adds nothing.
        for name, kept in (("myocardium", 0.9), ("left_atrium", 0.75)):
            assert kept * known[f"{name}_{tail}"] < area[name] < 1.01 * known[f"{name}_{tail}"]


def simpson_ml(two: np.ndarray, four: np.ndarray, spacing: float) -> float:
    """Biplane disks from masks: sections across the line from the annulus to the apex.

    Written apart from the phantom: it finds the axis in the mask, not in the phantom's numbers.
    """
    disks, lengths = [], []
    for mask in (two, four):
        y, x = np.nonzero(mask == 1)
        points = np.stack([y, x], axis=1) * spacing
        # The annulus is where cavity and atrium touch.
        below = np.zeros_like(mask, dtype=bool)
        below[:-2] = mask[2:] == 3
        by, bx = np.nonzero(below & (mask == 1))
        rim = np.stack([by, bx], axis=1) * spacing
        ends = rim[[rim[:, 1].argmin(), rim[:, 1].argmax()]]
        along = ends[1] - ends[0]
        up = np.array([-along[1], along[0]]) / np.linalg.norm(along)
        up = up if up[0] < 0 else -up
        height = (points - ends.mean(axis=0)) @ up
        length = height.max()
        counts, _ = np.histogram(height, bins=20, range=(0.0, length))
        disks.append(counts * spacing**2 / (length / 20))
        lengths.append(length)
    return float(np.pi / 4 * np.sum(disks[0] * disks[1]) * np.mean(lengths) / 20 / 1000.0)


def test_camus_biplane_volumes_and_fraction(phantoms, markers) -> None:
    info = datasets.info("camus")
    masks = {}
    for case in datasets.read_cases("camus", datasets.find("camus", phantoms).root):
        _, mask = read_pair(case, info)
        masks[case.patient, case.metadata["view"], case.metadata["phase"]] = mask.array
    for patient, known in markers["camus"]["truth"].items():
        found = {}
        for phase in ("ED", "ES"):
            views = (masks[patient, view, phase] for view in ("2CH", "4CH"))
            found[phase] = simpson_ml(*views, 0.308)
            exact = known[f"left_ventricle_{phase}_ml"]
            assert found[phase] == pytest.approx(exact, rel=0.04)
        fraction = 100 * (found["ED"] - found["ES"]) / found["ED"]
        assert fraction == pytest.approx(known["left_ventricle_EF_percent"], abs=3.0)


def test_camus_cfg_states_the_true_fraction(phantoms, markers) -> None:
    for patient, known in markers["camus"]["truth"].items():
        folder = phantoms / "CAMUS_public" / "database_nifti" / patient
        for view in ("2CH", "4CH"):
            lines = (folder / f"Info_{view}.cfg").read_text().splitlines()
            fields = dict(line.split(": ") for line in lines)
            assert int(fields["EF"]) == round(known["left_ventricle_EF_percent"])
            assert set(fields) == {
                "ED", "ES", "NbFrame", "Sex", "Age", "ImageQuality", "EF", "FrameRate",
            }  # fmt: skip
