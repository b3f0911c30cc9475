"""The code of this project, packed to travel to a machine that may have none or another."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from benchmark.environment import GIT_FILE, git_state

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("architectures", "benchmark", "datasets")


def pack_code() -> bytes:
    """Return the three packages and the state of the repository as a zip; the same for the same."""
    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    files[GIT_FILE] = json.dumps(git_state(), sort_keys=True).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED)
    return stream.getvalue()
