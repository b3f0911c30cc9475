"""Who may know whom: the imports are read, not run."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORKS = {"tensorflow", "jax", "torch"}
FILES = sorted(
    path.relative_to(ROOT)
    for room in ("architectures", "datasets", "benchmark")
    for path in (ROOT / room).rglob("*.py")
)


def imports(path: Path) -> set[str]:
    """Every module a file imports, at any depth of the code."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def inside(path: Path, *folders: str) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_house_rules(path):
    known = tops(path)
    if inside(path, "architectures"):
        assert not known & {"datasets", "benchmark"}
    if inside(path, "datasets"):
        assert not known & {"architectures", "benchmark", "keras"}
    if path in (Path("benchmark/errors.py"), Path("benchmark/experiment/spec.py")):
        assert not known & {"architectures", "datasets", "benchmark"}
    if "keras" in known:
        assert inside(
            path, "architectures", "benchmark/training", "benchmark/evaluation/inference.py",
            "benchmark/execution/worker.py", "benchmark/export/formats.py",
        )  # fmt: skip
    if known & FRAMEWORKS:
        assert path in (
            Path("benchmark/training/devices.py"), Path("benchmark/training/distribution.py"),
            Path("architectures/pretrained.py"), Path("architectures/kernels.py"),
        )  # fmt: skip
    if "mlflow" in known:
        assert inside(path, "benchmark/tracking")
    if "optuna" in known:
        assert inside(path, "benchmark/tuning")
    if "ray" in known:
        assert path == Path("benchmark/execution/ray.py")
    if inside(path, "benchmark/report"):
        used = {name for name in imports(path) if name.startswith("benchmark.")}
        allowed = ("benchmark.report", "benchmark.records", "benchmark.statistics",
                   "benchmark.__version__")  # fmt: skip
        assert all(name.startswith((*allowed, "benchmark.errors")) for name in used)


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        (["--help"], {"numpy", "pandas", "pydantic", "yaml", "rich", "nibabel"} | FRAMEWORKS),
        (["plan", "--json"], {"keras", "pandas", "mlflow", "matplotlib", "optuna"} | FRAMEWORKS),
    ],
)
def test_light_commands_load_no_framework(command, heavy, tmp_path):
    arguments = command if "--help" in command else [*command, "--results", str(tmp_path)]
    code = (
        "import sys\n"
        "from benchmark.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        f"print('LOADED', sorted({heavy!r} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip().endswith("LOADED []"), done.stdout + done.stderr


def test_ours_is_the_datasets_that_mlflow_and_keras_see():
    code = (
        "import mlflow, keras, datasets\n"
        "from pathlib import Path\n"
        f"assert Path(datasets.__file__).parent == Path({str(ROOT / 'datasets')!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_foreign_datasets_package_is_an_error_that_says_so(tmp_path):
    foreign = tmp_path / "datasets"
    foreign.mkdir()
    (foreign / "__init__.py").write_text("NAMES = ('acdc',)\n")
    (foreign / "case.py").write_text("class DatasetError(ValueError): pass\n")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
        "from benchmark.cli import main\n"
        "sys.exit(main(['plan']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "expected the package 'datasets'" in done.stderr
    assert "Traceback" not in done.stderr
