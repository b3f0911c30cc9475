from pathlib import Path

import matplotlib
from fontTools.ttLib import TTFont
from matplotlib.font_manager import FontProperties, fontManager

from benchmark.report.fonts import plain_copies, plain_fonts


def test_copies_have_the_glyphs_and_widths_of_the_fonts_they_are_of():
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
    regular, *_ = copies = plain_copies()
    assert len(copies) == 4
    with TTFont(fonts / "DejaVuSans.ttf") as own, TTFont(regular) as plain:
        assert not {"GPOS", "GSUB", "GDEF"} & set(plain.keys())
        assert plain.getBestCmap() == own.getBestCmap()
        assert plain["hmtx"].metrics == own["hmtx"].metrics
        assert plain["kern"].kernTables[0].kernTable == own["kern"].kernTables[0].kernTable
        assert plain["name"].getDebugName(4) == own["name"].getDebugName(4)
    stamps = [path.stat().st_mtime_ns for path in copies]
    assert [path.stat().st_mtime_ns for path in plain_copies()] == stamps  # made once


def test_other_users_of_matplotlib_find_its_own_fonts():
    wanted = [FontProperties(family="DejaVu Sans", weight=weight) for weight in ("normal", "bold")]
    known = fontManager.ttflist
    before = [str(fontManager.findfont(one)) for one in wanted]
    with plain_fonts():
        inside = [str(fontManager.findfont(one)) for one in wanted]
    assert inside == [str(path) for path in plain_copies()[:2]]
    assert [str(fontManager.findfont(one)) for one in wanted] == before
    assert fontManager.ttflist is known
    assert not set(inside) & {font.fname for font in known}
