"""Starting from the weights of another run: what is taken over, and what is refused."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

import architectures
from benchmark.errors import BenchmarkError
from benchmark.experiment.spec import RunSpec
from benchmark.experiment.start import check_unseen, seen_patients
from benchmark.records import WEIGHTS, digest_of, write_record
from benchmark.training.start import start_from

ATRIUM = {"left_atrium": 1}
ACDC = {"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3}
CAMUS = {"left_ventricle": 1, "myocardium": 2, "left_atrium": 3}


def network(spec, classes, seed):
    keras.utils.set_random_seed(seed)
    return architectures.build(
        spec.architecture, (*spec.patch, 1), len(classes) + 1, **spec.options
    )


@pytest.fixture
def source(tmp_path, spec):
    """Return a function that finishes a run and gives a specification that starts from it."""

    def make(classes=ATRIUM, dataset="decathlon", patients=("la_003",), **changes):
        mine = dataclasses.replace(spec, dataset=dataset, **changes)
        folder = tmp_path / "runs" / mine.key
        folder.mkdir(parents=True)
        network(mine, classes, seed=1).save_weights(folder / WEIGHTS)
        record = {
            "key": mine.key, "name": mine.name, "spec": mine.to_dict(), "status": "ok",
            "error": None, "classes": dict(classes), "summary": {"dice": 0.5}, "release": "",
            "split": {"train": list(patients), "validation": ["v"], "test": ["t"]},
        }  # fmt: skip
        write_record(folder, record)
        start = {"run": mine.key, "sha256": digest_of(folder / WEIGHTS), "dataset": dataset}
        return dataclasses.replace(spec, init_from=start), record

    return make


def begin(model, spec, results, *, classes=ACDC, tested=("patient001",), release=""):
    return start_from(model, spec, results, classes=classes, release=release, tested=tested)


def values(model):
    return {variable.path: np.array(variable) for variable in model.weights}


def changed(model, before):
    after = values(model)
    return {path for path in after if not np.array_equal(after[path], before[path])}


def test_rule_layers_that_fit_are_taken_over_and_a_changed_head_is_new(
    source, spec, tmp_path, capfd
):
    mine, record = source()
    model = network(spec, ACDC, seed=2)
    old, before = values(network(spec, ATRIUM, seed=1)), values(model)
    found = begin(model, mine, tmp_path)
    after = values(model)
    for path, value in after.items():
        expected = before if path.startswith("logits_conv") else old
        np.testing.assert_array_equal(value, expected[path])
    assert changed(model, before)
    assert found["reinitialised"] == ["logits_conv"]
    assert found["loaded"] == len({path.rpartition("/")[0] for path in after}) - 1
    assert (found["run"], found["dataset"]) == (record["key"], "decathlon")
    assert "re-initialised: logits_conv" in capfd.readouterr().err


def test_rule_a_head_of_as_many_other_classes_is_new_too(source, spec, tmp_path):
    mine, _ = source(CAMUS, "camus")
    assert begin(network(spec, ACDC, 2), mine, tmp_path)["reinitialised"] == ["logits_conv"]


def test_the_same_classes_keep_their_head(source, spec, tmp_path):
    mine, _ = source(ACDC, "acdc", patients=("patient090",))
    model = network(spec, ACDC, 2)
    assert begin(model, mine, tmp_path)["reinitialised"] == []
    old = values(network(spec, ACDC, seed=1))
    np.testing.assert_array_equal(values(model)["logits_conv/kernel"], old["logits_conv/kernel"])


def test_of_a_wider_network_nothing_fits(source, spec, tmp_path):
    mine, _ = source(options={"filters": 8})
    with pytest.raises(BenchmarkError, match=r"none of \w+ \({'filters': 8}\) does"):
        begin(network(spec, ACDC, 2), mine, tmp_path)


def test_rule_a_run_that_has_seen_test_patients_is_refused(source, spec, tmp_path):
    mine, record = source(ACDC, "acdc", patients=("patient001", "patient002"))
    for tested in ({"patient002", "patient009"}, {"v"}):  # trained on, or chosen by
        with pytest.raises(BenchmarkError, match="trained on 1 of them"):
            begin(network(spec, ACDC, 2), mine, tmp_path, tested=tested)
    check_unseen(record, mine, "", {"patient009", "t"})
    # People of other files may have the same number.
    check_unseen(record, mine, "another release", {"patient001"})
    check_unseen(record, dataclasses.replace(mine, dataset="camus"), "", {"patient001"})
    check_unseen(record, dataclasses.replace(mine, source="real"), "", {"patient001"})


def test_rule_what_the_start_of_the_start_has_seen_counts_too(source, spec):
    mine, first = source(ACDC, "acdc", patients=("patient001",))
    second = {
        "key": "b" * 12, "spec": dataclasses.replace(mine, dataset="camus").to_dict(),
        "split": {"train": ["patient0001"], "validation": [], "test": []},
        "init_from": {"seen": seen_patients(first)},
    }  # fmt: skip
    with pytest.raises(BenchmarkError, match=first["key"]):
        check_unseen(second, mine, "", {"patient001"})


def test_weights_that_changed_since_the_plan_are_refused(source, spec, tmp_path):
    mine, record = source()
    network(spec, ATRIUM, seed=5).save_weights(tmp_path / "runs" / record["key"] / WEIGHTS)
    with pytest.raises(BenchmarkError, match="run again"):
        begin(network(spec, ACDC, 2), mine, tmp_path)


def test_rule_the_start_is_part_of_the_key_and_its_absence_is_not(spec):
    start = {"run": "a" * 12, "sha256": "b" * 64, "dataset": "decathlon"}
    tuned = dataclasses.replace(spec, init_from=start)
    assert "init_from" not in spec.to_dict()
    assert tuned.key != spec.key
    assert tuned.protocol_hash == spec.protocol_hash  # it may stand beside the one from scratch
    assert dataclasses.replace(tuned, init_from=start | {"sha256": "c"}).key != tuned.key
    assert tuned.name == "unet←decathlon·acdc·f0·s0"
    assert RunSpec.from_dict(tuned.to_dict()) == tuned
    assert RunSpec.from_dict(spec.to_dict()).key == spec.key
