"""Nothing in an archive gets out of its folder, and no half of it is left."""

from __future__ import annotations

import errno
import gzip
import io
import os
import tarfile

import pytest

from datasets import DatasetError
from datasets.fetch import archive as module
from datasets.fetch.archive import unpack


def member(name: str, content: bytes = b"content", **changes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, content


def kind(name: str, type_: bytes, linkname: str = "") -> tuple[tarfile.TarInfo, bytes]:
    return member(name, b"", type=type_, linkname=linkname)


def pack(path, *members, mode="w"):
    with tarfile.open(path, mode) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def unpacked(tmp_path):
    """Unpack an archive in an otherwise empty folder, and see that nothing else appears."""
    folder = tmp_path / "inner"
    folder.mkdir()

    def run(*members, most_bytes=10_000, most_files=10, mode="w"):
        archive = pack(folder / "a.tar", *members, mode=mode)
        try:
            unpack(
                archive,
                folder / "tree",
                most_bytes=most_bytes,
                most_files=most_files,
                progress=lambda *_: None,
            )
        finally:
            assert {path.name for path in tmp_path.iterdir()} == {"inner"}
            assert {path.name for path in folder.iterdir()} <= {"a.tar", "tree"}
        return folder / "tree"

    return run


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_files_and_folders(unpacked, mode):
    tree = unpacked(
        kind("./top", tarfile.DIRTYPE),
        kind("./top", tarfile.DIRTYPE),
        member("./top/a", b"a" * 3000),
        member("top/._a"),
        member("top/new/b", b""),
        mode=mode,
    )
    files = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    assert files == {"top/a", "top/._a", "top/new/b"}
    assert (tree / "top/a").read_bytes() == b"a" * 3000


def test_permissions_are_those_of_new_files(unpacked):
    tree = unpacked(member("run", mode=0o4777))
    assert (tree / "run").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize(
    "bad",
    [
        member("../out"),
        member("a/../../out"),
        member("a/.."),
        member("/tmp/out"),
        member("a\\..\\out"),
        member("C:out"),
        member("."),
        member("./"),
        member("new\nline"),
        member("\x1b[31m"),
        member("x\x7f"),
        kind("../out", tarfile.DIRTYPE),
        kind("link", tarfile.SYMTYPE, "/etc"),
        kind("link", tarfile.SYMTYPE, "top"),
        kind("link", tarfile.LNKTYPE, "a"),
        kind("link", tarfile.LNKTYPE, "../../a"),
        kind("pipe", tarfile.FIFOTYPE),
        kind("device", tarfile.CHRTYPE),
        kind("device", tarfile.BLKTYPE),
        member("a", b"another"),
        kind("a", tarfile.DIRTYPE),
    ],
    ids=lambda bad: f"{bad[0].name}-{bad[0].type.decode()}",
)
def test_what_is_refused(unpacked, tmp_path, bad):
    with pytest.raises(DatasetError, match="Nothing was unpacked"):
        unpacked(member("a"), bad)
    assert not (tmp_path / "inner/tree").exists()


def test_a_file_behind_a_link_is_refused(unpacked, tmp_path):
    with pytest.raises(DatasetError, match="is a link"):
        unpacked(kind("a", tarfile.SYMTYPE, str(tmp_path)), member("a/out"))


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a", "a/b/c")])
def test_a_file_below_a_file_is_refused(unpacked, names):
    with pytest.raises(DatasetError, match=r"lies below 'a', a file\. Nothing was unpacked"):
        unpacked(*map(member, names))


def test_the_top_itself_may_be_a_folder(unpacked):
    tree = unpacked(kind("./", tarfile.DIRTYPE), member("./a"))
    assert [path.name for path in tree.iterdir()] == ["a"]


def test_too_many_bytes(unpacked):
    with pytest.raises(DatasetError, match="would unpack to more"):
        unpacked(member("a", bytes(6000)), member("b", bytes(6000)))


def test_too_many_files(unpacked):
    with pytest.raises(DatasetError, match="would unpack to more"):
        unpacked(*(member(str(number)) for number in range(11)))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    """Few bytes that claim to be very many: only the header is read."""
    info = tarfile.TarInfo("bomb")
    info.size = 1 << 50
    archive = tmp_path / "bomb.tar.gz"
    archive.write_bytes(gzip.compress(info.tobuf() + bytes(1 << 20)))
    with pytest.raises(DatasetError, match="would unpack to more"):
        unpack(
            archive, tmp_path / "tree", most_bytes=1 << 30, most_files=9, progress=lambda *_: None
        )
    assert [path.name for path in tmp_path.iterdir()] == ["bomb.tar.gz"]


def test_a_sparse_file_is_refused(tmp_path):
    """GNU's sparse files hold more than their archive."""
    info = tarfile.TarInfo("sparse")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"00000001000\0"  # its full size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(DatasetError, match="neither a plain file nor a folder"):
        unpack(
            tmp_path / "a.tar", tmp_path / "tree", most_bytes=999, most_files=9,
            progress=lambda *_: None,
        )  # fmt: skip


@pytest.mark.parametrize("keep", [0, 100, 1000, 3000])
def test_an_archive_cut_short(tmp_path, keep):
    archive = pack(tmp_path / "a.tar", member("a", bytes(2000)), member("b", bytes(2000)))
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(DatasetError, match="Fetch it again"):
        unpack(archive, tmp_path / "tree", most_bytes=9999, most_files=9, progress=lambda *_: None)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_no_archive_at_all(tmp_path):
    (tmp_path / "a.tar").write_text("<html>not found</html>")
    with pytest.raises(DatasetError, match="damaged or no tar file"):
        unpack(
            tmp_path / "a.tar", tmp_path / "tree", most_bytes=9, most_files=9,
            progress=lambda *_: None,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "No space left on device. Make room"), (errno.EACCES, "denied. Look after")],
)
def test_only_a_full_disk_needs_room(tmp_path, number, said):
    with pytest.raises(DatasetError, match=said), module.writing(tmp_path / "a"):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_interruption_leaves_nothing(unpacked, tmp_path, monkeypatch, trouble):
    def fail(archive, tar, member, target):
        target.write_bytes(b"half")
        with module.writing(target):
            raise trouble

    monkeypatch.setattr(module, "_write", fail)
    with pytest.raises((KeyboardInterrupt, DatasetError), match=r"^$|No space left"):
        unpacked(member("a"))
    assert not (tmp_path / "inner/tree").exists()


def test_what_the_disk_cannot_hold_is_not_begun(unpacked, monkeypatch):
    usage = type("Usage", (), {"free": 5})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(DatasetError, match="are needed"):
        unpacked(member("a", b"123456"))
