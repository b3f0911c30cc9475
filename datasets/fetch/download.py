"""Downloading a large file so that a cut connection, or a day in between, costs nothing.

What has arrived lies in a `.part` file with a note beside it that says which file it is a part of.
It is taken up where it ended if the server still offers the same file.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.case import DatasetError
from datasets.fetch.http import Again, Retries, Stopped, answer, blocks, persist

if TYPE_CHECKING:
    import requests

Progress = Callable[[int, int | None], None]
"""Is told how many bytes have arrived, and of how many if that is known."""

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True)
class _Offer:
    """What a server says of a file, to tell later whether it is still the same one."""

    url: str
    etag: str | None
    modified: str | None
    size: int | None


def retrieve(
    url: str,
    target: Path,
    *,
    checksum: str,
    size: int,
    retries: Retries,
    progress: Progress,
) -> None:
    """Download one file and compare its checksum; a right one that is there already is taken.

    Args:
        url: Where the server has it.
        target: Where it shall lie. The `.part` file lies beside it.
        checksum: `"<algorithm>:<hex>"`.
        size: Its bytes.
        retries: How long a failing server is asked.
        progress: Is told how far it is.

    Raises:
        DatasetError: The server fails or refuses, or gives another file.
    """
    import pooch
    import requests

    part = part_of(target)

    def resume(url: str, output: str, _: object) -> None:
        """Pooch's interface of a downloader; pooch compares the checksum and moves the file."""
        with requests.Session() as session:
            transfer(
                url, part, size=size, session=session, retries=retries, progress=progress,
                stop=threading.Event(),
            )  # fmt: skip
        take(part, Path(output))

    try:
        with _quiet(pooch.get_logger()):
            pooch.retrieve(url, checksum, fname=target.name, path=target.parent, downloader=resume)
    except DatasetError:
        raise
    except ValueError as error:  # pooch's word for a wrong checksum; it has deleted the file
        raise DatasetError(
            f"{url} is not the file that was expected: its checksum is not {checksum}. Nothing "
            "of it was kept. Fetch it again, or from another mirror."
        ) from error


def part_of(target: Path) -> Path:
    """Where what has arrived of `target` lies."""
    return target.with_name(f"{target.name}.part")


def take(part: Path, target: Path) -> None:
    """Give a part that is complete its name."""
    part.replace(target)
    _note(part).unlink(missing_ok=True)


def drop(part: Path) -> None:
    """Forget what has arrived."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def transfer(
    url: str,
    part: Path,
    *,
    size: int,
    session: requests.Session,
    retries: Retries,
    progress: Progress,
    stop: threading.Event,
) -> None:
    """Bring a `.part` file to its full size, from where it ended if that is possible.

    Args:
        url: Where the server has the file.
        part: Holds what has arrived, and all of it when this returns.
        size: Bytes of the file.
        session: Keeps the connection.
        retries: How long a failing server is asked.
        progress: Is told how far it is.
        stop: Ends the transfer from another thread.

    Raises:
        DatasetError: The server fails, refuses or gives another size, or the disk is full. What
            has arrived is kept where it can be of use.
        Stopped: `stop` was set.
    """
    furthest = _length(part)

    def attempt() -> None:
        nonlocal furthest
        try:
            _attempt(url, part, size, session, retries, progress, stop)
        except Again as trouble:
            held = _length(part)
            trouble.advanced, furthest = held > furthest, max(held, furthest)
            raise

    persist(attempt, url, retries=retries, stop=stop)


def check_room(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        DatasetError: There are fewer than `needed` bytes free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DatasetError(
            f"{folder}: {needed / 1e9:.2f} GB are needed and {free / 1e9:.2f} GB are free on this "
            "disk. Make room, or name another place."
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failed writing into an error that names the file; that of a full disk does not."""
    try:
        yield
    except OSError as error:
        what = "Make room" if error.errno == errno.ENOSPC else "Look after it"
        raise DatasetError(
            f"{path} cannot be written: {error.strerror}. {what} and run the same command again."
        ) from error


def _attempt(
    url: str,
    part: Path,
    size: int,
    session: requests.Session,
    retries: Retries,
    progress: Progress,
    stop: threading.Event,
) -> None:
    known = _read_note(part)
    held = _length(part) if known is not None and known.url == url else 0
    if held == size and part.exists():
        return
    with answer(session, url, retries=retries, headers=_wanted(known, held)) as response:
        start = _start(response, held)
        if start is None:
            drop(part)
            raise Again(f"was asked for the bytes from {held} on and sent others")
        offered = _offer(url, response, start)
        if start and not _same(known, offered):
            drop(part)
            raise Again("has changed the file meanwhile")
        if offered.size is not None and offered.size != size:
            raise DatasetError(
                f"{url}: expected a file of {size} bytes, the server offers {offered.size}. It is "
                "not the file of the release: try again later, or another mirror."
            )
        check_room(part.parent, size - start)
        if not start:
            # In this order: a note must never stand beside the bytes of another file.
            drop(part)
            with writing(_note(part)):
                _note(part).write_text(json.dumps(asdict(offered)), encoding="utf-8")
        arrived = start
        with writing(part), part.open("ab") as file:
            for block in blocks(response):
                if stop.is_set():
                    raise Stopped
                file.write(block)
                arrived += len(block)
                progress(arrived, size)
                if arrived > size:
                    break
    if arrived > size:
        drop(part)
        raise Again(f"sent more than the {size} bytes of the file")
    if arrived < size:
        raise Again(f"ended the transfer at {arrived} of {size} bytes")


def _wanted(known: _Offer | None, held: int) -> dict[str, str]:
    """Headers that ask for the rest of a file, and for all of it if it has changed."""
    if known is None or not held:
        return {}
    # A weak tag promises the same meaning, not the same bytes: it may not be used here.
    strong = known.etag if known.etag and not known.etag.startswith("W/") else None
    condition = strong or known.modified
    return {"Range": f"bytes={held}-"} | ({"If-Range": condition} if condition else {})


def _start(response: requests.Response, held: int) -> int | None:
    """At which byte of the file the body begins: 0 or `held`, or `None` where it is neither.

    Girder sends the range with status 200, so it is the header that counts, not the status.
    """
    found = _RANGE.match(response.headers.get("Content-Range", ""))
    if response.status_code == 200 and not found:
        return 0
    return int(found[1]) if found and int(found[1]) in (0, held) else None


def _offer(url: str, response: requests.Response, start: int) -> _Offer:
    found = _RANGE.match(response.headers.get("Content-Range", ""))
    length = response.headers.get("Content-Length", "")
    size = None
    if found and found[3] != "*":
        size = int(found[3])
    elif length.isdecimal():
        size = start + int(length)
    return _Offer(url, response.headers.get("ETag"), response.headers.get("Last-Modified"), size)


def _same(known: _Offer | None, offered: _Offer) -> bool:
    return known is not None and (known.etag, known.modified) == (offered.etag, offered.modified)


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_note(part: Path) -> _Offer | None:
    """What the note says, or `None` where there is none that can be read."""
    try:
        content: Any = json.loads(_note(part).read_text(encoding="utf-8"))
        return _Offer(**content)
    except (OSError, ValueError, TypeError):
        return None


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _quiet(logger: Any) -> Iterator[None]:
    """Silence pooch, which tells its story on the terminal, while the progress shows there."""
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)
