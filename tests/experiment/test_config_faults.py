"""Broken experiment files: one sentence with file, line, what was expected, the nearest name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.errors import ConfigError
from benchmark.experiment.config import load_experiment
from benchmark.experiment.matrix_rules import Cell, cells
from benchmark.experiment.matrix_section import MatrixSection

SMALL = """\
name: small
data: phantom
limits: {run_s: 60}
matrix:
  architectures: [unet, vnet]
  datasets: [acdc]
  folds: [0]
  seeds: [0]
protocol:
  folds: 5
  batch_size_2d: 4
  batch_size_3d: 1
  epochs: 2
  steps_per_epoch: [3, 3]
  validation_patches_2d: 8
  validation_patches_3d: 2
  learning_rate: 2.0e-3
datasets:
  acdc:
    spacing_mm: [null, 4.0, 4.0]
    patch_2d: [64, 64]
    patch_3d: [16, 64, 64]
    protocol: {epochs: 3}
architectures:
  vnet:
    options: {filters: 2}
    datasets:
      acdc: {options: {filters: 4}}
profiles:
  quick: {}
"""

ROOT = "name: small"
SEEDS = "  seeds: [0]"

# (line to replace, replacement, what the message must say); the fault stands where the mark ◆ is,
# or else on the first line of the replacement.
FAULTS = [
    # roots
    (ROOT, "nmae: small", "unknown key 'nmae'; .* Did you mean 'name'"),
    (ROOT, "name: 3", "name: expected text; received 3"),
    (ROOT, "name: .nan", "name: expected text; received nan"),
    (ROOT, "name: a/b", "name: expected letters, digits"),
    (ROOT, "name: small\n◆name: again", "key 'name' is given twice"),
    (ROOT, "name: small\n◆\tage: 3", "not valid YAML: .* Indent with spaces"),
    (ROOT, "name: small\n◆exclude: []", "unknown key 'exclude'; expected one of name, "),
    (ROOT, "name: small\n◆? [a, b]\n: 3", "expected a simple key"),
    (ROOT, "name: small\n◆7: 3", "7: expected a name as key"),
    ("data: phantom", "data: phantoms", "data: expected 'auto'.* Did you mean 'phantom'"),
    ("limits: {run_s: 60}", "limits: {run: 60}", "'limits.run'; .* Did you mean 'run_s'"),
    ("limits: {run_s: 60}", "limits: 60", "limits: expected a mapping of keys; received 60"),
    ("limits: {run_s: 60}", "limits: {run_s: .inf}", "run_s: expected a finite number"),
    ("limits: {run_s: 60}", "limits: {run_s: '60'}", "run_s: expected a number; received '60'"),
    # the matrix and its axes
    ("  architectures: [unet, vnet]", "  architectures: unet", "expected a list; received 'unet'"),
    ("  architectures: [unet, vnet]", "  architectures: [unet, unet]", "every value once"),
    ("  architectures: [unet, vnet]", "  architectures: [unet, wnet]", "Did you mean 'vnet'"),
    ("  architectures: [unet, vnet]", "  architectures: [[unet]]", r"architecture \['unet'\]"),
    ("  datasets: [acdc]", "  datasets: [camus]", "'camus' is in the matrix but has no section"),
    ("  folds: [0]", "  folds: [5]", r"expected folds below 5 \(protocol.folds\), got 5"),
    ("  folds: [0]", "  folds: [-1]", "matrix.folds.0: .*greater than or equal to 0; received -1"),
    ("  folds: [0]", "  fold: [0]", "unknown key 'matrix.fold'; .* Did you mean 'folds'"),
    (SEEDS, "  seeds: [true]", "seeds.0: expected a whole number; received True"),
    (SEEDS, "  seeds: ['1']", "seeds.0: expected a whole number; received '1'"),
    (SEEDS, "  seeds: [1.5]", "seeds.0: expected a whole number; received 1.5"),
    ("  datasets: [acdc]", "  datasets: [{acdc: 1}]", "unknown dataset {'acdc': 1}"),
    (SEEDS, "  seeds: []", "seeds: expected a list of at least 1"),
    (SEEDS, "  seeds: {a: 1}", "matrix.seeds: expected a list"),
    # pairs
    (SEEDS, "◆  paired: {fold: [0]}", "'matrix.paired.fold'; .* Did you mean 'folds'"),
    (SEEDS, "  paired: {seeds: [0], folds: [0]}", "'folds' is given here and in 'ma"),
    (SEEDS, "  paired:\n    seeds: [0, 1]\n◆    folds: [0]", "equal length, got seeds 2, folds 1"),
    (SEEDS, "◆  paired: [[0, 1]]", "matrix.paired: expected a mapping of keys"),
    (SEEDS, "◆  paired: {seeds: [0, 1]}", "expected at least two of .*, got seeds 2"),
    # rules
    (SEEDS, "◆  exclude: {architecture: vnet}", "matrix.exclude: expected a list"),
    (SEEDS, "◆  exclude: [vnet]", "matrix.exclude.0: expected a mapping of keys; received 'vnet'"),
    (SEEDS, "  exclude:\n◆    - {architecture: vent}", "'vent'; .* Did you mean 'vnet'"),
    (SEEDS, "  exclude:\n◆    - {architectures: vnet}", "Did you mean 'architecture'"),
    (SEEDS, "  exclude:\n◆    - {because: why}", "at least one of seed, fold, dataset, arch"),
    (SEEDS, "◆  exclude:\n    - {fold: 0}", "expected at least one run, 'exclude' leaves none"),
    (SEEDS, "  exclude:\n    - fold: 0\n◆      dataset: acdcc", "Did you mean 'acdc'"),
    (SEEDS, "  include:\n◆    - {architecture: [unet]}", r"unknown architecture \['unet'\]"),
    (SEEDS, "  include:\n◆    - {seed: 1, fold: 9}", "expected folds below 5"),
    (SEEDS, "  include:\n◆    - {dataset: camus}", "'camus' is in the matrix but has no section"),
    (SEEDS, "  include:\n◆    - {architecture: unet, options: {filtres: 3}}", "'filters'"),
    (SEEDS, "  include:\n◆    - {seed: 1, options: {filters: many}}", "'filters' of arch.* 'unet'"),
    (SEEDS, "  include:\n◆    - {architecture: deeplabv3, dims: 3}", "defined for 2 dim.* got 3"),
    (SEEDS, "  include:\n◆    - {architecture: unet, dims: 4}", "dims: .*2 or 3; received 4"),
    (SEEDS, "  include:\n◆    - {architecture: unet, epochs: 4}", "nothing that changes the proto"),
    # protocol
    ("  epochs: 2", "  epochs: 2.5", "protocol.epochs: expected a whole number; received 2.5"),
    ("  epochs: 2", "  epochs: true", "protocol.epochs: expected a whole number; received True"),
    ("  epochs: 2", "  epochs: -3", "protocol.epochs: .*greater than or equal to 1; received -3"),
    ("  learning_rate: 2.0e-3", "  learning_rate: .nan", "learning_rate: expected a finite number"),
    ("  learning_rate: 2.0e-3", "  learning_rate: -1", "learning_rate: .*greater than 0"),
    ("  steps_per_epoch: [3, 3]", "  steps_per_epoch: [3]", "expected a longer list; value 2"),
    ("  steps_per_epoch: [3, 3]", "  steps_per_epoch: [9, 3]", r"expected \[least, most\]"),
    ("  steps_per_epoch: [3, 3]", "  steps_per_epoch: 3", "expected a list; received 3"),
    ("  folds: 5", "  optimizer: adam", "optimizer: .* Did you mean 'adamw'"),
    ("  folds: 5", "  split: kfolds", "unknown split 'kfolds'; .* Did you mean 'kfold'"),
    ("  folds: 5", "  devices: 0", "protocol.devices: .*greater than or equal to 1; received 0"),
    ("  folds: 5", "  devices: 3", "devices to divide batch_size_2d, .*unet on acdc: 4 is no mult"),
    ("  folds: 5", "  backend: torch\n◆  devices: 2", "devices: 1 with backend torch, got 2"),
    ("  folds: 5", "  compile: xla\n◆  devices: 2", "devices: 1 with compile: xla, got 2"),
    ("    protocol: {epochs: 3}", "    protocol: {devices: 8}", "4 is no multiple of 8"),
    # datasets
    ("  acdc:", "  acdcc:", "unknown dataset 'acdcc'; .* Did you mean 'acdc'"),
    ("    patch_2d: [64, 64]", "    patch_2d: [64, 64, 64]", "a list of at most 2"),
    ("    patch_2d: [64, 64]", "    patch2d: [64, 64]", "Did you mean 'patch_2d'"),
    ("    spacing_mm: [null, 4.0, 4.0]", "    spacing_mm: [null, null, 4.0]", "spacing_mm.1"),
    ("    spacing_mm: [null, 4.0, 4.0]", "    spacing_mm: [null, -4.0, 4.0]", "spacing_mm.1"),
    ("    protocol: {epochs: 3}", "    protocol: {epoch: 3}", "Did you mean 'epochs'"),
    ("    protocol: {epochs: 3}", "    protocol: {epochs: '3'}", "acdc.protocol.epochs: expected"),
    ("    protocol: {epochs: 3}", "    protocol: 3", "expected a mapping of keys; received 3"),
    ("    protocol: {epochs: 3}", "    options: {filters: 3}", "'datasets.acdc.options'"),
    # architectures
    ("  vnet:", "  v-net:", "unknown architecture 'v-net'; .* Did you mean 'vnet'"),
    ("    options: {filters: 2}", "    options: {filters: .nan}", "'filters' of arch.* 'vnet'"),
    ("    options: {filters: 2}", "    options: [2]", "expected a mapping of keys"),
    ("    options: {filters: 2}", "    option: {filters: 2}", "Did you mean 'options'"),
    ("    options: {filters: 2}", "    protocol: {epochs: 2}", "nothing that changes the protocol"),
    ("    options: {filters: 2}", "    epochs: 2", "nothing that changes the protocol"),
    ("    options: {filters: 2}", "    dims: {acdc: 4}", "dims.acdc: .*2 or 3; received 4"),
    ("    options: {filters: 2}", "    dims: {adcd: 3}", "Did you mean 'acdc'"),
    ("      acdc: {options: {filters: 4}}", "      acdc: {options: {filtre: 4}}", "'filters'"),
    ("      acdc: {options: {filters: 4}}", "      acdc: {protocol: {}}", "nothing that changes"),
    ("      acdc: {options: {filters: 4}}", "      acdc: {dims: 3}", "'architectures.vnet.data"),
    # profiles
    ("  quick: {}", "  quick: [1]", "expected profile 'quick' to be a mapping"),
    ("  quick: {}", "  quick:\n◆    profiles: {}", "expected no profiles inside profile 'quick'"),
    ("  quick: {}", "  quik: {}", "unknown profile 'quik'; .* Did you mean 'quick'"),
    ("  quick: {}", "  quick:\n◆    matrix: {seeds: [x]}", "seeds.0: expected a whole number"),
    ("  quick: {}", "  quick:\n◆    protocol: null", "protocol: expected a mapping of keys"),
    ("  quick: {}", "  quick:\n    matrix:\n◆      exclude: [{seed: 0}]", "leaves none"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "what"), FAULTS)
def test_fault_names_file_line_and_what_was_expected(tmp_path, old, new, what):
    path = tmp_path / "small.yaml"
    place = SMALL.splitlines().index(old) + 1
    place += new[: max(new.find("◆"), 0)].count("\n")
    path.write_text(SMALL.replace(f"{old}\n", f"{new.replace('◆', '')}\n", 1), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_experiment(path, "quick")
    message = str(caught.value)
    assert message.startswith(f"{path}:{place}: "), message
    assert re.search(what, message), message
    assert message.count("\n") == 0


def test_file_without_faults_is_taken(tmp_path: Path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    assert load_experiment(path, "quick").matrix.folds == (0,)


@pytest.mark.parametrize("axis", ["architectures", "datasets"])
def test_axis_that_is_neither_listed_nor_paired(tmp_path, axis):
    path = tmp_path / "small.yaml"
    path.write_text(re.sub(rf"  {axis}: \[.*\n", "", SMALL, count=1), encoding="utf-8")
    with pytest.raises(ConfigError, match=rf":4: 'matrix.{axis}' is missing; add it"):
        load_experiment(path, "quick")


def test_profile_can_switch_pairs_and_rules_off(tmp_path):
    path = tmp_path / "small.yaml"
    ruled = "  exclude: [{architecture: vnet}]\n  paired: {folds: [0, 1], seeds: [2, 3]}"
    text = SMALL.replace("  folds: [0]\n  seeds: [0]", ruled)
    off = "  quick: {}\n  smoke:\n    matrix: {exclude: [], paired: null, folds: [4]}"
    path.write_text(text.replace("  quick: {}", off), encoding="utf-8")
    assert len(runs(load_experiment(path, "quick").matrix)) == 2
    assert [(cell.architecture, cell.fold, cell.seed)
            for cell in runs(load_experiment(path, "smoke").matrix)] == [
        ("unet", 4, 0), ("vnet", 4, 0)
    ]  # fmt: skip


def runs(matrix: MatrixSection) -> list[Cell]:
    return [cell for cell in cells(matrix) if cell.exclude is None]
