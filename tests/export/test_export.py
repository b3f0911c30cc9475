"""A run becomes a file and a card, or nothing at all."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import re
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

import architectures
from benchmark.cli import main
from benchmark.errors import BenchmarkError
from benchmark.export import formats
from benchmark.export.card import preparation
from benchmark.export.export import card_path, export
from benchmark.records import WEIGHTS, write_record
from benchmark.trained import open_run

CLASSES = {"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3}


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """Give back what the command sets to compute on the processor."""
    for name in ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))


@pytest.fixture
def run(tmp_path, spec):
    """Write a finished run, with weights and tables, and return its folder."""

    def write(**changes):
        mine = dataclasses.replace(spec, **{"options": {"filters": 2, "depth": 2}, **changes})
        folder = tmp_path / "runs" / mine.key
        folder.mkdir(parents=True)
        keras.utils.set_random_seed(3)
        made = architectures.build(mine.architecture, (*mine.patch, 1), 4, **mine.options)
        made.save_weights(folder / WEIGHTS)
        rng = np.random.default_rng(0)
        cases = [
            {
                "case": f"patient{patient:03d}_{phase}", "patient": f"patient{patient:03d}",
                "class": name, "kind": "class", "outcome": "scored", "dice": value,
                "hd95_mm": 10 * (1 - value), "nsd": value,
            }
            for patient in range(8)
            for phase in ("ED", "ES")
            for name, value in zip(CLASSES, rng.uniform(0.7, 0.9, 3), strict=True)
        ]  # fmt: skip
        cases[0] |= {"outcome": "missed", "dice": 0.0}
        pd.DataFrame(cases).to_csv(folder / "cases.csv", index=False)
        clinical = [
            {"patient": f"patient{patient:03d}", "endpoint": "lv_ef", "method": "voxel_count",
             "unit": "%", "truth": 50.0 + patient, "prediction": 47.0 + patient, "reason": ""}
            for patient in range(8)
        ]  # fmt: skip
        pd.DataFrame(clinical).to_csv(folder / "clinical.csv", index=False)
        record = {
            "key": mine.key, "name": mine.name, "spec": mine.to_dict(), "status": "ok",
            "error": None, "release": "", "profile": "quick", "params": 12345,
            "classes": CLASSES, "finished_utc": "2026-01-01T00:00:00+00:00",
            "split": {"train": ["a", "b"], "validation": ["c"], "test": ["d", "e", "f"]},
            "summary": {"dice": 0.8, "validation_dice": 0.81, "best_epoch": 2},
            "budget": {"track": "epochs", "epochs": 2, "steps": 6},
            "timing": {"train_s": 12.3, "total_s": 15.6, "inference_ms_p50": 20.0,
                       "peak_rss_mib": 800.0, "peak_device_mib": None},
            "environment": {
                "python": "3.11", "versions": {"keras": "3.15"}, "git": {"commit": "a" * 40},
                "device": {"precision": "mixed_bfloat16", "name": "a processor", "kind": "cpu"},
            },
            "unannotated_classes": [],
            "postprocessing": {"classes": {"left_ventricle": {"applied": True}}},
        }  # fmt: skip
        write_record(folder, record)
        return folder

    return write


def test_a_card_says_what_the_network_is_and_is_not_for(run, tmp_path, capsys):
    folder = run(source="real")
    out = tmp_path / "new" / "net.onnx"
    arguments = ["export", folder.name, "--results", str(tmp_path), "--format", "onnx"]
    assert main([*arguments, "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "largest difference" in said
    assert "phantom" not in said
    assert sorted(path.name for path in out.parent.iterdir()) == ["net.onnx", "net.onnx.md"]
    card = card_path(out).read_text(encoding="utf-8")
    for words in (
        "# U-Net on ACDC", "not a medical device", "CC BY-NC-SA 4.0", "Bernard", folder.name,
        "## Intended use", "## Limits", "## Scores", "## Training cost", "12,345 trainable",
        "operator set 18", "tf2onnx", "2 train, 1 validation, 3 test", "12 s of training",
        "Keep the largest piece of left ventricle only", "mixed_bfloat16",
        "| LV EF | voxels | -3.0 % | -3.0 to -3.0 | 1.000 | 8 | 0 |",
    ):  # fmt: skip
        assert words in card, words
    assert "phantom" not in card
    row = next(line for line in card.splitlines() if line.startswith("| mean |"))
    assert re.match(r"\| mean \| 0\.\d{3} \(0\.\d{3} to 0\.\d{3}\) \|", row)
    assert row.endswith("| 8 | 1 |")
    (block,) = re.findall(r"```json\n(.*?)\n```", card, re.DOTALL)
    told = json.loads(block)
    assert told == json.loads(json.dumps(preparation(open_run(folder))))
    assert told["keep_largest_piece_of"] == [3]
    assert told["labels"] == {"background": 0, **CLASSES}
    assert told["spacing_zyx_mm"] == [None, 4.0, 4.0]
    import onnx

    held = {each.key: each.value for each in onnx.load(out).metadata_props}
    assert held["run"] == folder.name
    assert json.loads(held["preparation"]) == told


def test_a_phantom_is_called_one_and_keras_layers_are_named(run, tmp_path, capsys):
    folder = run(options={"filters": 2, "depth": 2, "upsampling": "bilinear"})
    out = tmp_path / "net.keras"
    arguments = ["export", folder.name, "--results", str(tmp_path), "--format", "keras"]
    assert main([*arguments, "-o", str(out)]) == 0
    assert "phantom" in capsys.readouterr().out
    card = card_path(out).read_text(encoding="utf-8")
    assert "**phantom: trained and tested on synthetic hearts" in card
    assert "`import architectures.layers`" in card
    assert "LinearUpsampling" in card
    # What was trained in half precision leaves in single precision, and with the run's weights.
    network = open_run(folder).network(precision="float32")
    image = np.random.default_rng(0).random((1, *network.input_shape[1:]), dtype=np.float32)
    loaded = keras.saving.load_model(out)
    assert loaded.dtype_policy.name == "float32"
    np.testing.assert_allclose(loaded(image), network(image), atol=1e-6)


def test_a_savedmodel_is_replaced_and_other_folders_are_not(run, tmp_path, capsys):
    trained = open_run(run())
    out = tmp_path / "served"
    out.mkdir()
    (out / "mine.txt").write_text("precious")
    with pytest.raises(BenchmarkError, match="found other files"):
        export(trained, "savedmodel", out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    (out / "mine.txt").rename(out / "saved_model.pb")
    agreement = export(trained, "savedmodel", out)
    assert agreement.logits <= 1e-4
    assert (out / "saved_model.pb").read_bytes() != b"precious"
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_predicts_otherwise_leaves_nothing(run, tmp_path, monkeypatch):
    trained = open_run(run())
    out = tmp_path / "net.keras"
    out.write_bytes(b"before")

    def wrong(path):
        return lambda images: np.zeros((*images.shape[:-1], 4), np.float32)

    broken = dataclasses.replace(formats.FORMATS["keras"], load=wrong)
    monkeypatch.setattr(formats, "FORMATS", {"keras": broken})
    with pytest.raises(BenchmarkError, match="Nothing was written"):
        export(trained, "keras", out)
    assert out.read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.keras", "runs"]


@pytest.mark.parametrize(
    ("form", "name", "words"),
    [
        ("onnx", "net.keras", r"expected a name that ends with \.onnx"),
        ("keras", "net", r"expected a name that ends with \.keras"),
        ("savedmodel", "net.onnx", "expected the name of a folder"),
        ("keras", "folder.keras", "found a folder"),
    ],
)
def test_names_that_do_not_fit_are_refused(form, name, words, tmp_path):
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(BenchmarkError, match=words):
        formats.check_request(form, tmp_path / name, "tensorflow")


def test_what_a_format_needs_is_named(tmp_path, monkeypatch):
    with pytest.raises(BenchmarkError, match=r"backend tensorflow, received one of jax.*keras"):
        formats.check_request("savedmodel", tmp_path / "net", "jax")
    assert formats.check_request("keras", tmp_path / "net.keras", "torch").name == "keras"
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else find(name)
    )
    with pytest.raises(BenchmarkError, match=r"tf2onnx is not installed.*uv sync --extra onnx"):
        formats.check_request("onnx", tmp_path / "net.onnx", "tensorflow")


def test_a_run_that_does_not_exist_is_one_sentence(tmp_path, capsys):
    out = tmp_path / "net.onnx"
    arguments = ["--results", str(tmp_path), "--format", "onnx", "-o", str(out)]
    assert main(["export", "best:moon", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: expected a finished run for best:moon")
    assert error.count("\n") == 1
    assert not list(Path(tmp_path).iterdir())
