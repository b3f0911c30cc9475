"""A Girder server: its lists, and the downloads of its files.

The calls are those of Girder's REST interface: `GET /folder`, `GET /item`, `GET /item/<id>/files`
and `GET /file/<id>/download`; public collections need no login.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.case import DatasetError
from datasets.fetch.download import Progress, transfer
from datasets.fetch.http import Retries, Stopped, answer, blocks, persist

if TYPE_CHECKING:
    import requests

# Girder's own length of a page, so that a shorter one is surely the last.
_PAGE = 50
_LARGEST_LIST = 1 << 24
_ID = re.compile(r"[0-9A-Za-z]{1,64}")


@dataclass(frozen=True)
class Entry:
    """A folder, item or file on the server.

    Attributes:
        id: Its identifier.
        place: Where it shall lie on disk.
        size: Its bytes; 0 for a folder.
    """

    id: str
    place: Path
    size: int


class Server:
    """A Girder server, asked from several threads.

    Attributes:
        base: URL of its API.
        stop: Ends all transfers when set.
    """

    def __init__(self, base: str, retries: Retries) -> None:
        self.base = base
        self.stop = threading.Event()
        self._retries = retries
        self._own = threading.local()  # a session is not made for several threads at once
        self._sessions: list[requests.Session] = []

    def close(self) -> None:
        """Close the connections."""
        for session in self._sessions:
            session.close()

    def listed(self, path: str, place: Path, **parameters: str) -> list[Entry]:
        """What a call lists, page by page.

        Args:
            path: The call, such as `"item"`.
            place: Folder on disk that the entries shall lie in.
            parameters: Parameters of the call.

        Raises:
            DatasetError: The server fails, refuses, or does not answer as a Girder does.
            Stopped: `stop` was set.
        """
        entries: list[Entry] = []
        while True:
            page = self._page(path, place, {**parameters, "offset": str(len(entries))})
            entries += page
            if len(page) < _PAGE:
                return entries
            if len({entry.id for entry in entries}) < len(entries):
                raise DatasetError(
                    f"{self.base}/{path}: the server lists the same page again and again. "
                    "Try again later, or another mirror."
                )

    def download(self, file: Entry, part: Path, progress: Progress) -> None:
        """Bring a file to `part`, as `transfer` does."""
        transfer(
            f"{self.base}/file/{file.id}/download", part, size=file.size, session=self._session(),
            retries=self._retries, progress=progress, stop=self.stop,
        )  # fmt: skip

    def _page(self, path: str, place: Path, parameters: dict[str, str]) -> list[Entry]:
        url = f"{self.base}/{path}"
        parameters = {**parameters, "limit": str(_PAGE), "sort": "name"}

        def ask() -> bytes:
            if self.stop.is_set():
                raise Stopped
            content = bytearray()
            session = self._session()
            with answer(session, url, retries=self._retries, parameters=parameters) as response:
                for block in blocks(response):
                    content += block
                    if len(content) > _LARGEST_LIST:
                        raise DatasetError(f"{url}: the server's list has no end. Try a mirror.")
            return bytes(content)

        content = persist(ask, url, retries=self._retries, stop=self.stop)
        return _entries(url, content, place)

    def _session(self) -> requests.Session:
        import requests

        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
            self._sessions.append(self._own.session)
        session: requests.Session = self._own.session
        return session


def _entries(url: str, content: bytes, place: Path) -> list[Entry]:
    """What a page of a list says, if every line of it is what Girder says."""
    try:
        listed: Any = json.loads(content)
        entries = [
            Entry(entry["_id"], place / entry["name"], entry.get("size") or 0) for entry in listed
        ]
        names = [entry["name"] for entry in listed]
        sound = all(_ID.fullmatch(entry.id) and _is_count(entry.size) for entry in entries)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DatasetError(
            f"{url}: expected a list as Girder gives it, received {content[:60]!r}. Is this the "
            "address of the API?"
        ) from error
    for name in names:
        if not name or name in (".", "..") or set(name) & set("/\\:\0"):
            raise DatasetError(
                f"{url}: the server names a file {name[:80]!r}, which would lie outside of the "
                "folder. Nothing was written: is this the server of the owners?"
            )
    if not sound:
        raise DatasetError(f"{url}: the server's list has broken entries. Try again later.")
    return entries


def _is_count(size: object) -> bool:
    return isinstance(size, int) and size >= 0
