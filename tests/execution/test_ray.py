"""What a user sees where there is no cluster; tests/faults/test_ray.py has one."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import socket
import sys
import tempfile
import threading
import time
import zipfile

import pytest

from benchmark.cli import main
from benchmark.errors import BenchmarkError
from benchmark.execution import ray
from benchmark.execution.remote import Lost, OutOfMemory


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


def test_runs_on_more_devices_than_they_ask_for_are_refused():
    executor = object.__new__(ray.RayExecutor)
    executor.share = ray.Share(2, 2, 3)
    assert len(executor.slots(None, devices=2)) == 3
    with pytest.raises(BenchmarkError, match=r"devices: 3: .* asks for 2\. Use --gpus 3"):
        executor.slots(None, devices=3)


def test_a_run_that_ray_ended_for_want_of_memory_is_not_lost(monkeypatch):
    import ray as package
    from ray import exceptions

    seat = object.__new__(ray.RaySeat)
    for error, ours in (
        (exceptions.OutOfMemoryError("15 of 16 GB\nmore"), OutOfMemory),
        (exceptions.ActorDiedError(), Lost),
    ):
        monkeypatch.setattr(package, "get", lambda reference, error=error: raise_(error))
        with pytest.raises(ours) as caught:
            seat._get(None)
        assert "\n" not in str(caught.value)


def raise_(error):
    raise error


@pytest.fixture
def open_seat(monkeypatch, tmp_path):
    """Open a seat for some code in a node's folder; what it changes in this process is undone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    seats = []

    def open_(text):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(zipfile.ZipInfo("code.py"), text)
        seats.append(ray._bootstrap()(stream.getvalue(), cpus=999, gpus=0))
        seats[-1].open()
        return seats[-1]

    yield open_
    for seat in seats:
        if hasattr(seat, "_used"):
            seat._used.close()


def test_code_that_no_seat_uses_is_swept_up(open_seat, tmp_path):
    codes = tmp_path / f"cardiac-benchmark-{os.getuid()}" / "code"

    def texts():
        return sorted(path.read_text() for path in codes.glob("*/code.py"))

    first, again = open_seat("1"), open_seat("1")
    (codes / ".fresh").mkdir()  # of one that was killed while it unpacked
    open_seat("2")
    assert texts() == ["1", "2"]
    first._used.close()
    open_seat("2")
    assert texts() == ["1", "2"]  # the other still uses it
    again._used.close()
    open_seat("3")
    assert texts() == ["2", "3"]
    assert not (codes / ".fresh").exists()


def test_a_folder_that_is_a_link_is_refused(open_seat, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    scratch = tmp_path / f"cardiac-benchmark-{os.getuid()}"
    for target in ("elsewhere", "nowhere"):
        scratch.symlink_to(tmp_path / target)
        with pytest.raises(PermissionError, match="expected a folder of our own, found a link"):
            open_seat("1")
        scratch.unlink()
    assert not list((tmp_path / "elsewhere").iterdir())
