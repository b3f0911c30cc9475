"""The faults a user can cause, and mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BenchmarkError(Exception):
    """A fault in what was asked or given; its message is shown without a traceback."""


class ConfigError(BenchmarkError):
    """A fault in the experiment file: names file, line, what was expected and what came."""


class DataError(BenchmarkError):
    """A fault in the data: files absent, unreadable or not what the release holds."""


class Diverged(Exception):
    """Training produced a loss that is not finite: a result of the method, not of the machine."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the name closest to ``word``, or an empty string."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {match[0]!r}?" if match else ""
