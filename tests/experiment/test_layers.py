"""What is laid over a file: the same run as the matrix's, the same errors, another place."""

from __future__ import annotations

import json

import pytest

from benchmark.errors import BenchmarkError, ConfigError
from benchmark.experiment.layers import one_run, override, setting
from benchmark.experiment.plan import Plan, make_plan
from benchmark.experiment.tuning_section import found_on
from benchmark.generalisation.agenda import agenda


@pytest.fixture
def planned(small, tmp_path):
    def plan(*layers, profile="quick", **sections) -> Plan:
        return make_plan(
            small(**sections), results=tmp_path / "results", profile=profile, layers=layers
        )

    return plan


def one(fold=0, seed=0, architecture="unet", dataset="acdc"):
    return one_run(architecture, dataset, fold=fold, seed=seed)


def test_the_matrix_of_one_has_the_key_of_the_matrixs_cell(planned):
    (alone,) = planned(one()).runs
    assert alone.spec.key in {run.spec.key for run in planned().runs}
    (other,) = planned(one(fold=3, seed=9)).runs  # the matrix has neither
    assert (other.spec.fold, other.spec.seed) == (3, 9)


def test_the_matrix_of_one_takes_no_rule_and_no_tuned_recipe(planned):
    matrix = {
        "architectures": ["unet"], "datasets": ["acdc"],
        "include": [{"architecture": "unet", "seed": 4}],
    }  # fmt: skip
    found = {"files": "real/0", "split": "kfold", "folds": 3, "split_seed": 1,
             "validation_fraction": 0.2}  # fmt: skip
    recipe = {
        "study": "s",
        "trials": 1,
        "cost_s": 1.0,
        "found_on": found,
        "options": {"filters": 8},
    }
    plan = planned(one(), matrix=matrix, tuned={"unet": {"acdc": {0: recipe}}})
    assert len(plan.runs) == 1
    assert plan.runs[0].spec.tuned is None


def test_nothing_follows_the_matrix_of_one(planned, tmp_path):
    acdc = {"spacing_mm": [None, 4.0, 4.0], "patch_2d": [64, 64], "patch_3d": [16, 64, 64]}
    asked = {
        "matrix": {"architectures": ["unet"], "datasets": ["acdc"], "test_on": ["camus"]},
        "robustness": {"cases": 2},
        "sites": {"far": {"dataset": "acdc", "data_root": "nowhere"}},
        "datasets": {"acdc": {**acdc, "test_on": {"far": None}}, "camus": acdc},
    }
    with pytest.raises(BenchmarkError, match="nowhere"):
        planned(**asked)
    plan = planned(one(), **asked)  # and needs no files of the places either
    assert set(plan.places) == {"acdc"}
    assert agenda(plan, tmp_path / "results") == []


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("protocol.epochs=3", lambda spec: spec.protocol.epochs == 3),
        ("protocol.learning_rate=1e-3", lambda spec: spec.protocol.learning_rate == 1e-3),
        ("protocol.deterministic=true", lambda spec: spec.protocol.deterministic),
        ("options.filters=8", lambda spec: spec.options["filters"] == 8),
        ("dataset.patch_2d=[32, 96]", lambda spec: spec.protocol.patch_2d == (32, 96)),
        ("dims=3", lambda spec: spec.dims == 3),
    ],
)
def test_a_setting_is_what_it_would_be_in_the_file(planned, text, read):
    (run,) = planned(one(), setting(text, "unet", "acdc")).runs
    assert read(run.spec)
    assert run.spec.key != planned(one()).runs[0].spec.key


def test_a_setting_that_says_what_the_file_says_changes_nothing(planned):
    (run,) = planned(one(), setting("protocol.epochs=2", "unet", "acdc")).runs
    assert run.spec.key == planned(one()).runs[0].spec.key


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs=3", "expected protocol.FIELD, options.OPTION"),
        ("protcol.epochs=3", "Did you mean 'protocol'?"),
        ("protocol.epochs", "expected KEY=VALUE"),
        ("protocol=3", "expected KEY=VALUE"),
        ("protocol..x=3", "expected KEY=VALUE"),
        ("protocol.epochs=[", "not valid YAML after the '='"),
        ("protocol.epochs=x", "expected a whole number; received 'x'"),
        ("protocol.epoch=3", "Did you mean 'epochs'?"),
        ("protocol.epochs={a: 1}", "expected a whole number"),
        ("options.filterz=3", "Did you mean 'filters'?"),
        ("options.filters=wide", "must be an integer"),
        ("dataset.patch_2d=[32]", "value 2 is missing"),
        ("protocol.track=steps", "needs max_steps"),
    ],
)
def test_a_wrong_setting_names_itself(planned, text, words):
    with pytest.raises(BenchmarkError) as caught:
        planned(one(), setting(text, "unet", "acdc"))
    assert str(caught.value).startswith(f"--set {text}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (one(architecture="unett"), "--architecture unett: .*Did you mean 'unet'"),
        (one(dataset="moon"), "--dataset moon: .*unknown dataset"),
        (one(dataset="decathlon"), "--dataset decathlon: .*no section under 'datasets:'"),
        (one(fold=7), "--fold 7: expected folds below 5"),
        (one(seed=-1), "--seed -1: .*greater than or equal to 0"),
    ],
)
def test_a_wrong_axis_names_the_option(planned, layer, words):
    with pytest.raises(ConfigError, match=words):
        planned(layer)


def test_an_override_adds_its_recipe_and_its_errors_name_its_lines(planned, tmp_path):
    path = tmp_path / "found.yaml"
    found = json.dumps(found_on(planned(one()).runs[0].spec))
    recipe = (
        f"study: s\n        trials: 4\n        cost_s: 12.0\n        found_on: {found}\n"
        "        options: {filters: %s}\n"
    )
    path.write_text(f"tuned:\n  unet:\n    acdc:\n      0:\n        {recipe % 8}")
    plan, before = planned(override(path)), planned()
    added = {run.spec.key: run.spec for run in plan.runs}
    for run in before.runs:
        del added[run.spec.key]  # what was there is there as it was
    (tuned,) = added.values()
    assert tuned.options["filters"] == 8
    assert tuned.name == "unet·acdc·f0·s0·tuned"
    path.write_text(f"tuned:\n  unet:\n    acdc:\n      0:\n        {recipe % 'wide'}")
    with pytest.raises(ConfigError, match=r"found\.yaml:9: Option 'filters'"):
        planned(override(path))
    path.write_text("tuned:\n  unet:\n    acdc:\n      0: {study: s, trails: 3}")
    with pytest.raises(ConfigError, match=r"found\.yaml:4: unknown key .*Did you mean 'trials'"):
        planned(override(path))
    path.write_text("profiles: {}")
    with pytest.raises(ConfigError, match=r"found\.yaml:1: expected no profiles"):
        override(path)
    with pytest.raises(ConfigError, match="found none"):
        override(tmp_path / "none.yaml")
