from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.errors import ConfigError
from benchmark.experiment.config import load_experiment


def load(tmp_path: Path, text: str, profile: str = "quick"):
    path = tmp_path / "experiments.yaml"
    path.write_text(text, encoding="utf-8")
    return load_experiment(path, profile)


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


@pytest.mark.parametrize("profile", ["smoke", "quick", "full"])
def test_published_file_is_valid_in_every_profile(tmp_path, experiment_text, profile):
    experiment = load(tmp_path, experiment_text, profile)
    assert experiment.matrix.architectures == ("unet", "attention_unet", "vnet", "deeplabv3")
    assert experiment.matrix.datasets == ("decathlon", "acdc", "camus")


def test_full_profile_uses_the_reference_widths(tmp_path, experiment_text):
    experiment = load(tmp_path, experiment_text, "full")
    assert all(not section.options for section in experiment.architectures.values())


def test_profile_is_laid_over_the_base_key_by_key(tmp_path, experiment_text):
    base, quick = (load(tmp_path, experiment_text, name) for name in ("full", "quick"))
    assert quick.protocol.optimizer == base.protocol.optimizer
    assert quick.protocol.epochs < base.protocol.epochs
    assert quick.architectures["vnet"].dims == base.architectures["vnet"].dims


# (text to replace, replacement, what the message must say besides file and line)
FAULTS = [
    ("  epochs: 200", "  epoch: 200", "unknown key 'protocol.epoch'", "Did you mean 'epochs'?"),
    ("architectures: [unet,", "architectures: [unett,", "unknown architecture 'unett'", "'unet'?"),
    ("datasets: [decathlon,", "datasets: [decatlon,", "unknown dataset 'decatlon'", "'decathlon'?"),
    ("  epochs: 200", "  epochs: many", "protocol.epochs", "'many'"),
    ("  epochs: 200", "  epochs: 0", "protocol.epochs", "received 0"),
    ("data: auto", "data: fake", "data", "'fake'"),
    ("  folds: 5", "  folds: 1", "protocol.folds", "received 1"),
    ("  quick:", "  quikc:", "unknown profile 'quikc'", "Did you mean 'quick'?"),
    ("name: heart", "nam: heart", "unknown key 'nam'", "Did you mean 'name'?"),
]


@pytest.mark.parametrize(("old", "new", "what", "hint"), FAULTS)
def test_fault_names_file_line_and_nearest(tmp_path, experiment_text, old, new, what, hint):
    text = experiment_text.replace(old, new, 1)
    assert text != experiment_text
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/experiments.yaml:{line_of(text, new.strip())}: ")
    assert what in message
    assert hint in message


@pytest.mark.parametrize(
    ("lines", "at", "what"),
    [
        ("  track: steps\n", "  track: steps", "track steps needs max_steps; add it"),
        ("  track: time\n", "  track: time", "track time needs max_train_s"),
        ("  track: target\n", "  track: target", "track target needs target_dice"),
        ("  track: luck\n", "  track: luck", "protocol.track"),
        ("  max_steps: 0\n  track: steps\n", "  max_steps: 0", "protocol.max_steps"),
        ("  target_dice: 1.5\n  track: target\n", "  target_dice: 1.5", "protocol.target_dice"),
        (
            "  track: steps\n  max_steps: 9\n  target_dice: 0.5\n", "  track: steps",
            "target_dice belongs to track target, the track is steps",
        ),
    ],
)  # fmt: skip
def test_track_has_its_field_and_no_other(tmp_path, experiment_text, lines, at, what):
    text = experiment_text.replace("  epochs: 200\n", f"  epochs: 200\n{lines}", 1)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert f"experiments.yaml:{line_of(text, at)}: " in str(caught.value)
    assert what in str(caught.value)


def test_field_without_its_track(tmp_path, experiment_text):
    text = experiment_text.replace("  epochs: 200\n", "  epochs: 200\n  max_steps: 5\n", 1)
    with pytest.raises(ConfigError, match="max_steps belongs to track steps, the track is epochs"):
        load(tmp_path, text)


def test_track_reaches_the_protocol_and_its_hash(tmp_path, experiment_text):
    from benchmark.experiment.matrix import resolve_protocol

    text = experiment_text.replace(
        "  epochs: 200\n", "  epochs: 200\n  track: time\n  max_train_s: 60\n", 1
    )
    one, two = (resolve_protocol(load(tmp_path, each), "acdc") for each in (experiment_text, text))
    assert (one.track, two.track, two.max_train_s) == ("epochs", "time", 60.0)
    assert one != two


def test_fault_in_a_profile_that_is_not_chosen_is_found(tmp_path, experiment_text):
    text = experiment_text.replace("filters: 4}", "filtres: 4}", 1)
    with pytest.raises(ConfigError, match=r"filtres.*filters"):
        load(tmp_path, text, "full")


def test_dataset_of_the_matrix_without_a_section(tmp_path, experiment_text):
    begin, end = (
        experiment_text.index("  camus:\n"),
        experiment_text.index("architectures:\n  vnet"),
    )
    text = experiment_text[:begin] + experiment_text[end:]
    text = "\n".join(line for line in text.splitlines() if not line.strip().startswith("camus:"))
    with pytest.raises(ConfigError, match=r":\d+: dataset 'camus' is in the matrix but has no"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "expected a mapping"),
        ("- a\n- b\n", "expected a mapping"),
        ("a: [1, 2\nb: 3\n", ":2: not valid YAML"),
        ("name: x\nname: y\n", ":2: key 'name' is given twice"),
        ("name: x\n", "profiles"),
        ("profiles: {quick: {}}\n", "'name' is missing"),
        ("\x00", "not valid YAML"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_broken_files(tmp_path, text, what):
    with pytest.raises(ConfigError, match=what.replace("[", r"\[")):
        load(tmp_path, text)


def test_absent_file(tmp_path):
    with pytest.raises(ConfigError, match="found none"):
        load_experiment(tmp_path / "no.yaml", "quick")


def test_numbers_in_scientific_notation_without_a_dot(tmp_path, experiment_text):
    text = experiment_text.replace("learning_rate: 4.0e-3", "learning_rate: 1e-3", 1)
    assert load(tmp_path, text).protocol.learning_rate == 1e-3
