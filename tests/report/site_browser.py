"""Debian's chromium, driven by Playwright: started from here, and never downloaded."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A container has no GPU; Playwright itself leaves the sandbox out and the scrollbars off.
ARGUMENTS = ("--disable-gpu", "--force-color-profile=srgb")
TIME_MS = 30_000
# Milliseconds since the navigation began, once all tables stand or say why they cannot.
READY = """() => [...document.querySelectorAll(".board")].every(
  (board) => board.querySelector("table.dataTable tbody tr, [role=alert]")) && performance.now()"""


def lacking() -> str:
    """What is not here of what a browser test needs; empty where all is."""
    if importlib.util.find_spec("playwright") is None:
        return "no playwright here (it is in the group dev)"
    if shutil.which("chromium") is None:
        return "no chromium here (Debian: apt-get install chromium)"
    return ""


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window; it is closed at the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(ARGUMENTS)
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """A page that was opened, and what it said and asked for since.

    Attributes:
        page: Playwright's page.
        ready_s: From the beginning of the navigation until all tables stood.
        complaints: Errors and warnings of the console, and exceptions that nobody caught.
        asked: Addresses of everything that the page has loaded.
    """

    page: Any
    ready_s: float = 0.0
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def strangers(self, folder: Path) -> list[str]:
        """Addresses that are neither of this folder nor within the page itself."""
        own = (folder.as_uri() + "/", "data:", "blob:")
        return [address for address in self.asked if not address.startswith(own)]


@contextmanager
def visit(
    browser: Any,
    path: Path,
    *,
    width: int = 1440,
    height: int = 1000,
    theme: str = "light",
    before: str = "",
) -> Iterator[Visit]:
    """Open a page from the disk without any network, and wait until its tables stand.

    Args:
        browser: From :func:`chromium`.
        path: Of the page.
        width: Of the window, in pixels.
        height: Of the window, in pixels.
        theme: Which colours the system asks for, ``light`` or ``dark``.
        before: A script that runs before those of the page.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, offline=True
    )
    context.set_default_timeout(TIME_MS)
    page = context.new_page()
    page.add_init_script(before)
    visited = Visit(page)
    page.on("pageerror", lambda error: visited.complaints.append(str(error)))
    page.on("request", lambda request: visited.asked.append(request.url))
    page.on("console", lambda message: _note(message, visited.complaints))
    try:
        page.goto(path.as_uri())
        visited.ready_s = page.wait_for_function(READY).json_value() / 1000
        yield visited
    finally:
        context.close()


def _note(message: Any, complaints: list[str]) -> None:
    if message.type in ("error", "warning"):
        complaints.append(f"{message.type}: {message.text}")
