"""The report of many runs: how long it takes to write, how big its page is, how fast it opens."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.race import ROOT
from tests.report.site_browser import chromium, lacking, visit
from tests.report.site_results import write_results

RUNS, CASES = 500, 200
OPENINGS = 7
GOAL_REPORT_S, GOAL_PAGE_MB, GOAL_OPEN_S = 60.0, 15.0, 2.0
COLUMNS = ("of the report", "measured", "goal")
# In a process of its own, as `python -m benchmark report` is: with its imports.
WRITE = """
import json, os, resource, sys
from pathlib import Path
from rich.console import Console
from benchmark.records import read_records
from benchmark.reporting import show, write
results, console = Path(sys.argv[1]), Console(file=open(os.devnull, "w"))
material, files = write(read_records(results), results, console)
show(material, console)
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
peak_kib = sum(one.ru_maxrss for one in used)  # of this process, and of its largest helper
print(json.dumps({"files": len(files), "peak_mib": peak_kib / 1024}))
"""
# Milliseconds since the navigation began.
CLOCK = """() => ({
  parsed: performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd,
  painted: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN,
})"""


def rows(folder: Path, *, runs: int = RUNS, cases: int = CASES) -> list[tuple[str, str, str]]:
    """What a report of made-up runs costs, as printed.

    Args:
        folder: For the results; empty.
        runs: How many runs there are.
        cases: How many cases each has tested.
    """
    write_results(folder, runs=runs, cases=cases)
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(folder)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    wall_s = time.perf_counter() - begin
    said = json.loads(done.stdout.splitlines()[-1])
    page = folder / "report" / "index.html"
    beside = sum(path.stat().st_size for path in (folder / "report").rglob("*") if path.is_file())
    table = [
        ("runs × cases", f"{runs} × {cases}", ""),
        ("written in", f"{wall_s:.1f} s", f"{GOAL_REPORT_S:.0f} s"),
        ("peak memory, with one helper", f"{said['peak_mib']:.0f} MiB", ""),
        ("page", f"{page.stat().st_size / 1e6:.2f} MB", f"{GOAL_PAGE_MB:.0f} MB"),
        ("all files", f"{beside / 1e6:.0f} MB in {said['files']}", ""),
    ]
    if why := lacking():
        return [*table, ("opened in", f"not measured: {why}", f"{GOAL_OPEN_S:.0f} s")]
    return [*table, *_openings(page)]


def _openings(page: Path) -> list[tuple[str, str, str]]:
    """Seconds until a browser has read the page, painted, and its tables stand."""
    spent: dict[str, list[float]] = {"parsed": [], "painted": [], "ready": []}
    with chromium() as browser:
        for _ in range(OPENINGS):
            with visit(browser, page) as visited:
                spent["ready"].append(visited.ready_s)
                for name, value in visited.page.evaluate(CLOCK).items():
                    spent[name].append(value / 1000)
    names = {"parsed": "read (DOMContentLoaded)", "painted": "first painted", "ready": "tables"}
    return [
        (names[name], f"{statistics.median(times):.2f} s (at most {max(times):.2f})",
         f"{GOAL_OPEN_S:.0f} s")
        for name, times in spent.items()
    ]  # fmt: skip
