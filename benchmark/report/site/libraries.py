"""The libraries embedded in the page: Vega for charts, DataTables for tables, with their licences.

Both lie in the page as inert text and are run when they are wanted: the page opens without waiting
for a megabyte of script. Both are texts of ES modules, which a page from ``file://`` can load from
a blob of its own and from nowhere else.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from benchmark.records import write_atomic

# What would end or change the reading of a script element, wherever it stands in its text.
_MARKUP = re.compile(r"<(?=/|!|s)", re.IGNORECASE)


def libraries_html(cache: Path) -> str:
    """The elements that make the libraries available in a page; they belong at its end.

    In the page then are ``libraries.vega()`` and ``libraries.tables()``, promises of ``vegaEmbed``
    and of ``DataTable``. The latter is loaded by itself after the first paint:
    ``window.DataTable`` is set and ``document`` gets the event ``libraries-ready``. Its style sheet
    is :func:`datatables_css`. Vega follows when the page is idle, or once a chart is near.

    Args:
        cache: the folder that keeps the bundle of Vega, which takes a second to make.

    Raises:
        OSError: the folder cannot be written.
    """
    loader = (files("benchmark.report.site") / "templates" / "libraries.js").read_text("utf-8")
    return "\n".join(
        [
            inert("library-vega", vega_bundle(cache)),
            inert("library-tables", datatables_bundle()),
            f"<script>\n{loader}</script>",
        ]
    )


def vega_bundle(cache: Path) -> str:
    """Vega, Vega-Lite and Vega-Embed in one ES module that sets ``window.vegaEmbed``.

    Args:
        cache: the folder that keeps it, by the version of vl-convert that it was made with.

    Raises:
        OSError: the folder cannot be written.
    """
    path = cache / f"vega-{version('vl-convert-python')}.js"
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        pass
    import vl_convert

    text = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    write_atomic(path, text)
    return text


def datatables_bundle() -> str:
    """DataTables with its extensions, an ES module whose default export is ``DataTable``."""
    return (files("itables") / "html" / "dt_bundle.js").read_text("utf-8")


def datatables_css() -> str:
    """The style sheet of :func:`datatables_bundle`."""
    return (files("itables") / "html" / "dt_bundle.css").read_text("utf-8")


def inert(key: str, text: str) -> str:
    """A script element that holds a text as a JSON string, which no text can break out of."""
    quoted = _MARKUP.sub(lambda found: "\\u003c", json.dumps(text, ensure_ascii=False))
    return f'<script type="application/json" id="{key}">{quoted}</script>'
