"""The page of five hundred runs of two hundred cases each: small, and it works.

How fast it opened is printed; ``python -m tests.bench --only site`` measures writing and opening.
"""

from __future__ import annotations

import pytest

from tests.report.site_browser import chromium, lacking, visit
from tests.report.site_results import NETWORKS, write_page, write_results

pytestmark = pytest.mark.faults

RUNS, CASES = 500, 200
MOST_BYTES = 15_000_000
LINES_AT_ONCE = 200  # of the list of cases, at the very most


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    results = tmp_path_factory.mktemp("many")
    return write_page(results, write_results(results, runs=RUNS, cases=CASES))


def test_page_stays_small(many):
    page, groups = many
    assert sum(len(group.runs) for group in groups) == RUNS
    assert page.stat().st_size < MOST_BYTES


@pytest.mark.skipif(bool(lacking()), reason=lacking())
def test_all_of_it_can_be_looked_through(many, capsys):
    page, groups = many
    with chromium() as browser, visit(browser, page) as visited:
        with capsys.disabled():  # to be read, and no test: machines differ
            size_mb = page.stat().st_size / 1e6
            print(f"{size_mb:.2f} MB, opened in {visited.ready_s:.2f} s")  # noqa: T201
        for group in groups:
            rows = visited.page.locator(f"#{group.slug} .board button.more")
            failed = [run for run in group.runs if not run.ok]
            assert rows.count() >= len(NETWORKS) + len(failed)
            cases = visited.page.locator(f"#{group.slug} .cases")
            lines = cases.locator("tbody tr")
            assert 0 < lines.count() <= LINES_AT_ONCE
            name = sorted(group.cases["case"].unique())[-1]
            cases.locator("input[type=search]").fill(name)
            assert lines.count() == 1
            assert name in lines.first.inner_text()
        visited.page.evaluate("window.drawCharts()")
        assert visited.page.locator(".charts svg").count() > 4 * len(groups)
        assert visited.complaints == []
        assert visited.strangers(page.parent) == []
