"""Asking a server that may be away, busy or cut off: bounded retries, errors in one sentence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from datasets.case import DatasetError

if TYPE_CHECKING:
    import requests

_Result = TypeVar("_Result")
_BLOCK = 1 << 18
# Answers that say "not now" rather than "not at all".
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_RANGE_REFUSED = 416


@dataclass(frozen=True)
class Retries:
    """How long a failing server is asked.

    Attributes:
        attempts: How many in a row may fail; one that brought something new starts the count again.
        first_wait_s: Pause after the first failure. It doubles with each further one.
        longest_wait_s: Where the doubling ends.
        timeout_s: How long the server may be silent.
    """

    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    timeout_s: float = 30.0


class Again(Exception):
    """A failure that may pass.

    Attributes:
        advanced: Whether the attempt brought something that the next one can build on.
    """

    def __init__(self, reason: str, *, advanced: bool = False) -> None:
        super().__init__(reason)
        self.advanced = advanced


class Stopped(Exception):
    """Another thread has ended the work."""


def persist(
    attempt: Callable[[], _Result], url: str, *, retries: Retries, stop: threading.Event
) -> _Result:
    """Result of the first attempt that does not raise `Again`.

    Raises:
        DatasetError: Too many attempts in a row have failed.
        Stopped: `stop` was set during a pause.
    """
    failures = 0
    while True:
        try:
            return attempt()
        except Again as trouble:
            failures = 1 if trouble.advanced else failures + 1
            if failures >= retries.attempts:
                raise DatasetError(
                    f"{url}: the server {trouble}, {failures} times in a row. Run the same "
                    "command again later: it goes on with what has arrived."
                ) from trouble
            pause_s = min(retries.first_wait_s * 2 ** (failures - 1), retries.longest_wait_s)
        if stop.wait(pause_s):
            raise Stopped


@contextmanager
def answer(
    session: requests.Session,
    url: str,
    *,
    retries: Retries,
    headers: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
) -> Iterator[requests.Response]:
    """The server's answer to a GET request, its body still to be read with `blocks`.

    Its status is a success or 416, which says that a range lies outside of the file.

    Raises:
        Again: The server cannot be reached or is out of order.
        DatasetError: It refuses.
    """
    import requests

    # Packed on the way, a body would be shorter or longer than the sizes that the server states.
    headers = {"Accept-Encoding": "identity", **(headers or {})}
    try:
        response = session.get(
            url, headers=headers, params=parameters, stream=True, timeout=retries.timeout_s
        )
    except requests.exceptions.SSLError as error:
        raise DatasetError(
            f"{url}: the server's certificate cannot be trusted ({error}). Check the network and "
            "the machine's clock."
        ) from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise Again("could not be reached") from error
    except requests.RequestException as error:
        raise DatasetError(f"{url} cannot be asked for: {error}.") from error
    with response:
        status = response.status_code
        if status in _LATER:
            raise Again(f"answered {status} {response.reason}")
        if status != _RANGE_REFUSED and not 200 <= status < 300:
            raise DatasetError(
                f"{url}: the server answered {status} {response.reason}. Is the address right? "
                "The files may have moved: see the homepage of the dataset."
            )
        yield response


def blocks(response: requests.Response) -> Iterator[bytes]:
    """The body of an answer as it arrives, unchanged.

    Raises:
        Again: The connection was cut.
    """
    import urllib3

    # read1 hands on what there is: of a connection that is cut, no byte is lost.
    try:
        while block := response.raw.read1(_BLOCK, decode_content=False):
            yield block
    except urllib3.exceptions.HTTPError as error:
        raise Again("cut the connection") from error
