"""A results folder with finished runs of two networks, scored on made-up patients."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmark import reporting
from benchmark.evaluation.cases import CASE_COLUMNS, foreground_mean
from benchmark.publication.publish import publish
from benchmark.records import read_records, write_json, write_record, write_table

CLASSES = {"right_ventricle": 1, "myocardium": 2, "left_ventricle": 3}


@pytest.fixture
def results(tmp_path, spec):
    """Write a results folder; called with the mean Dice of each network."""

    def write(name="results", rules=None, **means):
        mine = spec if rules is None else dataclasses.replace(spec, rules=rules)
        return make_results(tmp_path / name, mine, **means)

    return write


@pytest.fixture(scope="session")
def publication(tmp_path_factory, spec):
    folder = make_results(tmp_path_factory.mktemp("once"), spec, unet=0.9, attention_unet=0.8)
    return publish(folder, "first", formats=("pdf",))


def make_results(folder, spec, **means):
    for architecture, mean in means.items():
        mine = dataclasses.replace(spec, architecture=architecture)
        write_run(folder / "runs" / mine.key, mine, mean)
    # As after `report`, whose tables and figures nothing here reads.
    records = read_records(folder)
    write_json(folder / "report" / reporting.MADE_FROM, reporting.made_from(records))
    return folder


def write_run(folder, spec, mean):
    rng = np.random.default_rng(len(spec.architecture))
    axes = {"run": spec.key, "architecture": spec.architecture, "dataset": spec.dataset,
            "source": spec.source, "fold": spec.fold, "seed": spec.seed}  # fmt: skip
    rows = []
    for patient in range(6):
        for phase in ("ED", "ES"):
            for label in CLASSES:
                dice = float(np.clip(mean + 0.03 * rng.normal(), 0, 1))
                rows.append({
                    **axes, "case": f"patient{patient}_{phase}", "patient": f"patient{patient}",
                    "phase": phase, "class": label, "kind": "class", "outcome": "scored",
                    "dice": dice, "iou": dice / (2 - dice), "hd95_mm": 20 * (1 - dice),
                    "inference_s": 0.1,
                })  # fmt: skip
    write_table(folder / "cases.csv", rows, CASE_COLUMNS)
    epochs = [{"epoch": 1, "steps": 3, "loss": 1.0, "validation_dice": mean, "elapsed_s": 1.0}]
    write_table(folder / "epochs.csv", epochs, epochs[0])
    (folder / "slices").mkdir()
    plane = np.zeros((4, 4), np.uint8)
    np.savez(folder / "slices" / "patient0_ED.npz", image=plane, truth=plane, prediction=plane,
             spacing_mm=np.ones(2, np.float32), dice=np.float32(0))  # fmt: skip
    write_record(
        folder,
        {
            "key": spec.key, "name": spec.name, "status": "ok", "error": None,
            "spec": spec.to_dict(), "protocol_hash": spec.protocol_hash, "profile": "smoke",
            "release": "", "classes": CLASSES, "unannotated_classes": [], "params": 1000,
            "finished_utc": "2026-01-01T00:00:00+00:00", "environment": {"versions": {}},
            "timing": {"train_s": 3.0, "inference_ms_p50": 9.0, "peak_rss_mib": 500.0},
            "summary": {name: foreground_mean(rows, name) for name in ("dice", "iou")}
            | {"validation_dice": mean},
        },
    )  # fmt: skip
