"""Which class is which, on which grid, and when a test makes no sense."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmark.generalisation.maps import (
    grid_mm,
    label_table,
    shared_classes,
    translate,
    why_not,
)
from benchmark.generalisation.tasks import CrossTest, Robustness, from_plain, to_plain

ACDC = {"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3}
CAMUS = {"left_ventricle": 1, "myocardium": 2, "left_atrium": 3}


def cross(site="camus", dataset="camus", classes=None, **changes) -> CrossTest:
    values = {"source": "phantom", "release": "", "fingerprint": "0", "root": Path("x")} | changes
    return CrossTest(site, dataset, classes={"a": "a"} if classes is None else classes, **values)


def test_classes_of_the_same_name_are_the_same_where_nothing_is_said():
    assert shared_classes("acdc", "camus") == {
        "myocardium": "myocardium", "left_ventricle": "left_ventricle",
    }  # fmt: skip
    assert shared_classes("decathlon", "camus") == {"left_atrium": "left_atrium"}
    assert shared_classes("acdc", "decathlon") == {}


def test_rule_labels_are_translated_by_name_and_all_else_is_background():
    classes = {"left_ventricle": "left_ventricle", "myocardium": "myocardium"}
    table = label_table(classes, ACDC, CAMUS)
    predicted = np.array([[0, 1, 2, 3]], np.uint8)
    np.testing.assert_array_equal(translate(predicted, table), [[0, 0, 2, 1]])
    # Two classes of a model may be one of the files.
    both = label_table(dict.fromkeys(ACDC, "myocardium"), ACDC, CAMUS)
    np.testing.assert_array_equal(translate(predicted, both), [[0, 2, 2, 2]])


@pytest.mark.parametrize(
    ("changes", "task", "words"),
    [
        ({}, cross(classes={}), "no class in common"),
        ({"dims": 3}, cross(), "reads volumes"),
        ({"source": "real"}, cross(), "trained on real data"),
        ({}, cross("twin", "acdc", fingerprint="f" * 16), "the files it was trained on"),
    ],
    ids=["classes", "dims", "source", "same files"],
)
def test_rule_what_cannot_be_tested_says_why(spec, changes, task, words):
    assert words in why_not(dataclasses.replace(spec, **changes), task)


def test_other_files_of_the_same_dataset_and_other_datasets_can(spec):
    assert why_not(spec, cross()) == ""
    assert why_not(spec, cross("twin", "acdc", fingerprint="0")) == ""
    assert why_not(dataclasses.replace(spec, dims=3), cross("la", "decathlon")) == ""


def test_the_grid_is_that_of_the_training(spec):
    assert grid_mm(spec, cross()) == (None, 4.0, 4.0)
    volumetric = dataclasses.replace(spec, dims=3)
    # Where the protocol keeps the distance of slices, that of the model's own dataset.
    assert grid_mm(volumetric, cross("la", "decathlon")) == (10.0, 4.0, 4.0)
    assert grid_mm(volumetric, cross("twin", "acdc")) == (None, 4.0, 4.0)


def test_tasks_survive_the_way_through_json():
    for task in (cross(), Robustness(("noise", "blur"), (1, 3), 4, Path("x"))):
        assert from_plain(to_plain(task)) == task
    # The order in which kinds are listed changes no picture, so it makes no other task.
    one, two = (Robustness(kinds, (1,), 4, Path("x"))
                for kinds in (("noise", "blur"), ("blur", "noise")))  # fmt: skip
    assert one.identity() == two.identity()
