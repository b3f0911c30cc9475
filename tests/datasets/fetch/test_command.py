"""`data fetch`, `data list` and `data phantom` from the command line."""

from __future__ import annotations

import errno
import hashlib
import json
import tarfile
from dataclasses import replace

import pytest

import datasets
from benchmark.cli import main
from datasets import acdc, decathlon


@pytest.fixture(scope="module")
def packed(phantoms, tmp_path_factory) -> bytes:
    """A phantom packed as the owners pack their release."""
    path = tmp_path_factory.mktemp("theirs") / "Task02_Heart.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(phantoms / "Task02_Heart", "Task02_Heart")
    return path.read_bytes()


@pytest.fixture
def archive(packed, monkeypatch) -> bytes:
    """The phantom, expected in place of the release."""
    expect(monkeypatch, packed)
    return packed


def expect(monkeypatch, content: bytes) -> None:
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    changed = replace(decathlon.SOURCE, size=len(content), checksum=checksum)
    monkeypatch.setattr(decathlon, "SOURCE", changed)


def refused(capsys, *arguments: str) -> str:
    assert main(["data", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def test_fetch_and_list(server, reply, archive, tmp_path, capsys, impatient):
    middle = len(archive) // 2
    server.put("/msd/Task02_Heart.tar", reply(archive, cut=middle), reply(archive))
    root = tmp_path / "data"
    base = f"{server.url}/msd/"
    assert main(["data", "fetch", "decathlon", "--to", str(root), "--from", base]) == 0
    said = capsys.readouterr().out
    assert "licence: CC BY-SA 4.0" in said
    assert "cite: M. Antonelli" in said
    assert f"{root}/Task02_Heart: 1 cases of 1 patients (phantom)." in said
    assert server.ranges() == [None, f"bytes={middle}-"]
    assert [path.name for path in root.iterdir()] == ["Task02_Heart"]

    assert main(["data", "list", "--data-root", str(root), "--json"]) == 0
    there = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert there["decathlon"]["root"] == str(root / "Task02_Heart")
    assert there["decathlon"]["source"] == "phantom"
    assert (there["decathlon"]["cases"], there["decathlon"]["patients"]) == (1, 1)
    assert there["acdc"]["source"] == "absent"
    assert there["acdc"]["root"] is None
    assert "data fetch acdc" in there["acdc"]["instructions"]

    said = refused(capsys, "fetch", "decathlon", "--to", str(root), "--from", base)
    assert "is not overwritten" in said


def test_a_full_disk_while_unpacking(
    server, reply, archive, tmp_path, capsys, impatient, monkeypatch
):
    """The archive is kept, so the next call only unpacks."""
    from datasets.fetch import archive as module

    def full(_archive, _tar, _member, target):
        with module.writing(target):
            raise OSError(errno.ENOSPC, "No space left on device")

    server.put("/Task02_Heart.tar", reply(archive))
    arguments = ["fetch", "decathlon", "--to", str(tmp_path / "data"), "--from", server.url]
    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", full)
        assert "No space left on device" in refused(capsys, *arguments)
    assert datasets.find("decathlon", tmp_path / "data") is None
    assert main(["data", *arguments]) == 0
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status": 404}, "answered 404"),
        ({"status": 500}, "3 times in a row"),
        ({"length": "12"}, "the server offers 12"),
        ({"content": b"wrong"}, "the server offers 5"),
        ({"ranges": False, "cut": 1000}, "cut the connection, 3 times in a row"),
    ],
)
def test_servers_that_fail(server, reply, archive, tmp_path, capsys, impatient, answer, said):
    server.put("/Task02_Heart.tar", reply(**{"content": archive} | answer))
    root = tmp_path / "data"
    assert said in refused(capsys, "fetch", "decathlon", "--to", str(root), "--from", server.url)
    assert datasets.find("decathlon", root) is None


def test_a_wrong_checksum(server, reply, archive, tmp_path, capsys, impatient):
    server.put("/Task02_Heart.tar", reply(archive[:-1] + b"x"))
    root = tmp_path / "data"
    said = refused(capsys, "fetch", "decathlon", "--to", str(root), "--from", server.url)
    assert "its checksum is not" in said
    assert not list(root.rglob("*.tar*"))


def test_an_archive_with_a_way_out(server, reply, tmp_path, capsys, impatient, monkeypatch):
    """Its checksum is right, and all the same it may not leave its folder."""
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("Task02_Heart/../../../out"))
    expect(monkeypatch, path.read_bytes())
    server.put("/Task02_Heart.tar", reply(path.read_bytes()))
    root = tmp_path / "data"
    said = refused(capsys, "fetch", "decathlon", "--to", str(root), "--from", server.url)
    assert "would lie outside" in said
    assert not list(tmp_path.rglob("out"))


def test_fetch_from_a_girder(girder, tmp_path, capsys, impatient, acdc_patient):
    acdc_patient(tmp_path / "theirs/training/patient001")
    girder.offer(tmp_path / "theirs", acdc.SOURCE.folders["."])
    root = tmp_path / "data"
    assert main(["data", "fetch", "acdc", "--to", str(root), "--from", girder.base]) == 0
    said = capsys.readouterr().out
    assert "CC BY-NC-SA 4.0" in said
    assert "2 cases of 1 patients (real)" in said


def test_fetch_refuses_what_is_no_dataset(capsys, tmp_path):
    assert "Did you mean 'acdc'" in refused(capsys, "fetch", "adcc", "--to", str(tmp_path))
    (tmp_path / "file").touch()
    said = refused(
        capsys, "fetch", "acdc", "--to", str(tmp_path / "file"), "--from", "http://127.0.0.1:1"
    )
    assert str(tmp_path / "file") in said


def test_list_says_how_to_get_what_is_absent(capsys, tmp_path):
    assert main(["data", "list", "--data-root", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "decathlon  absent" in said
    assert f"camus is not under {tmp_path}. Run `python -m benchmark data fetch camus`" in said


def test_list_names_what_is_broken(capsys, tmp_path, acdc_patient, task02):
    folder = acdc_patient(tmp_path / "ACDC/training/patient001")
    (folder / "Info.cfg").unlink()
    task02(tmp_path / "Task02_Heart", numbers=(1, 2))
    assert main(["data", "list", "--data-root", str(tmp_path)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"acdc cannot be read: {folder / 'Info.cfg'} cannot be read" in said
    assert "real, not the official cases" in said
    assert "that of its own owners" in said


def test_phantoms(capsys, tmp_path):
    arguments = ["--to", str(tmp_path), "--patients", "2", "--seed", "3"]
    assert main(["data", "phantom", *arguments, "camus"]) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path}/CAMUS_public: 8 cases of 2 patients (phantom)." in said
    assert [path.name for path in tmp_path.iterdir()] == ["CAMUS_public"]
    marker = json.loads((tmp_path / "CAMUS_public/PHANTOM.json").read_text())
    assert (marker["patients"], marker["seed"]) == (2, 3)


def test_phantoms_that_are_refused(capsys, tmp_path):
    assert "Expected a dataset" in refused(capsys, "phantom", "--to", str(tmp_path), "camus", "x")
    assert "at least 1 patient" in refused(
        capsys, "phantom", "--to", str(tmp_path), "camus", "--patients", "0"
    )
    assert list(tmp_path.iterdir()) == []
