"""What a user sees where there is no cluster; tests/faults/test_ray.py has one."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import threading
import time

import pytest

from benchmark.cli import main
from benchmark.errors import BenchmarkError
from benchmark.execution import ray


def test_an_absent_ray_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BenchmarkError, match="uv sync --extra ray"), ray.connected(None):
        pass


def test_an_address_where_nothing_listens_is_refused_at_once(tmp_path, capsys):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
        begin = time.monotonic()
        code = main(["run", "--results", str(tmp_path), "--profile", "smoke", "--data", "phantom",
                     "--executor", "ray", "--address", address])  # fmt: skip
    assert code == 2
    assert time.monotonic() - begin < 20
    said = capsys.readouterr().err
    assert f"--address {address}: expected a Ray cluster" in said
    assert "ray start --head" in said


@pytest.mark.parametrize(
    ("answer", "why"),
    [(b"HTTP/1.1 400 Bad Request\r\n", "what answers there is none"), (b"", "timed out")],
)
def test_a_port_where_something_else_listens_is_refused(monkeypatch, answer, why):
    monkeypatch.setattr(ray, "KNOCK_S", 0.3)

    def serve():
        peer, _ = server.accept()
        with peer, contextlib.suppress(ConnectionResetError):
            peer.sendall(answer)
            while peer.recv(100):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(BenchmarkError, match=why):
            ray._knock(f"127.0.0.1:{server.getsockname()[1]}")
        thread.join()


@pytest.mark.parametrize(
    ("address", "known"),
    [("auto", False), ("local", False), ("10.0.0.1:6379", True), ("ray://[::1]:10001", True)],
)
def test_an_address_is_tried_where_it_names_host_and_port(monkeypatch, address, known):
    tried = []

    def connect(target, timeout):
        tried.append(target)
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", connect)
    if known:
        with pytest.raises(BenchmarkError, match="timed out"):
            ray._knock(address)
        assert tried[0][0] in ("10.0.0.1", "::1")
    else:
        ray._knock(address)
        assert tried == []


def test_options_of_the_cluster_need_it(tmp_path, capsys):
    for option in ("--address", "--cpus", "--gpus"):
        assert main(["run", "--results", str(tmp_path), option, "1"]) == 2
        assert f"{option}: expected with --executor ray" in capsys.readouterr().err


def test_jobs_are_the_places_or_what_is_asked():
    executor = object.__new__(ray.RayExecutor)
    executor.share = ray.Share(2, 0, 3)
    assert len(executor.slots(None)) == 3
    assert len(executor.slots(7)) == 7
    with pytest.raises(BenchmarkError, match="--jobs 0"):
        executor.slots(0)
