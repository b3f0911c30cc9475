"""A finished run is found by the names people use, and loaded as it was trained."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

import architectures
from benchmark.errors import BenchmarkError
from benchmark.records import WEIGHTS, write_record
from benchmark.trained import find, open_run


@pytest.fixture
def finished(tmp_path, spec):
    """Write finished runs whose weights are a file; return their results folder's writer."""

    def write(dice, status="ok", **changes):
        mine = dataclasses.replace(spec, **changes)
        folder = tmp_path / "runs" / mine.key
        folder.mkdir(parents=True)
        (folder / WEIGHTS).write_bytes(b"")
        write_record(
            folder,
            {
                "key": mine.key,
                "name": mine.name,
                "spec": mine.to_dict(),
                "status": status,
                "error": None if status == "ok" else "it broke",
                "classes": {"right_ventricle": 1, "myocardium": 2},
                "summary": {"dice": 1.0 - dice, "validation_dice": dice},
                "environment": {"device": {"precision": "float32"}},
                "postprocessing": {"classes": {"myocardium": {"applied": True}}},
            },
        )
        return mine.key

    return write


def test_a_key_its_beginning_and_the_best_on_validation_patients(finished, tmp_path, spec):
    low, high = finished(0.4, seed=1), finished(0.6, seed=2)
    assert find(tmp_path, low).record["key"] == low
    assert find(tmp_path, high[:6]).record["key"] == high
    # The scores on test cases say the opposite and do not choose.
    assert find(tmp_path, f"best:{spec.dataset}").record["key"] == high
    assert find(tmp_path, f"best:{spec.dataset}/{spec.architecture}").record["key"] == high
    assert find(tmp_path, low).largest == (2,)


def test_real_scans_go_before_phantoms(finished, tmp_path, spec):
    finished(0.9, source="phantom")
    real = finished(0.5, source="real")
    assert find(tmp_path, f"best:{spec.dataset}").record["key"] == real


def test_damaged_records_are_told_of_where_the_best_is_chosen(finished, tmp_path, spec, capsys):
    whole, broken = finished(0.5, seed=1), finished(0.9, seed=2)
    (tmp_path / "runs" / broken / "record.json").write_text("{")
    assert find(tmp_path, f"best:{spec.dataset}").spec.key == whole
    assert broken in capsys.readouterr().err
    told = []
    find(tmp_path, f"best:{spec.dataset}", on_damage=told.append)
    assert [broken in text for text in told] == [True]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("best:moon", "best:acdc/unet"),
        ("best:acdc/vnet", "best:acdc/unet"),
        ("ffffffff", "found none"),
        ("unet", "best:DATASET"),
    ],
)
def test_an_unknown_name_says_what_there_is(finished, tmp_path, name, words):
    finished(0.5)
    with pytest.raises(BenchmarkError, match=words):
        find(tmp_path, name)


def test_a_failed_run_and_one_without_weights_are_refused(finished, tmp_path):
    failed = finished(0.5, status="diverged", seed=1)
    with pytest.raises(BenchmarkError, match=r"status is diverged \(it broke\)"):
        find(tmp_path, failed)
    bare = finished(0.5, seed=2)
    (tmp_path / "runs" / bare / WEIGHTS).unlink()
    with pytest.raises(BenchmarkError, match="expected the weights"):
        find(tmp_path, bare)


def test_the_network_has_the_weights_and_the_precision_of_the_run(tmp_path, finished, spec):
    key = finished(0.5)
    folder = tmp_path / "runs" / key
    keras.utils.set_random_seed(3)
    made = architectures.build(spec.architecture, (*spec.patch, 1), 3, **spec.options)
    made.save_weights(folder / WEIGHTS)
    trained = open_run(folder)
    image = np.random.default_rng(0).random((1, *spec.patch, 1), dtype=np.float32)
    predictor = trained.predictor()
    np.testing.assert_allclose(predictor.logits(image), made(image), atol=1e-5)
    network = trained.network()
    assert not network.jit_compile  # a device without XLA, as in training
    assert network.dtype_policy.name == "float32"


def test_weights_of_another_network_are_refused(tmp_path, finished, spec):
    key = finished(0.5)
    other = architectures.build(spec.architecture, (*spec.patch, 1), 5, **spec.options)
    other.save_weights(tmp_path / "runs" / key / WEIGHTS)
    with pytest.raises(BenchmarkError, match="expected the weights of"):
        open_run(tmp_path / "runs" / key).network()
