"""A run's folder on its way from one machine to another."""

from __future__ import annotations

import io
import tarfile

import pytest

from benchmark.errors import BenchmarkError
from benchmark.execution import folder as folders
from benchmark.execution.folder import clear, pack, unpack


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def content(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_what_a_worker_made_arrives_and_what_was_there_goes(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    write(there, **{"record.json": "new", "SHA256SUMS": "s", "predictions__a__b.npz": "mask",
                    "log.txt": "theirs", "tasks.log.earlier.txt": "theirs", "lock": "",
                    ".x.tmp": "h", "partial-b": "h"})  # fmt: skip
    write(here, **{"record.json": "old", "cases.csv": "old", "predictions__c.npz": "old",
                   "checkpoint-000001.bin": "old", "log.txt": "ours", "lock": ""})  # fmt: skip
    lock = (here / "lock").stat().st_ino
    unpack(pack(there), here)
    assert content(here) == {
        "record.json": "new", "SHA256SUMS": "s", "predictions/a/b.npz": "mask",
        "log.txt": "ours", "lock": "",
    }  # fmt: skip
    assert (here / "lock").stat().st_ino == lock  # whoever holds it goes on holding it


def test_checkpoints_of_a_run_that_was_ended_take_the_place_of_older_ones(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    write(there, **{"checkpoint-000003.bin": "3", "checkpoint-000002.bin": "2"})
    write(here, **{"checkpoint-000002.bin": "2", "checkpoint-000001.bin": "1"})
    unpack(pack(there), here)
    assert content(here) == {"checkpoint-000003.bin": "3", "checkpoint-000002.bin": "2"}


def test_an_absent_folder_is_an_empty_parcel(tmp_path):
    unpack(pack(tmp_path / "none"), tmp_path / "here")
    assert content(tmp_path / "here") == {}


def test_the_record_comes_last(tmp_path, monkeypatch):
    """Whoever dies while files take their places leaves no record: the run is not done."""
    write(tmp_path / "there", **{"record.json": "r", "a.csv": "a", "z.csv": "z"})
    parcel, here = pack(tmp_path / "there"), tmp_path / "here"
    replace, done = folders.Path.replace, []

    def die_at_third(self, target):
        if len(done) == 2:
            raise OSError(28, "No space left on device")
        done.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(folders.Path, "replace", die_at_third)
    with pytest.raises(OSError, match="No space"):
        unpack(parcel, here)
    assert content(here) == {"a.csv": "a", "z.csv": "z"}


def test_clear_removes_what_never_arrived(tmp_path):
    write(tmp_path, **{".incoming-1__record.json": "r", "slices__a.png": "p", "log.txt": "l"})
    clear(tmp_path)
    assert content(tmp_path) == {"log.txt": "l"}


def member(name, kind=tarfile.REGTYPE, link="", **headers):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.pax_headers = kind, link, headers
    return info


@pytest.mark.parametrize(
    "hostile",
    [
        member("../record.json"), member("/etc/passwd"), member("a/../../b"), member("lock"),
        member("log.txt"), member("tasks.log.txt"), member(".hidden"), member("a/.b"), member("."),
        member("./a/.."),
        member("link", tarfile.SYMTYPE, "/etc/passwd"), member("hard", tarfile.LNKTYPE, "lock"),
        member("device", tarfile.CHRTYPE), member("pipe", tarfile.FIFOTYPE),
        member("holes", tarfile.GNUTYPE_SPARSE),
        member("holes", **{"GNU.sparse.major": "0", "GNU.sparse.minor": "1",
                           "GNU.sparse.map": "0,0", "GNU.sparse.size": "99999999999"}),
    ],
    ids=lambda info: f"{info.name}-{info.type!r}",
)  # fmt: skip
def test_hostile_parcels_are_refused_before_anything_changes(tmp_path, hostile):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(member("cases.csv"))
        tar.addfile(hostile)
    here = tmp_path / "runs" / "key"
    write(here, **{"cases.csv": "ours", "lock": ""})
    with pytest.raises(BenchmarkError, match=r"is none|damaged"):
        unpack(stream.getvalue(), here)
    assert content(tmp_path) == {"runs/key/cases.csv": "ours", "runs/key/lock": ""}


def test_a_parcel_that_was_cut_is_refused(tmp_path):
    write(tmp_path / "there", **{"record.json": "r" * 5000, "weights": "w" * 5000})
    parcel = pack(tmp_path / "there")
    for length in (100, 700, 6000):
        with pytest.raises(BenchmarkError, match=r"damaged|Run again"):
            unpack(parcel[:length], tmp_path / "here")
    twice = io.BytesIO()
    with tarfile.open(fileobj=twice, mode="w") as tar:
        tar.addfile(member("a"))
        tar.addfile(member("a"))
    with pytest.raises(BenchmarkError, match="damaged"):
        unpack(twice.getvalue(), tmp_path / "here")
    assert content(tmp_path / "here") == {}
