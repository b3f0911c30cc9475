"""One of a crew: reads sheets from its standard input, draws them, and writes their files back."""

from __future__ import annotations

import os
import pickle
import sys
from contextlib import suppress
from importlib import import_module

# Imported before the first sheet comes.
_NEEDED = (
    "benchmark.report.figures.sheets", "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_svg", "fontTools.subset", "pypdfium2",
)  # fmt: skip


def main() -> None:
    """Draw until the input ends or a sheet fails."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    for name in _NEEDED:
        import_module(name)
    # Until who asks is gone, or a sheet fails: it is drawn again, and fails, where it is from.
    with suppress(Exception), answers:
        while True:
            sheet = pickle.load(sys.stdin.buffer)
            pickle.dump(sheet(), answers)
            answers.flush()


if __name__ == "__main__":
    main()
