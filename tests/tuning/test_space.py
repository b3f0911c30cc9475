"""From the section of the file to values and back."""

from __future__ import annotations

import optuna
import pytest
import yaml

from benchmark.errors import ConfigError
from benchmark.experiment.config import load_experiment
from benchmark.experiment.tuning_section import Range
from benchmark.tuning.space import as_recipe, axes_for, study_name, suggest


def test_values_lie_in_the_space_and_are_of_its_kind():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    axes = {
        "options.depth": Range(low=2, high=6, step=2),
        "options.filters": Range(low=4, high=64, log=True),
        "protocol.learning_rate": Range(low=1e-4, high=1e-2, log=True),
        "protocol.weight_decay": Range(low=0.0, high=0.1, step=0.05),
        "protocol.loss": ("a", "b"),
    }
    drawn = [suggest(study.ask(), axes) for _ in range(40)]
    assert {values["options.depth"] for values in drawn} == {2, 4, 6}
    assert all(isinstance(values["options.filters"], int) for values in drawn)
    assert all(1e-4 <= values["protocol.learning_rate"] <= 1e-2 for values in drawn)
    assert {values["protocol.weight_decay"] for values in drawn} == {0.0, 0.05, 0.1}
    assert {values["protocol.loss"] for values in drawn} == {"a", "b"}
    protocol, options = as_recipe(drawn[0])
    assert set(protocol) == {"learning_rate", "weight_decay", "loss"}
    assert set(options) == {"depth", "filters"}


def test_another_space_or_other_files_are_another_study(spec):
    from dataclasses import replace

    axes = {"options.filters": (2, 4)}
    name = study_name(spec, axes)
    assert name.startswith("unet-acdc-f0-s0-")
    assert name == study_name(spec, dict(axes))
    assert name != study_name(spec, {"options.filters": (2, 8)})
    assert name != study_name(spec, {"options.filters": Range(low=2, high=4)})
    assert name != study_name(replace(spec, fingerprint="0" * 16), axes)


def test_a_file_without_a_search_says_what_to_add(experiment):
    content = yaml.safe_load(experiment.read_text())
    del content["tuning"]
    experiment.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=r"e\.yaml:1: expected 'tuning:' with 'search:'"):
        axes_for(load_experiment(experiment, "smoke"), "unet")


def test_an_option_that_the_network_lacks_is_refused_where_it_stands(experiment):
    text = experiment.read_text()
    line = next(n for n, each in enumerate(text.splitlines(), 1) if "options.filters" in each)
    experiment.write_text(text.replace("options.filters", "options.depth"))
    axes_for(load_experiment(experiment, "smoke"), "unet")
    with pytest.raises(ConfigError, match=rf"e\.yaml:{line + 1}: .*no option 'depth'"):
        axes_for(load_experiment(experiment, "smoke"), "deeplabv3")
