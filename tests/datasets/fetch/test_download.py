"""A download survives cuts and restarts, and takes nothing for the file that is not."""

from __future__ import annotations

import errno
import hashlib
import threading
from pathlib import Path

import pytest
import requests

from datasets import DatasetError
from datasets.fetch import download
from datasets.fetch.http import Retries, Stopped

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes: several blocks
SIZE = len(CONTENT)


@pytest.fixture
def transfer(tmp_path, retries):
    """Download into a part and return its content."""
    with requests.Session() as session:

        def run(url: str, *, size: int = SIZE, stop=None, progress=lambda *_: None) -> bytes:
            part = tmp_path / "file.part"
            download.transfer(
                url,
                part,
                size=size,
                session=session,
                retries=retries,
                progress=progress,
                stop=stop or threading.Event(),
            )
            return part.read_bytes()

        yield run


def interrupted(transfer, url: str, part: Path, at: int = 300_000) -> int:
    """Download until about `at` bytes, as if stopped by the user; return what is there."""

    def progress(held, _):
        if held >= at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer(url, progress=progress)
    return part.stat().st_size


def test_a_whole_file(server, reply, transfer):
    seen = []
    url = server.put("/file", reply(CONTENT))
    assert transfer(url, progress=lambda *step: seen.append(step)) == CONTENT
    assert seen[-1] == (SIZE, SIZE)
    assert server.ranges() == [None]


def test_a_cut_connection_is_taken_up_where_it_broke(server, reply, transfer):
    url = server.put("/file", reply(CONTENT, etag='"a"', cut=300_000), reply(CONTENT, etag='"a"'))
    assert transfer(url) == CONTENT
    assert server.ranges() == [None, "bytes=300000-"]


def test_a_weak_tag_does_not_make_the_server_begin_again(server, reply, transfer):
    seen = []
    weak = 'W/"a"'
    url = server.put("/file", reply(CONTENT, etag=weak, cut=300_000), reply(CONTENT, etag=weak))
    assert transfer(url, progress=lambda held, _: seen.append(held)) == CONTENT
    assert seen == sorted(seen)


def test_many_cuts_are_no_failure_while_each_attempt_brings_something(server, reply, transfer):
    url = server.put("/file", reply(CONTENT, etag='"a"', cut=100_000))
    assert transfer(url) == CONTENT
    assert len(server.asked) == 11  # with 3 attempts in a row


def test_girder_sends_ranges_with_status_200(server, reply, transfer):
    first = reply(CONTENT, cut=300_000, range_status=200)
    url = server.put("/file", first, reply(CONTENT, range_status=200))
    assert transfer(url) == CONTENT
    assert server.ranges() == [None, "bytes=300000-"]


def test_a_server_without_ranges_begins_again(server, reply, transfer):
    first = reply(CONTENT, ranges=False, cut=300_000)
    url = server.put("/file", first, reply(CONTENT, ranges=False))
    assert transfer(url) == CONTENT


def test_a_server_without_ranges_that_always_cuts_is_given_up(server, reply, transfer):
    url = server.put("/file", reply(CONTENT, ranges=False, cut=300_000))
    with pytest.raises(DatasetError, match="3 times in a row"):
        transfer(url)
    assert len(server.asked) == 3  # the first brought something, the others nothing more


def test_the_next_call_goes_on(server, reply, transfer, tmp_path):
    url = server.put("/file", reply(CONTENT, etag='"a"'))
    held = interrupted(transfer, url, tmp_path / "file.part")
    assert 300_000 <= held < SIZE
    assert transfer(url) == CONTENT
    assert server.ranges() == [None, f"bytes={held}-"]


@pytest.mark.parametrize("if_range", [True, False])
@pytest.mark.parametrize("etag", ['"b"', 'W/"b"', None])
def test_a_file_that_changed_meanwhile_is_not_mixed(
    server, reply, transfer, tmp_path, etag, if_range
):
    url = server.put("/file", reply(CONTENT, etag='"a"'))
    interrupted(transfer, url, tmp_path / "file.part")
    other = CONTENT[::-1]
    server.put("/file", reply(other, etag=etag, if_range=if_range))
    assert transfer(url) == other


def test_a_part_of_another_address_is_not_gone_on_with(server, reply, transfer, tmp_path):
    url = server.put("/file", reply(CONTENT))
    interrupted(transfer, url, tmp_path / "file.part")
    other = server.put("/other", reply(CONTENT[::-1]))
    assert transfer(other) == CONTENT[::-1]


@pytest.mark.parametrize("note", [None, "{", "[]", '{"url": 1}'])
def test_a_part_without_a_readable_note_begins_again(server, reply, transfer, tmp_path, note):
    url = server.put("/file", reply(CONTENT))
    (tmp_path / "file.part").write_bytes(b"x" * 1000)
    if note is not None:
        (tmp_path / "file.part.json").write_text(note)
    assert transfer(url) == CONTENT
    assert server.ranges() == [None]


def test_a_part_longer_than_the_file_begins_again(server, reply, transfer, tmp_path):
    url = server.put("/file", reply(CONTENT))
    interrupted(transfer, url, tmp_path / "file.part")
    (tmp_path / "file.part").write_bytes(b"x" * (SIZE + 1))
    assert transfer(url) == CONTENT


def test_a_complete_part_is_not_asked_for(server, reply, transfer):
    url = server.put("/file", reply(CONTENT))
    transfer(url)
    assert transfer(url) == CONTENT
    assert len(server.asked) == 1


@pytest.mark.parametrize("difference", [-1000, 1000])
def test_another_length_is_refused_and_the_part_kept(server, reply, transfer, tmp_path, difference):
    url = server.put("/file", reply(CONTENT, etag='"a"'))
    held = interrupted(transfer, url, tmp_path / "file.part")
    server.put("/file", reply(CONTENT, length=str(SIZE + difference)))
    with pytest.raises(DatasetError, match=f"expected a file of {SIZE} bytes"):
        transfer(url)
    assert (tmp_path / "file.part").stat().st_size == held


@pytest.mark.parametrize("length", [SIZE - 1000, SIZE + 1000])
def test_a_length_that_is_not_stated_is_counted(server, reply, transfer, length):
    content = (CONTENT * 2)[:length]
    url = server.put("/file", reply(content, length="", ranges=False))
    with pytest.raises(DatasetError, match=r"ended the transfer|sent more than"):
        transfer(url)


def test_ranges_that_were_not_asked_for_begin_again(server, reply, transfer, tmp_path):
    url = server.put("/file", reply(CONTENT, etag='"a"'))
    interrupted(transfer, url, tmp_path / "file.part")
    server.put("/file", reply(b"", status=206), reply(CONTENT))
    assert transfer(url) == CONTENT
    assert server.ranges()[-1] is None


def test_a_shrunken_file_begins_again(server, reply, transfer, tmp_path):
    url = server.put("/file", reply(CONTENT))
    interrupted(transfer, url, tmp_path / "file.part")
    server.put("/file", reply(b"short"), reply(CONTENT))  # 416, then the file
    assert transfer(url) == CONTENT


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_not_asked_again(server, reply, transfer, status):
    url = server.put("/file", reply(b"no", status=status))
    with pytest.raises(DatasetError, match=f"answered {status}"):
        transfer(url)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_out_of_order_is_asked_again(server, reply, transfer, status):
    url = server.put("/file", reply(b"later", status=status), reply(CONTENT))
    assert transfer(url) == CONTENT


def test_a_server_that_stays_out_of_order_is_given_up(server, reply, transfer):
    url = server.put("/file", reply(b"later", status=500))
    with pytest.raises(DatasetError, match=r"answered 500 .* 3 times in a row"):
        transfer(url)
    assert len(server.asked) == 3


def test_nobody_listens(transfer, server):
    with pytest.raises(DatasetError, match="could not be reached, 3 times"):
        transfer("http://127.0.0.1:1/file")


def test_an_impossible_address(transfer):
    with pytest.raises(DatasetError, match="cannot be asked for"):
        transfer("http://[/file")


def test_pauses_double_up_to_a_limit(monkeypatch, server, reply, tmp_path):
    pauses = []

    class Stop(threading.Event):
        def wait(self, timeout=None):
            pauses.append(timeout)
            return False

    url = server.put("/file", reply(b"later", status=500))
    with requests.Session() as session, pytest.raises(DatasetError):
        download.transfer(
            url,
            tmp_path / "part",
            size=SIZE,
            session=session,
            retries=Retries(attempts=6, first_wait_s=1.0, longest_wait_s=5.0),
            progress=lambda *_: None,
            stop=Stop(),
        )
    assert pauses == [1, 2, 4, 5, 5]


def test_another_thread_can_end_it(server, reply, transfer, tmp_path):
    url = server.put("/file", reply(CONTENT))
    stop = threading.Event()
    with pytest.raises(Stopped):
        transfer(url, stop=stop, progress=lambda *_: stop.set())
    assert 0 < (tmp_path / "file.part").stat().st_size < SIZE


def test_a_full_disk_keeps_what_has_arrived(server, reply, transfer, tmp_path, monkeypatch):
    url = server.put("/file", reply(CONTENT))
    held = interrupted(transfer, url, tmp_path / "file.part")
    whole = Path.open

    def full(path, *arguments, **options):
        file = whole(path, *arguments, **options)
        if path.name.endswith(".part"):
            file.close()
            return FullDisk(path)
        return file

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(DatasetError, match=r"file\.part cannot be written: No space left"):
        transfer(url)
    monkeypatch.undo()
    assert (tmp_path / "file.part").stat().st_size == held
    assert transfer(url) == CONTENT


class FullDisk:
    """A file that takes nothing."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, _):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_what_the_disk_cannot_hold_is_not_begun(server, reply, transfer):
    url = server.put("/file", reply(CONTENT, length=str(10**17)))
    with pytest.raises(DatasetError, match="are needed"):
        transfer(url, size=10**17)


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def retrieve(url: str, target: Path, retries: Retries, checksum: str = sha256(CONTENT)) -> None:
    download.retrieve(
        url, target, checksum=checksum, size=SIZE, retries=retries, progress=lambda *_: None
    )


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_the_right_checksum(server, reply, retries, tmp_path, algorithm, capfd):
    target = tmp_path / "file"
    checksum = f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    url = server.put("/file", reply(CONTENT, cut=300_000), reply(CONTENT))
    retrieve(url, target, retries, checksum)
    assert target.read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    retrieve(url, target, retries, checksum)
    assert len(server.asked) == 2, "what is there and right is not asked for"
    assert capfd.readouterr() == ("", "")


def test_a_wrong_checksum_keeps_nothing(server, reply, retries, tmp_path):
    url = server.put("/file", reply(CONTENT[::-1]))
    with pytest.raises(DatasetError, match="its checksum is not sha256:"):
        retrieve(url, tmp_path / "file", retries)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_fetched_again(server, reply, retries, tmp_path):
    (tmp_path / "file").write_bytes(CONTENT[:-1] + b"x")
    retrieve(server.put("/file", reply(CONTENT)), tmp_path / "file", retries)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_download_that_failed_keeps_its_part(server, reply, retries, tmp_path):
    url = server.put("/file", reply(CONTENT, cut=300_000, etag='"a"'), reply(status=404))
    with pytest.raises(DatasetError, match="answered 404"):
        retrieve(url, tmp_path / "file", retries)
    assert (tmp_path / "file.part").stat().st_size == 300_000
    server.put("/file", reply(CONTENT, etag='"a"'))
    retrieve(url, tmp_path / "file", retries)
    assert server.ranges()[-1] == "bytes=300000-"
