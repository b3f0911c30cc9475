"""Finished runs that nobody trained: networks with fresh weights, on phantoms."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from types import SimpleNamespace

import keras
import pytest

import architectures
import datasets
from benchmark.experiment.sources import fingerprint
from benchmark.records import WEIGHTS, write_record, write_table
from datasets.splits import make_split


@pytest.fixture(scope="session")
def few(phantoms, tmp_path_factory):
    """The phantom of CAMUS with its first patient alone: real-sized pictures take their time."""
    root = tmp_path_factory.mktemp("few")
    others = shutil.ignore_patterns("patient0002", "patient0003")
    shutil.copytree(phantoms / "CAMUS_public", root / "CAMUS_public", ignore=others)
    return root


@pytest.fixture(scope="session")
def finish_in(spec, phantoms):
    """Return a function that finishes a run on phantoms and gives its specification and files."""

    def make(results, dataset="acdc", *, dice=0.5, **changes):
        found = datasets.find(dataset, phantoms)
        cases = datasets.read_cases(dataset, found.root)
        info = datasets.info(dataset)
        mine = dataclasses.replace(
            spec, dataset=dataset, fingerprint=fingerprint(dataset, found.root, cases),
            options={"filters": 2}, **changes,
        )  # fmt: skip
        folder = results / "runs" / mine.key
        folder.mkdir(parents=True)
        keras.utils.set_random_seed(mine.seed)
        architectures.build(
            mine.architecture, (*mine.patch, 1), len(info.classes) + 1, **mine.options
        ).save_weights(folder / WEIGHTS)
        write_table(folder / "cases.csv", [{"run": mine.key, "case": cases[0].id}], ["run", "case"])
        write_record(
            folder,
            {
                "key": mine.key,
                "name": mine.name,
                "spec": mine.to_dict(),
                "protocol_hash": mine.protocol_hash,
                "status": "ok",
                "error": None,
                "release": found.release,
                "classes": dict(info.classes),
                "unannotated_classes": [],
                "split": _split(mine, cases),
                "summary": {"dice": dice, "validation_dice": dice},
                "environment": {"device": {"precision": "float32"}},
                "postprocessing": {"classes": {}},
                "finished_utc": "2026-01-01T00:00:00+00:00",
            },
        )
        return SimpleNamespace(
            spec=mine, folder=folder, root=found.root, cases=cases, results=results
        )

    return make


@pytest.fixture
def finish(finish_in, tmp_path):
    """The same in a folder of its own."""
    return functools.partial(finish_in, tmp_path)


def _split(spec, cases):
    if len({case.patient for case in cases}) < spec.protocol.folds:
        patients = sorted({case.patient for case in cases})
        return {"train": patients[:1], "validation": patients[:1], "test": patients[-1:]}
    split = make_split(
        "kfold", cases, fold=spec.fold, folds=spec.protocol.folds,
        validation_fraction=spec.protocol.validation_fraction, seed=0,
    )  # fmt: skip
    patient = {case.id: case.patient for case in cases}
    return {
        side: sorted({patient[case] for case in getattr(split, side)})
        for side in ("train", "validation", "test")
    }
