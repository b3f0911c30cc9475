from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmark.errors import BenchmarkError, DataError
from benchmark.experiment import plan as planning
from benchmark.experiment.matrix import code_digest, pooling_plan
from benchmark.experiment.plan import make_plan
from benchmark.records import write_json


@pytest.fixture
def file(tmp_path, experiment_text) -> Path:
    path = tmp_path / "experiments.yaml"
    root = tmp_path / "nothing"
    path.write_text(experiment_text.replace("data_root: data", f"data_root: {root}"))
    return path


def acdc_tree(root: Path, patients: int = 10) -> Path:
    for index in range(1, patients + 1):
        folder = root / "ACDC" / "training" / f"patient{index:03d}"
        folder.mkdir(parents=True)
        (folder / "Info.cfg").write_text("ED: 1\nES: 7\nGroup: NOR\nNbFrame: 30\n")
        for frame in ("01", "07"):
            for suffix in ("", "_gt"):
                name = f"{folder.name}_frame{frame}{suffix}.nii.gz"
                (folder / name).write_bytes(b"\x1f\x8b" + bytes(50))
    return root


def test_without_files_phantoms_serve_and_are_called_so(file, tmp_path):
    plan = make_plan(file, results=tmp_path / "r")
    assert len(plan.runs) == len(plan.pending) == 12
    assert {run.spec.source for run in plan.runs} == {"phantom"}
    assert {run.state for run in plan.runs} == {"new"}
    assert len({run.spec.key for run in plan.runs}) == 12
    assert not (tmp_path / "r").exists()  # planning writes nothing


def test_real_and_phantom_datasets_are_told_apart(file, tmp_path):
    root = acdc_tree(tmp_path / "data")
    plan = make_plan(file, results=tmp_path / "r", data_root=root)
    assert {run.spec.dataset: run.spec.source for run in plan.runs} == {
        "decathlon": "phantom", "acdc": "real", "camus": "phantom",
    }  # fmt: skip
    assert plan.sources["acdc"].cases == 20
    assert plan.sources["acdc"].patients == 10
    assert [run["source"] for run in plan.to_dict()["runs"]] == ["phantom"] * 4 + ["real"] * 4 + [
        "phantom"
    ] * 4


def test_architectures_alternate_inside_a_dataset(file, tmp_path):
    names = [run.spec.architecture for run in make_plan(file, results=tmp_path).runs]
    assert names == ["unet", "attention_unet", "vnet", "deeplabv3"] * 3


def test_vnet_is_volumetric_on_mri_and_planar_on_echo(file, tmp_path):
    dims = {
        (run.spec.architecture, run.spec.dataset): run.spec.dims
        for run in make_plan(file, results=tmp_path).runs
    }
    assert [dims["vnet", name] for name in ("decathlon", "acdc", "camus")] == [3, 3, 2]
    assert all(value == 2 for (name, _), value in dims.items() if name != "vnet")


@pytest.mark.parametrize(
    ("record", "state", "part"),
    [
        ({"status": "ok", "summary": {"dice": 0.9}}, "done", "0.900"),
        ({"status": "error", "error": "boom"}, "failed", "boom"),
        ({"status": "killed", "error": "by signal SIGKILL"}, "failed", "SIGKILL"),
        ({"status": "oom", "error": "no memory"}, "kept", "result of the method"),
        ({"status": "diverged", "error": "nan"}, "kept", "result of the method"),
    ],
)
def test_records_decide_what_is_done(file, tmp_path, record, state, part):
    first = make_plan(file, results=tmp_path).runs[0].spec
    named = {"key": first.key, "spec": first.to_dict(), **record}
    write_json(tmp_path / "runs" / first.key / "record.json", named)
    run = make_plan(file, results=tmp_path).runs[0]
    assert run.state == state
    assert part in run.reason
    assert run.pending == (state == "failed")


def test_default_profile_needs_gpu_and_real_files_for_full(file, tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "gpu_names", list)
    plan = make_plan(file, results=tmp_path)
    assert (plan.profile, "GPU" in plan.profile_reason) == ("quick", True)
    monkeypatch.setattr(planning, "gpu_names", lambda: ["NVIDIA X"])
    plan = make_plan(file, results=tmp_path, data_root=acdc_tree(tmp_path / "data"))
    assert plan.profile == "quick"
    assert "decathlon, camus" in plan.profile_reason
    only = file.read_text().replace("datasets: [decathlon, acdc, camus]", "datasets: [acdc]")
    file.write_text(only)
    plan = make_plan(file, results=tmp_path, data_root=tmp_path / "data")
    assert (plan.profile, "NVIDIA X" in plan.profile_reason) == ("full", True)
    assert len(plan.runs) == 20


def test_data_real_refuses_phantoms_and_says_how_to_get_the_files(file, tmp_path):
    with pytest.raises(DataError, match=r"phantoms are refused.*http"):
        make_plan(file, results=tmp_path, mode="real")


def test_data_phantom_ignores_real_files(file, tmp_path):
    root = acdc_tree(tmp_path / "data")
    plan = make_plan(file, results=tmp_path, data_root=root, mode="phantom")
    assert {run.spec.source for run in plan.runs} == {"phantom"}


@pytest.mark.parametrize("kind", ["absent", "empty", "file"])
def test_given_root_that_holds_nothing(file, tmp_path, kind):
    root = tmp_path / "root"
    if kind == "empty":
        root.mkdir()
    if kind == "file":
        root.write_text("x")
    with pytest.raises(DataError, match=r"--data-root .*expected"):
        make_plan(file, results=tmp_path, data_root=root)


def test_fold_beyond_the_number_of_folds(file, tmp_path):
    file.write_text(file.read_text().replace("folds: [0, 1, 2, 3, 4]", "folds: [0, 5]", 1))
    with pytest.raises(BenchmarkError, match="folds below 5"):
        make_plan(file, results=tmp_path, profile="full")


def test_edit_of_a_network_makes_its_runs_new(tmp_path, monkeypatch):
    import architectures

    copy = tmp_path / "architectures"
    copy.mkdir()
    for name in ("__init__", "unet", "vnet", "blocks"):
        (copy / f"{name}.py").write_text(name)
    monkeypatch.setattr(architectures, "__file__", str(copy / "__init__.py"))
    before = code_digest("unet", "acdc"), code_digest("vnet", "acdc")
    (copy / "unet.py").write_text("edited")
    after = code_digest("unet", "acdc"), code_digest("vnet", "acdc")
    assert before[0] != after[0]
    assert before[1] == after[1]
    (copy / "blocks.py").write_text("edited")
    assert code_digest("vnet", "acdc") != after[1]


def test_thousand_runs_have_thousand_keys(file, tmp_path):
    spec = make_plan(file, results=tmp_path).runs[0].spec
    assert len({dataclasses.replace(spec, seed=seed).key for seed in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("patch", "spacing", "expected"),
    [
        # 10 mm slices wait until the planes have come near them
        ((12, 128, 128), (10, 1.5, 1.5), [[1, 2, 2], [1, 2, 2], [2, 2, 2], [1, 2, 2]]),
        ((16, 128, 128), (10, 1.5, 1.5), [[1, 2, 2], [1, 2, 2], [2, 2, 2], [2, 2, 2]]),
        # near-isotropic volumes are pooled alike until an axis is used up
        ((32, 96, 96), (2.5, 2, 2), [[2, 2, 2], [2, 2, 2], [2, 2, 2], [1, 2, 2]]),
        ((64, 64, 64), (1, 1, 1), [[2, 2, 2]] * 4),
        ((4, 8, 8), (1, 1, 1), [[1, 2, 2], [1, 1, 1], [1, 1, 1], [1, 1, 1]]),
    ],
)
def test_pooling_follows_the_spacing(patch, spacing, expected):
    assert pooling_plan(patch, spacing, 4) == expected


def test_volumetric_networks_get_their_strides_and_keep_those_of_the_file(file, tmp_path):
    plan = make_plan(file, results=tmp_path, profile="full")
    of = {run.spec.dataset: run.spec for run in plan.runs if run.spec.architecture == "vnet"}
    assert of["acdc"].options["strides"][0] == [1, 2, 2]
    assert of["decathlon"].options["strides"][0] == [2, 2, 2]
    assert "strides" not in of["camus"].options
    given = "strides: [[1, 2, 2], [1, 2, 2], [1, 2, 2], [1, 2, 2]]"
    text = file.read_text().replace(
        "    dims: {decathlon: 3", f"    options: {{{given}}}\n    dims: {{decathlon: 3", 1
    )
    file.write_text(text.replace("    dims: {decathlon: 3, acdc: 3, camus: 2}",
                                 "    dims: {decathlon: 3, acdc: 3, camus: 3}"))  # fmt: skip
    plan = make_plan(file, results=tmp_path, profile="full")
    strides = {str(run.spec.options["strides"]) for run in plan.runs if run.spec.dims == 3}
    assert strides == {"[[1, 2, 2], [1, 2, 2], [1, 2, 2], [1, 2, 2]]"}


def test_patch_that_a_network_cannot_take_is_refused_before_anything_runs(file, tmp_path):
    file.write_text(file.read_text().replace("patch_2d: [96, 96]", "patch_2d: [150, 96]"))
    with pytest.raises(BenchmarkError, match=r"unet on decathlon: .*150"):
        make_plan(file, results=tmp_path, profile="quick")


def test_backend_that_is_not_installed_is_refused_with_the_way_to_get_it(
    file, tmp_path, monkeypatch
):
    monkeypatch.setattr(planning.importlib.util, "find_spec", lambda name: None)
    file.write_text(file.read_text().replace("  optimizer: adamw", "  backend: jax", 1))
    with pytest.raises(BenchmarkError, match=r"'jax' is not installed.*uv sync --extra jax"):
        make_plan(file, results=tmp_path)


def test_splits_are_checked_before_anything_runs(file, tmp_path):
    root = acdc_tree(tmp_path / "data", patients=3)
    with pytest.raises(ValueError, match="fold"):
        make_plan(file, results=tmp_path / "r", data_root=root)


def test_data_real_does_not_take_phantoms_that_lie_under_the_root(file, tmp_path):
    root = acdc_tree(tmp_path / "data")
    (root / "ACDC" / "PHANTOM.json").write_text("{}")
    assert make_plan(file, results=tmp_path, data_root=root).sources["acdc"].source == "phantom"
    with pytest.raises(DataError, match="phantoms are refused"):
        make_plan(file, results=tmp_path, data_root=root, mode="real")
