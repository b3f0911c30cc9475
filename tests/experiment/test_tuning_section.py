"""What may be searched and what a found recipe may change, refused with file and line."""

from __future__ import annotations

import pytest
import yaml

from benchmark.errors import ConfigError
from benchmark.experiment.config import load_experiment
from benchmark.experiment.plan import make_plan
from benchmark.experiment.tuning_section import found_on

TRIED = {"study": "s-1", "trials": 20, "cost_s": 4312.0}
FOUND_ON = {
    "files": "phantom/0", "split": "kfold", "folds": 5, "split_seed": 0, "validation_fraction": 0.1,
}  # fmt: skip
RECIPE = {**TRIED, "found_on": FOUND_ON}


@pytest.mark.parametrize(
    ("search", "at", "words"),
    [
        ({}, "search", "at least"),
        ({"protocol.epochs": [1, 2]}, "protocol.epochs", "the same for all"),
        ({"protocol.learning_rat": [1]}, "rat", "Did you mean 'protocol.learning_rate'?"),
        ({"filters": [1, 2]}, "filters", "options.OPTION"),
        ({"options.filterz": [1, 2]}, "- 1", "no option 'filterz'"),
        ({"options.filters": [8, "wide"]}, "- wide", "must be an integer"),
        ({"options.filters": 8}, "filters", "expected a list of choices"),
        ({"options.filters": []}, "filters", "at least one choice"),
        ({"options.strides": [[2, 2]]}, "strides", "each text, a number"),
        ({"options.filters": [8, 8]}, "filters", "every choice once"),
        ({"options.filters": {"low": 2}}, "filters", "options.filters.high' is missing"),
        ({"options.filters": {"low": 9, "high": 2}}, "high: 2", "more than low, which is 9"),
        ({"options.filters": {"low": 2, "high": 9, "lag": True}}, "lag", "Did you mean 'log'?"),
        ({"options.filters": {"low": "a", "high": 9}}, "low", "expected a number"),
        ({"options.filters": {"low": 2, "high": 9, "step": 0}}, "step", "above 0"),
        (
            {"protocol.learning_rate": {"low": 0, "high": 1, "log": True}},
            "log", "expected log: true with a low above 0",
        ),
        ({"protocol.learning_rate": {"low": 0.1, "high": 11}}, "high", "less than or equal to 10"),
        ({"protocol.loss": ["dice_sqared"]}, "sqared", "Did you mean 'dice_squared'?"),
    ],
)  # fmt: skip
def test_a_search_that_cannot_be_made_is_refused_where_it_stands(small, search, at, words):
    path = small(tuning={"search": search})
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()), default_flow_style=False))
    section = path.read_text().splitlines()
    begin = section.index("tuning:")
    (line,) = (n for n, each in enumerate(section, 1) if n > begin and at in each)
    with pytest.raises(ConfigError) as caught:
        load_experiment(path, "quick")
    assert f"{path.name}:{line}: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("sampler", "tpa", "Did you mean 'tpe'?"),
        ("pruner", "mean", "'median' or 'none'"),
        ("startup_trials", -1, "greater than or equal to 0"),
        ("sampler_sed", 1, "Did you mean 'sampler_seed'?"),
    ],
)
def test_how_it_is_searched_is_checked_too(small, key, value, words):
    path = small(tuning={"search": {"options.filters": [1, 2]}, key: value})
    with pytest.raises(ConfigError, match=words):
        load_experiment(path, "quick")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"protocol": {"epochs": 9}}, "the same for all"),
        ({"protocol": {"learning_rate": "fast"}}, "tuned.unet.acdc.0.protocol.learning_rate"),
        ({"options": {"filterz": 9}}, "no option 'filterz'"),
        ({"trials": 0}, "greater than or equal to 1"),
        ({"found_on": {**FOUND_ON, "fold": 5}}, "Did you mean 'folds'?"),
        ({"found_on": {"files": "phantom/0"}}, "is missing"),
    ],
)
def test_a_recipe_that_cannot_be_run_is_refused(small, change, words):
    path = small(tuned={"unet": {"acdc": {0: {**RECIPE, **change}}}})
    with pytest.raises(ConfigError, match=words):
        load_experiment(path, "quick")


def first(path, tmp_path):
    plan = make_plan(path, results=tmp_path / "results", profile="quick")
    return plan.runs[0].spec  # unet on acdc, fold 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"files": "real/{fingerprint}"}, r"had files real/.* \(here phantom/"),
        ({"files": "phantom/0"}, r"had files phantom/0 \(here phantom/"),
        ({"split": "official"}, r"split official \(here kfold\)"),
        ({"folds": 4}, r"folds 4 \(here 5\)"),
        ({"split_seed": 1}, r"split_seed 1 \(here 0\)"),
        ({"validation_fraction": 0.2}, r"validation_fraction 0.2 \(here 0.1\)"),
    ],
)
def test_a_recipe_of_other_files_or_another_split_is_refused(small, tmp_path, change, words):
    """The patients on whom it was searched may be test patients there."""
    spec = first(small(), tmp_path)
    found = found_on(spec)
    found |= {
        name: value.format(fingerprint=spec.fingerprint) if isinstance(value, str) else value
        for name, value in change.items()
    }
    path = small(tuned={"unet": {"acdc": {0: {**TRIED, "found_on": found}}}})
    with pytest.raises(ConfigError, match=rf"small\.yaml:\d+: .*{words}"):
        first(path, tmp_path)
    # Nor does one of another fold stand in the way.
    first(small(tuned={"unet": {"acdc": {3: {**TRIED, "found_on": found}}}}), tmp_path)


def test_rule_a_tuned_recipe_is_a_track_of_its_own_on_the_fold_it_was_found_on(small, tmp_path):
    """It stands beside the file's own runs, and shares a table with other tuned recipes alone."""
    recipe = {**TRIED, "found_on": found_on(first(small(), tmp_path))}
    tuned = {
        "unet": {"acdc": {0: {**recipe, "protocol": {"learning_rate": 0.01}}}},
        "vnet": {"acdc": {0: {**recipe, "study": "s-2", "protocol": {"loss": "focal_tversky"}}}},
    }
    matrix = {"architectures": ["unet", "vnet"], "datasets": ["acdc", "camus"], "folds": [0, 1]}
    plan = make_plan(
        small(matrix=matrix, tuned=tuned), results=tmp_path / "results", profile="quick"
    )
    specs = [run.spec for run in plan.runs]
    unet, vnet = found = [spec for spec in specs if spec.tuned is not None]
    assert [(spec.architecture, spec.dataset, spec.fold) for spec in found] == [
        ("unet", "acdc", 0), ("vnet", "acdc", 0)
    ]  # fmt: skip
    assert unet.protocol.learning_rate == 0.01
    assert unet.tuned == {**TRIED, "study": "s-1", "base": {"learning_rate": 0.002}}
    assert unet.protocol_hash == vnet.protocol_hash
    as_given = {spec.protocol_hash for spec in specs if spec.tuned is None}
    assert unet.protocol_hash not in as_given
    assert len({spec.key for spec in specs}) == len(specs) == 10


def test_what_is_not_tuned_and_no_trial_has_the_key_it_had(spec):
    from dataclasses import replace

    from benchmark.experiment.spec import RunSpec

    assert not {"tuned", "evaluate"} & set(spec.to_dict())
    trial = replace(spec, evaluate="validation")
    tuned = replace(spec, tuned={**TRIED, "base": {}})
    assert len({each.key for each in (spec, trial, tuned)}) == 3
    assert len({each.protocol_hash for each in (spec, trial, tuned)}) == 3
    for each in (spec, trial, tuned):
        assert RunSpec.from_dict(each.to_dict()) == each
    assert trial.name.endswith("·trial")
