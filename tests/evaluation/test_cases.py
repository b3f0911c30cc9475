"""Regions, post-processing and the protocol's definitions in the rows of a run."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from benchmark.data.cache import Cache
from benchmark.evaluation.cases import evaluate, scored_regions, unannotated_classes
from benchmark.evaluation.metrics import METRICS
from datasets import camus
from datasets.case import Case

SPACING_MM = (0.5, 0.25)


@pytest.fixture
def echo(tmp_path):
    """An echo frame with all three structures, and the label map behind it, ``(y, x)``."""
    mask = np.zeros((40, 48), np.uint8)
    mask[4:26, 10:34] = 2
    mask[7:26, 14:30] = 1
    mask[28:36, 14:30] = 3
    return _case(tmp_path, mask), mask


def _case(folder, mask):
    for name, array in (("i", mask * 80), ("m", mask)):
        image = nib.Nifti1Image(array.T, np.diag([SPACING_MM[1], SPACING_MM[0], 1, 1]))
        nib.save(image, folder / f"{name}.nii.gz")
    case = Case("patient0001_2CH_ED", "patient0001", folder / "i.nii.gz", folder / "m.nii.gz",
                {"phase": "ED", "view": "2CH"})  # fmt: skip
    return Cache(folder / "cache", camus.INFO, (None, None, None)).load([case])


class Predicts:
    def __init__(self, mask):
        self.predicted = mask

    def warm_up(self):
        pass

    def mask(self, prepared):
        return self.predicted


def rows_of(cached, predicted, spec, folder, **options):
    missing = unannotated_classes(camus.INFO, cached)
    result = evaluate(Predicts(predicted), cached, spec=spec, info=camus.INFO,
                      unannotated=missing, folder=folder, **options)  # fmt: skip
    return result, pd.read_csv(folder / "cases.csv").set_index("class")


def test_epicardium_is_cavity_and_muscle_together_and_no_part_of_the_mean(echo, spec, tmp_path):
    cached, truth = echo
    predicted = np.roll(truth, 2, axis=1)
    result, rows = rows_of(cached, predicted, spec, tmp_path / "run")
    assert rows["kind"].to_dict() == {
        "left_ventricle": "class",
        "myocardium": "class",
        "left_atrium": "class",
        "epicardium": "region",
    }
    inside = (np.isin(mask, (1, 2)) for mask in (truth, predicted))
    assert rows.loc["epicardium", "dice"] == pytest.approx(METRICS["dice"](*inside, SPACING_MM))
    assert rows.loc["epicardium", "dice"] > rows.loc["myocardium", "dice"]
    assert (rows["phase"] == "ED").all()
    assert (rows["view"] == "2CH").all()
    of_classes = rows.loc[rows["kind"] == "class", "dice"].mean()
    assert result.summary()["dice"] == pytest.approx(of_classes)
    picture = np.load(tmp_path / "run" / "slices" / "patient0001_2CH_ED.npz")
    assert float(picture["dice"]) == pytest.approx(of_classes)


def test_a_region_is_scored_only_where_all_its_labels_are_annotated(spec, tmp_path):
    mask = np.zeros((24, 24), np.uint8)
    mask[4:10, 4:10], mask[14:20, 4:10] = 1, 3
    _, rows = rows_of(_case(tmp_path, mask), mask, spec, tmp_path / "run")
    assert list(rows.index) == ["left_ventricle", "left_atrium"]
    assert scored_regions(camus.INFO, []) == {"epicardium": (1, 2)}
    assert scored_regions(camus.INFO, ["left_atrium"]) == {"epicardium": (1, 2)}


def test_rule_the_protocol_chooses_definition_and_tolerance(echo, spec, tmp_path):
    cached, truth = echo
    predicted = np.roll(truth, 2, axis=1)  # 0.5 mm
    protocol = replace(spec.protocol, surface_definition="pooled", nsd_tolerance_mm=0.4)
    _, strict = rows_of(cached, predicted, replace(spec, protocol=protocol), tmp_path / "strict")
    _, usual = rows_of(cached, predicted, spec, tmp_path / "usual")
    assert (usual["nsd"] == 1).all()
    assert (strict["nsd"] < 1).all()
    ring = [mask == 2 for mask in (truth, predicted)]
    for name in ("hd95_mm", "nsd"):
        wanted = METRICS[name](*ring, SPACING_MM, definition="pooled", tolerance_mm=0.4)
        assert strict.loc["myocardium", name] == pytest.approx(wanted)
    assert protocol != spec.protocol
    assert replace(spec, protocol=protocol).protocol_hash != spec.protocol_hash


def test_the_chosen_classes_are_cleaned(echo, spec, tmp_path):
    cached, truth = echo
    predicted = truth.copy()
    predicted[0, 0], predicted[0, 40] = 1, 3
    _, rows = rows_of(cached, predicted, spec, tmp_path / "run", largest=(1,))
    assert rows.loc["left_ventricle", "dice"] == 1
    assert rows.loc["left_atrium", "dice"] < 1
    saved = nib.load(tmp_path / "run" / "predictions" / "patient0001_2CH_ED.nii.gz")
    assert np.asarray(saved.dataobj).T[0, [0, 40]].tolist() == [0, 3]
