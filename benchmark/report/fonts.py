"""DejaVu without the tables that typesetting asks for, which make every PDF slow to write.

A PDF embeds the glyphs it shows, and matplotlib has fontTools cut them out of the font anew for
each file. Three quarters of that time goes into tables for ligatures and marks of other scripts,
which no label needs; a ligature would even be embedded as a font of its own.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FAMILY = "DejaVu Sans"
_STEMS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique")
# Pair kerning stays (the table `kern`), so that words are set as before.
_UNUSED = ("GPOS", "GSUB", "GDEF", "MATH", "FFTM")


@contextmanager
def plain_fonts() -> Iterator[None]:
    """Let matplotlib find the plain copies of DejaVu Sans, and its own again afterwards."""
    from matplotlib.font_manager import fontManager

    copies = plain_copies()
    known = fontManager.ttflist
    own = [font for font in known if font.name == FAMILY]
    try:
        fontManager.ttflist = [font for font in known if font.name != FAMILY]
        for path in copies:
            fontManager.addfont(path)
        yield
    finally:
        # Adding a font is what makes the manager forget what it found, such as the copies.
        fontManager.addfont(own[0].fname)
        fontManager.ttflist = known


def plain_copies() -> list[Path]:
    """Return the plain copies of matplotlib's own fonts, made where its cache lacks them."""
    import matplotlib

    fonts, cache = Path(matplotlib.get_data_path(), "fonts", "ttf"), matplotlib.get_cachedir()
    copies = []
    for stem in _STEMS:
        content = (fonts / f"{stem}.ttf").read_bytes()
        copy = Path(
            cache,
            f"{stem}-plain-{hashlib.sha256(content + repr(_UNUSED).encode()).hexdigest()[:8]}.ttf",
        )
        if not copy.is_file():
            _write_plain(fonts / f"{stem}.ttf", copy)
        copies.append(copy)
    return copies


def _write_plain(font: Path, copy: Path) -> None:
    from fontTools.ttLib import TTFont

    # Several processes may do this at once; each sees no copy or a whole one.
    handle, temporary = tempfile.mkstemp(dir=copy.parent, suffix=".ttf")
    os.close(handle)
    try:
        with TTFont(font, recalcTimestamp=False, recalcBBoxes=False) as file:
            for table in set(_UNUSED) & set(file.keys()):
                del file[table]
            file.save(temporary, reorderTables=False)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(copy)
    finally:
        Path(temporary).unlink(missing_ok=True)
