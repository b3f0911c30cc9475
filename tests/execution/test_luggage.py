"""The code as it travels."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile

from benchmark.environment import git_state
from benchmark.execution.luggage import pack_code


def test_the_code_runs_where_it_is_unpacked_and_knows_its_commit(tmp_path):
    packed = pack_code()
    assert packed == pack_code()
    assert len(packed) < 3 * 2**20
    archive = zipfile.ZipFile(io.BytesIO(packed))
    assert {name.split("/")[0] for name in archive.namelist()} == {
        "architectures", "benchmark", "datasets", "git-state.json",
    }  # fmt: skip
    assert not [name for name in archive.namelist() if "__pycache__" in name]
    archive.extractall(tmp_path)
    code = (
        "import json\nfrom benchmark import environment\nimport architectures, datasets\n"
        "from benchmark.execution import node\n"
        "print(json.dumps([environment.git_state(), environment.__file__, datasets.__file__]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"},
    )  # fmt: skip
    state, *files = json.loads(done.stdout)
    assert state == git_state()
    assert all(file.startswith(str(tmp_path)) for file in files)
