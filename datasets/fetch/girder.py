"""Fetching folders of a Girder server, file by file, so that each is checked and none twice."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from datasets.case import DatasetError
from datasets.fetch.download import Progress, check_room, drop, take
from datasets.fetch.girder_server import Entry, Server
from datasets.fetch.http import Retries
from datasets.source import GirderFolders

_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")

# A public server of a university: a few files at once keep the line busy without a crowd.
_AT_ONCE = 4
_DEEPEST = 4
_BLOCK = 1 << 20


def fetch_folders(
    source: GirderFolders,
    base: str,
    target: Path,
    parts: Path,
    *,
    retries: Retries,
    listing: Progress,
    progress: Progress,
) -> None:
    """Bring all files of a release to `target`; those that are there whole are not asked for.

    A file gets its name when its size is the listed one and, if it is packed, it unpacks.

    Args:
        source: The folders.
        base: URL of the API.
        target: Where the release shall lie.
        parts: A folder for what has not arrived whole.
        retries: How long a failing server is asked.
        listing: Is told how many folders have been listed.
        progress: Is told how many bytes of the files are there.

    Raises:
        DatasetError: The server fails or refuses, gives names that leave the folder, more than the
            limits of `source`, or files that are not what it lists.
    """
    with closing(Server(base, retries)) as server:
        items = _walk(server, source, target, listing)
        check_room(parts, sum(item.size for item in items if not _is_whole(item)))
        counted = _Counted(progress, sum(item.size for item in items))
        owners: dict[Path, str] = {}

        def fetch(item: Entry) -> None:
            if _is_whole(item):
                counted(item.id, item.size)
                return
            for file in server.listed(f"item/{item.id}/files", item.place.parent):
                if owners.setdefault(file.place, item.id) != item.id:
                    raise _twice(base, file.place)
                if not _is_whole(file):
                    _fetch_file(server, file, parts / f"{file.id}.part", counted)
                counted(file.id, file.size)

        _together(fetch, items, server.stop)


def _fetch_file(server: Server, file: Entry, part: Path, counted: _Counted) -> None:
    server.download(file, part, lambda held, _: counted(file.id, held))
    _check_packed(file, part)
    take(part, file.place)


def _walk(server: Server, source: GirderFolders, target: Path, listing: Progress) -> list[Entry]:
    """All items of the release, level by level."""
    level = [Entry(id, target / place, 0) for place, id in source.folders.items()]
    deeper: list[Entry] = []
    items: list[Entry] = []
    places: set[Path] = set()
    listed = 0

    def look(folder: Entry) -> tuple[list[Entry], list[Entry]]:
        below = server.listed("folder", folder.place, parentType="folder", parentId=folder.id)
        return below, server.listed("item", folder.place, folderId=folder.id)

    def note(found: tuple[list[Entry], list[Entry]]) -> None:
        nonlocal listed
        listed += 1
        listing(listed, None)
        deeper.extend(found[0])
        items.extend(found[1])
        for entry in (*found[0], *found[1]):
            if entry.place in places:
                raise _twice(server.base, entry.place)
            places.add(entry.place)
        total = sum(item.size for item in items)
        if len(places) > source.most_files or total > source.most_bytes:
            raise DatasetError(
                f"{server.base} lists more than {source.most_files} files or "
                f"{source.most_bytes / 1e9:.0f} GB, far more than the release has. Nothing was "
                "fetched: is this the server of the owners?"
            )

    for _ in range(_DEEPEST):
        _together(look, level, server.stop, note)
        for folder in level:
            folder.place.mkdir(parents=True, exist_ok=True)
        level, deeper[:] = list(deeper), []
    if level:
        raise DatasetError(
            f"{server.base}: expected at most {_DEEPEST} folders in one another, the server lists "
            "more. It is not the release: try another mirror."
        )
    return sorted(items, key=lambda item: item.place)


def _twice(base: str, place: Path) -> DatasetError:
    return DatasetError(
        f"{base} lists {place.name!r} twice in one folder, so which of them belongs to the release "
        "is unclear. Try another mirror."
    )


class _Counted:
    """Adds up what several threads have fetched."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._held: dict[str, int] = {}
        self._sum = 0
        self._lock = threading.Lock()

    def __call__(self, key: str, held: int) -> None:
        with self._lock:
            self._sum += held - self._held.get(key, 0)
            self._held[key] = held
            self._progress(self._sum, self._total)


def _is_whole(entry: Entry) -> bool:
    """Whether it is there: it got its name only after it was found whole."""
    return entry.place.is_file() and entry.place.stat().st_size == entry.size


def _check_packed(file: Entry, part: Path) -> None:
    """Unpack a `.gz` file to nowhere: gzip compares its own checksum.

    Raises:
        DatasetError: It is damaged, or something else; it is removed.
    """
    if file.place.suffix != ".gz":
        return
    try:
        if file.size == 0:
            raise EOFError("it is empty")
        with gzip.open(part) as stream:
            while stream.read(_BLOCK):
                pass
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        drop(part)
        raise DatasetError(
            f"{file.place.name} came with the listed size but is damaged or no gzip file "
            f"({error}). Run the same command again; what has arrived of the others is kept."
        ) from error


def _together(
    function: Callable[[_Thing], _Result],
    things: Iterable[_Thing],
    stop: threading.Event,
    each: Callable[[_Result], None] | None = None,
) -> None:
    """Call `function` on a few of `things` at once, and `each` on its results as they come.

    The first error ends all.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = [pool.submit(function, thing) for thing in things]
        try:
            for future in as_completed(futures):
                result = future.result()
                if each is not None:
                    each(result)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
