"""`make bench`: our networks against PyTorch's on this machine, the input pipeline, the report.

One step of ours, one of theirs, and so on: what disturbs the machine disturbs both. It is no test.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.bench import pipeline, report, site
from tests.bench.race import KINDS, ROOT, race
from tests.bench.settings import PRECISIONS, REFERENCE, WIDTHS, say


def main() -> None:
    """Measure, print, and write on request."""
    names = [setting.name for setting in REFERENCE]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", choices=["nets", "pipeline", "site"])
    parser.add_argument("--networks", nargs="+", default=names, choices=names)
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--width", default="reference", choices=list(WIDTHS))
    parser.add_argument("--rounds", type=int, default=9, help="steps of each side (9)")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter with PyTorch")
    parser.add_argument("--against", type=Path, help="race another checkout, not PyTorch")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file too")
    options = parser.parse_args()
    sections: list[report.Section] = []
    if options.only in (None, "nets"):
        results = []
        rates = {}
        if "unet" in options.networks and "float32" in options.precisions and not options.against:
            rates = report.rates(str(ROOT), options.peer_python)
        say(report.HEADER)
        for name in options.networks:
            for precision in options.precisions:
                for result in race(
                    options.width,
                    name,
                    precision,
                    peer_python=options.peer_python,
                    rounds=options.rounds,
                    kinds=options.kinds,
                    other_root=options.against,
                ):
                    say(report.line(result))
                    results.append(result)
        sections += report.networks(results, rates, goals=not options.against)
    if options.only in (None, "pipeline") and not options.against:
        sections.append(pipeline_section())
    if options.only in (None, "site") and not options.against:
        sections.append(site_section())
    for section in sections:
        say(section.text())
    if options.markdown:
        text = "\n".join(section.markdown() for section in sections)
        options.markdown.write_text(text, encoding="utf-8")


def pipeline_section() -> report.Section:
    """The figures of the input pipeline, on phantoms in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [list(row) for row in pipeline.rows(Path(folder))]
    return report.Section("Input pipeline", pipeline.COLUMNS, rows, list(pipeline.NOTES))


def site_section() -> report.Section:
    """The figures of the report, on made-up runs in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [list(row) for row in site.rows(Path(folder) / "results")]
    return report.Section("Report and page", site.COLUMNS, rows)


if __name__ == "__main__":
    main()
