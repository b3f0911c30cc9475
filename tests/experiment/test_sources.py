"""What tells the files of one run from those of another."""

from __future__ import annotations

import json

import datasets
from benchmark.experiment.config import load_experiment
from benchmark.experiment.sources import fingerprint, phantom_source
from datasets.layout import phantom_marker


def test_a_phantom_has_one_fingerprint_before_and_after_it_is_written(tmp_path, experiment_text):
    file = tmp_path / "e.yaml"
    file.write_text(experiment_text)
    source = phantom_source(load_experiment(file, "smoke"), "acdc", tmp_path)
    datasets.write_phantom("acdc", source.root.parent, patients=5, seed=0)
    cases = datasets.read_cases("acdc", source.root)
    assert fingerprint("acdc", source.root, cases) == source.fingerprint
    marker = phantom_marker(source.root)
    content = json.loads(marker.read_text())
    marker.write_text(json.dumps(content | {"seed": 1}))
    assert fingerprint("acdc", source.root, cases) != source.fingerprint
    marker.write_text("{}")
    of_files = datasets.fingerprint("acdc", source.root, cases)[:16]
    assert fingerprint("acdc", source.root, cases) == of_files
