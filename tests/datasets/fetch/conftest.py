"""A server on this machine that does what servers on the way to a dataset do."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from datasets.fetch.http import Retries


@dataclass(frozen=True)
class Reply:
    """One answer: what the server has, and how it misbehaves.

    Attributes:
        content: The file.
        etag: Tag of this version of it.
        ranges: Whether it gives ranges when asked.
        range_status: Status of a range; Girder's is 200.
        if_range: Whether it minds the condition of a range.
        cut: Bytes after which it closes the connection.
        length: Content-Length as stated; "" states none.
        status: Of the answer.
    """

    content: bytes = b""
    etag: str | None = None
    ranges: bool = True
    range_status: int = 206
    if_range: bool = True
    cut: int | None = None
    length: str | None = None
    status: int = 200


Route = list[Reply] | Callable[[dict[str, str]], Reply]


@dataclass
class Server:
    """Routes, and what was asked.

    Attributes:
        url: Its address.
        routes: By path: replies in turn, of which the last is repeated, or a function of the query.
        asked: Path and Range header of each request.
    """

    url: str = ""
    routes: dict[str, Route] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def put(self, path: str, *replies: Reply) -> str:
        self.routes[path] = list(replies)
        return self.url + path

    def ranges(self) -> list[str | None]:
        return [asked for _, asked in self.asked]

    def reply(self, path: str, query: dict[str, str]) -> Reply:
        route = self.routes.get(path, [Reply(status=404)])
        if callable(route):
            return route(query)
        return route.pop(0) if len(route) > 1 else route[0]


def make_handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # in one packet: Nagle's algorithm holds the second back for 40 ms

        def log_message(self, *_):
            pass

        def do_GET(self):
            parts = urlsplit(self.path)
            wanted = self.headers.get("Range")
            server.asked.append((parts.path, wanted))
            reply = server.reply(parts.path, dict(parse_qsl(parts.query)))
            body, status, extra = reply.content, reply.status, {}
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
            condition = self.headers.get("If-Range")
            # A weak tag never matches here: RFC 9110, section 13.1.5.
            same = condition == reply.etag and not str(condition).startswith("W/")
            changed = reply.if_range and condition and not same
            if wanted and reply.ranges and status == 200 and not changed:
                if start >= len(body):
                    status, body = 416, b""
                    extra["Content-Range"] = f"bytes */{len(reply.content)}"
                else:
                    end = len(body) - 1
                    extra["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
                    body, status = body[start:], reply.range_status
            self.send_response(status)
            if reply.etag:
                self.send_header("ETag", reply.etag)
            for name, value in extra.items():
                self.send_header(name, value)
            length = str(len(body)) if reply.length is None else reply.length
            if length:
                self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(body if reply.cut is None else body[: reply.cut])
            self.close_connection = reply.cut is not None or length != str(len(body))

    return Handler


class Quiet(ThreadingHTTPServer):
    """Says nothing when a client leaves early, which here is meant."""

    def handle_error(self, request, client_address):
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    known = Server()
    with Quiet(("127.0.0.1", 0), make_handler(known)) as listening:
        known.url = f"http://127.0.0.1:{listening.server_address[1]}"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield known
        listening.shutdown()
        thread.join()


@pytest.fixture
def retries() -> Retries:
    """Impatient ones."""
    return Retries(attempts=3, first_wait_s=0.0, timeout_s=5.0)


@pytest.fixture
def impatient(monkeypatch) -> None:
    """Make impatient retries those of the command."""
    import datasets.fetch

    monkeypatch.setattr(
        datasets.fetch, "Retries", lambda: Retries(attempts=3, first_wait_s=0.0, timeout_s=5.0)
    )


@dataclass
class Girder:
    """A Girder that offers a folder of this machine.

    Attributes:
        server: Where it answers, below `/api/v1`.
        files: Reply to the download of a file, by its identifier.
        ids: Identifier of each folder and file, by its path below the top.
    """

    server: Server
    files: dict[str, Reply] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    listed: dict[str, list[dict]] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"{self.server.url}/api/v1"

    def offer(self, top: Path, top_id: str) -> None:
        """Offer what lies in the folder `top`, which gets the identifier `top_id`."""
        self.ids["."] = top_id
        for path in [top, *sorted(top.rglob("*"))]:
            place = path.relative_to(top).as_posix()
            id = self.ids.setdefault(place, f"id{top_id[-4:]}{len(self.ids):04d}")
            if path.is_dir():
                self.listed[f"folders {id}"], self.listed[f"items {id}"] = [], []
            if path != top:
                kind = "folders" if path.is_dir() else "items"
                parent = self.ids[path.parent.relative_to(top).as_posix()]
                entry = {"_id": id, "name": path.name, "size": 0}
                if path.is_file():
                    content = path.read_bytes()
                    entry["size"] = len(content)
                    self.listed[f"files {id}"] = [{**entry, "_id": f"{id}f"}]
                    self.route(id, content)
                self.listed[f"{kind} {parent}"].append(entry)

    def route(self, id: str, content: bytes) -> None:
        import json

        self.files[f"{id}f"] = Reply(content, range_status=200)
        path = f"/api/v1/file/{id}f/download"
        self.server.routes[path] = lambda _: self.files[f"{id}f"]
        self.server.routes[f"/api/v1/item/{id}/files"] = lambda _: Reply(
            json.dumps(self.listed[f"files {id}"]).encode()
        )
        self.server.routes["/api/v1/folder"] = lambda query: self.page(
            f"folders {query['parentId']}", query
        )
        self.server.routes["/api/v1/item"] = lambda query: self.page(
            f"items {query['folderId']}", query
        )

    def page(self, key: str, query: dict[str, str]) -> Reply:
        import json

        first, most = int(query["offset"]), int(query["limit"])
        return Reply(json.dumps(self.listed[key][first : first + most]).encode())

    def change(self, place: str, **changes) -> None:
        """Make the server misbehave with one file."""
        from dataclasses import replace

        key = f"{self.ids[place]}f"
        self.files[key] = replace(self.files[key], **changes)

    def downloads(self) -> list[str]:
        """Identifiers of the files that were asked for."""
        asked = [
            re.fullmatch(r"/api/v1/file/(\w+)/download", path) for path, _ in self.server.asked
        ]
        return [found[1] for found in asked if found]


@pytest.fixture
def girder(server) -> Girder:
    return Girder(server)


@pytest.fixture
def reply() -> type[Reply]:
    return Reply
