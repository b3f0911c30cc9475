"""What a run was made with: versions, hardware, state of the code."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = (
    "tensorflow", "keras", "jax", "torch", "numpy", "nibabel", "opencv-python-headless",
    "albumentations", "grain", "pandas", "mlflow",
)  # fmt: skip

# Beside the packages where they were sent to another machine, in place of the repository.
GIT_FILE = "git-state.json"


def describe() -> dict[str, Any]:
    """Return versions, host and git state in plain types; absent packages are left out."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "versions": versions,
        "git": git_state(),
    }


def available_processors() -> int:
    """Return how many processors this process may run on: some are pinned to a few."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpu_names() -> list[str]:
    """Return the names of the NVIDIA GPUs; asks the driver, imports no framework."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        listing = subprocess.run(
            [tool, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=10, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return listing.strip().splitlines()


def git_state() -> dict[str, Any]:
    """Return commit and whether the tree differs from it; empty outside a repository.

    Code that was sent from elsewhere says it itself.
    """
    root = Path(__file__).resolve().parent.parent
    sent = root / GIT_FILE
    if sent.is_file():
        state: dict[str, Any] = json.loads(sent.read_text(encoding="utf-8"))
        return state

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    if commit is None:
        return {}
    return {"commit": commit, "dirty": bool(ask("status", "--porcelain"))}
