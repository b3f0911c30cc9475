"""One holder at a time, and none after the holder's death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from benchmark.execution.locks import is_locked, locked, try_lock

HOLD = (
    "import sys, time; from pathlib import Path; from benchmark.execution.locks import try_lock\n"
    "held = try_lock(Path(sys.argv[1])); print(held is not None, flush=True); time.sleep(60)"
)


def holder(path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"True\n"
    return process


def test_a_lock_has_one_holder_and_dies_with_it(tmp_path):
    path = tmp_path / "run" / "lock"
    assert not is_locked(path)
    with holder(path) as process:
        assert is_locked(path)
        assert try_lock(path) is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not is_locked(path)
        with try_lock(path):
            assert is_locked(path)
        assert not is_locked(path)


def test_waiting_ends_with_the_holder(tmp_path):
    path = tmp_path / "lock"
    with holder(path) as process:
        process.kill()
        with locked(path):
            assert is_locked(path)
