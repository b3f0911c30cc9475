"""The page where something is unusual or goes wrong, in a real browser.

Libraries, pictures and a clipboard that are not to be had; tables of one row, of many, of none, of
several protocols; and what leaves the page as a file.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark.report.groups import Group
from tests.report.site_browser import Visit, chromium, lacking, visit
from tests.report.site_results import write_page, write_results

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())

A4_PX = 718  # 190 mm between the margins, at 96 pixels per inch
DATA = re.compile(r'(<script type="application/json" id="page">)(.*?)(</script>)', re.DOTALL)
FOCUSED = "document.activeElement.innerText || document.activeElement.type"
HELD = """([key, held]) => document.querySelector(".cases-panels").dispatchEvent(
  new KeyboardEvent("keydown", { key, altKey: held, bubbles: true, cancelable: true }))"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> tuple[Path, list[Group]]:
    results = tmp_path_factory.mktemp("odd")
    return write_page(results, write_results(results, runs=7, cases=4, pictures=True))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def find(groups: list[Group], *, phantom: bool = False) -> str:
    """Slug of the ACDC group with a failed run (the phantoms) or with two that went well."""
    of_acdc = [group for group in groups if group.dataset == "acdc" and group.phantom == phantom]
    return max(of_acdc, key=lambda group: len(group.runs)).slug


def vary(page: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """The same page beside it with other data: ``change`` is called with each group."""
    text = page.read_text(encoding="utf-8")
    found = DATA.search(text)
    assert found
    data = json.loads(found[2])
    for group in data["groups"]:
        change(group)
    said = json.dumps(data).replace("<", "\\u003c")
    other = page.with_name(f"{name}.html")
    other.write_text(text[: found.start(2)] + said + text[found.end(2) :], encoding="utf-8")
    return other


def names_of(visited: Visit, slug: str) -> list[str]:
    return visited.page.locator(f"#{slug} .board button.more").all_inner_texts()


def csv_of(visited: Visit, slug: str) -> str:
    with visited.page.expect_download() as download:
        visited.page.locator(f"#{slug} .board").get_by_role("button", name="CSV").click()
    return Path(download.value.path()).read_text(encoding="utf-8")


def test_without_libraries_the_page_says_where_its_numbers_are(browser, site):
    page, groups = site
    broken = "URL.createObjectURL = () => 'blob:null/nothing'"
    with visit(browser, page, before=broken) as visited:
        visited.page.wait_for_selector(".charts .banner")
        for container in ("board", "charts"):
            for group in groups:
                notice = visited.page.locator(f"#{group.slug} .{container} .banner")
                assert notice.locator("a").all_inner_texts()[:2] == [
                    "leaderboard.md",
                    "leaderboard.csv",
                ]
        assert all("blob:null/nothing" in said for said in visited.complaints)
        assert visited.page.locator(f"#{groups[0].slug} .cases tbody tr").count() > 0


@pytest.mark.parametrize(
    "clipboard", ["undefined", "{ writeText: () => Promise.reject(new Error('refused')) }"]
)
def test_a_command_that_cannot_be_copied_is_selected(browser, site, clipboard):
    page, groups = site
    absent = f"Object.defineProperty(navigator, 'clipboard', {{ value: {clipboard} }})"
    with visit(browser, page, before=absent) as visited:
        board = visited.page.locator(f"#{find(groups)} .board")
        board.locator("button.more").first.click()
        behind = board.locator(".behind")
        behind.get_by_role("button", name="Copy").click()
        behind.get_by_text("does not let the page copy").wait_for()
        chosen = visited.page.evaluate("getSelection().toString()")
        assert chosen.strip() == behind.locator("pre").first.inner_text().strip()
        assert "python -m benchmark run" in chosen
        assert visited.complaints == []


def test_a_table_taken_elsewhere_says_what_it_is_of(browser, site):
    page, groups = site
    real, phantom = find(groups), find(groups, phantom=True)
    titles = {group.slug: group.title for group in groups}
    with visit(browser, page) as visited:
        visited.page.locator(f"#{real}-structure").select_option("myocardium")
        text = csv_of(visited, real)
        notes = [line for line in text.splitlines() if line.startswith("# ")]
        assert notes[0] == f"# {titles[real]}"
        assert "# Scores of: myocardium, All phases, All cases" in notes
        assert any("those of the mean over all cases" in note for note in notes)
        rows = pd.read_csv(io.StringIO(text), comment="#")
        sources = rows["Source"].tolist()
        ours = sources.count("this benchmark")
        assert ours == sum(len(group.runs) for group in groups if group.slug == real)
        assert set(sources[:ours]) == {"this benchmark"}
        assert len(sources) > ours, "no published row"
        assert all(source.startswith("published: ") for source in sources[ours:])
        assert not rows["Architecture"].str.contains("published").any()
        assert csv_of(visited, phantom).startswith("# PHANTOM: synthetic hearts, not patients\n")


def test_rows_of_several_protocols_stand_as_they_come(browser, site):
    page, groups = site
    slug = find(groups)

    def mix(group):
        group["mixed"] = True
        group["literature"] = []
        group["rows"].reverse()  # the worst first, which no order by Dice would give
        for row in group["rows"]:
            row |= {"tier": None, "rank": None, "ranks": "—", "best": [None, "—"]}

    with visit(browser, vary(page, "mixed", mix)) as visited, visit(browser, page) as usual:
        ours = [name for name in names_of(usual, slug) if "net" in name.lower()]
        shown = names_of(visited, slug)
        assert len(shown) == 2
        assert shown == [name for name in reversed(ours) if name in shown]
        assert visited.page.locator(".board th[aria-sort]").count() == 0
        assert "nothing is ranked" in csv_of(visited, slug)
        assert visited.complaints == []


@pytest.mark.parametrize("count", [0, 1, 20])
def test_a_table_has_any_number_of_rows_with_names_of_any_length(browser, site, count):
    page, groups = site
    slug = find(groups)

    def repeat(group):
        title = "A network with a name that goes on and on (" + "options=" * 12 + ")"
        rows = [
            row | {"title": f"{number} {title}"}
            for number in range(count)
            for row in group["rows"][:1]
        ]
        group |= {"rows": rows, "literature": []}

    with visit(browser, vary(page, f"rows{count}", repeat), width=390) as visited:
        assert len(names_of(visited, slug)) == count
        if not count:
            assert "No rows" in visited.page.locator(f"#{slug} .board tbody").inner_text()
        visited.page.locator(f"#{slug}-structure").select_option("myocardium")
        visited.page.locator(f"#{slug} .board thead th", has_text="Dice").click()
        assert visited.page.evaluate("document.documentElement.scrollWidth") <= 390
        assert visited.complaints == []


def test_a_sheet_of_paper_holds_every_column_there_can_be(browser, site):
    page, _ = site

    def widen(group):
        more = {"GPU memory (MiB)": "81920", "SD seeds": "0.0123", "SD folds": "0.0123"}
        group["columns"] += [{"id": title, "title": title} for title in more]
        for row in group["rows"]:
            row["title"] += " (filters=24, deep_supervision=true, normalisation=instance)"
            if "costs" in row:
                row["costs"] |= {title: [1, text] for title, text in more.items()}

    with visit(browser, vary(page, "wide", widen), width=A4_PX) as visited:
        visited.page.emulate_media(media="print")
        tables = visited.page.locator(".board table.dataTable")
        right = "(tables) => tables.map((table) => table.getBoundingClientRect().right)"
        assert max(tables.evaluate_all(right)) <= A4_PX + 1


def test_rows_made_elsewhere_have_neither_fold_nor_command(browser, site):
    page, groups = site
    slug = find(groups)

    def elsewhere(group):
        for row in group["rows"]:
            row["external"] = True
            row["reproduce"] = {"commands": [], "note": "Its masks came as files."}
            for run in row["runs"]:
                run["fold"] = run["seed"] = None

    with visit(browser, vary(page, "elsewhere", elsewhere)) as visited:
        board = visited.page.locator(f"#{slug} .board")
        board.locator("button.more").first.click()
        behind = board.locator(".behind")
        assert "Its masks came as files." in behind.inner_text()
        assert behind.get_by_role("button", name="Copy").count() == 0
        assert behind.locator(".runs tbody td").all_inner_texts()[:2] == ["—", "—"]
        viewer = open_case(visited, slug)
        said = viewer.locator(".cases-run").first
        assert said.inner_text() == "predicted elsewhere, record"
        record = page.parent / said.locator("a").get_attribute("href")
        assert record.resolve().name == "record.json"
        assert record.exists()
        assert visited.complaints == []


def open_case(visited: Visit, slug: str, name: str = "") -> Any:
    """Open a case, the first if none is named; wait until its controls are there."""
    cases = visited.page.locator(f"#{slug} .cases")
    cases.locator("tbody button", has_text=name).first.click()
    cases.locator(".cases-viewer .cases-tools").wait_for()
    return cases.locator(".cases-viewer")


def test_a_phase_that_cannot_be_loaded_leaves_the_other_and_can_be_tried_again(browser, site):
    page, groups = site
    slug = find(groups)
    diastole, systole = sorted((page.parent / "cases" / slug).glob("*.js"))[:2]
    assert (diastole.stem[-3:], systole.stem[-3:]) == ("_ED", "_ES")
    away = systole.rename(systole.with_suffix(".away"))
    with visit(browser, page) as visited:
        try:
            viewer = open_case(visited, slug, diastole.stem)
            viewer.get_by_role("button", name="Show ES").click()
            fault = viewer.locator("[role=alert]")
            fault.get_by_text("found none").wait_for()
            assert viewer.locator("h3").inner_text() == diastole.stem
            assert viewer.locator("canvas").first.is_visible()
        finally:
            away.rename(systole)
        viewer.get_by_role("button", name="Show ES").click()
        viewer.get_by_role("button", name="Show ED").wait_for()
        assert viewer.locator("h3").inner_text() == systole.stem
        assert fault.inner_text() == ""
        (said,) = visited.complaints
        assert "ERR_FILE_NOT_FOUND" in said


def test_a_case_that_cannot_be_loaded_leaves_nothing_to_play(browser, site):
    page, groups = site
    slug = find(groups)
    first = min((page.parent / "cases" / slug).glob("*.js"))
    away = first.rename(first.with_suffix(".away"))
    try:
        with visit(browser, page) as visited:
            cases = visited.page.locator(f"#{slug} .cases")
            cases.locator("tbody button", has_text=first.stem).click()
            cases.get_by_text("found none").wait_for()
            assert not cases.get_by_role("button", name="Play").first.is_visible()
            visited.page.keyboard.press("Escape")
            assert visited.page.evaluate(FOCUSED) == first.stem
            assert len(visited.complaints) == 1
    finally:
        away.rename(first)


def test_playing_waits_for_pictures_that_are_on_their_way(browser, site):
    page, groups = site
    slug = find(groups)
    with visit(browser, page) as visited:
        viewer = open_case(visited, slug)
        name = viewer.locator("h3").inner_text()
        next_, slices, phases, other = (
            viewer.get_by_role("button", name=text).element_handle()
            for text in ("Next", "Play Slices", "Play ED", "Show E")
        )
        clicks = "(buttons) => buttons.forEach((button) => button.click())"
        visited.page.evaluate(clicks, [next_, slices, phases, other])
        assert viewer.locator("h3").inner_text() != name
        viewer.locator(".cases-panels:not([aria-busy])").wait_for()
        assert slices.inner_text() == "▶ Slices"
        slices.click()
        assert slices.get_attribute("aria-label") == "Stop"
        slices.click()
        assert visited.complaints == []


def test_keys_and_focus_stay_with_the_reader(browser, site):
    page, groups = site
    slug = find(groups)
    with visit(browser, page) as visited:
        viewer = open_case(visited, slug)
        panels = f"#{slug} .cases-panels"
        held = HELD.replace(".cases-panels", panels)
        # dispatchEvent says whether the browser may go on with what the key means to it.
        assert visited.page.evaluate(held, ["ArrowLeft", True]) is True
        assert visited.page.evaluate(held, ["ArrowLeft", False]) is False
        forward = viewer.get_by_role("button", name="Next")
        cases = len(list((page.parent / "cases" / slug).glob("*.js")))
        for _ in range(cases - 1):
            assert forward.get_attribute("aria-disabled") == "false"
            forward.click()
        assert forward.get_attribute("aria-disabled") == "true"
        assert "Next" in visited.page.evaluate(FOCUSED)
        last = viewer.locator("h3").inner_text()
        forward.dispatch_event("click")
        assert viewer.locator("h3").inner_text() == last
        visited.page.locator(f"#{slug} .cases input[type=search]").fill("no case has this name")
        viewer.get_by_role("button", name="Close").click()
        assert visited.page.evaluate(FOCUSED) == "search"
        assert visited.complaints == []


def test_keys_scroll_the_page_where_a_case_has_a_single_slice(browser, site):
    page, groups = site
    slug = next(group.slug for group in groups if group.dataset == "camus")
    with visit(browser, page) as visited:
        viewer = open_case(visited, slug)
        held = HELD.replace(".cases-panels", f"#{slug} .cases-panels")
        assert visited.page.evaluate(held, ["ArrowDown", False]) is True
        assert not viewer.locator("input[type=range]").is_visible()


def test_a_chart_that_cannot_be_saved_says_so(browser, site):
    page, _ = site
    with visit(browser, page) as visited:
        visited.page.wait_for_function("Boolean(window.vegaEmbed)")
        broken = "() => { window.vegaEmbed = () => Promise.reject(new Error('no room')); }"
        visited.page.evaluate(broken)
        chart = visited.page.locator(".chart").last
        chart.get_by_role("button", name="PNG").click()
        chart.get_by_text("PNG could not be saved: no room").wait_for()
        assert not [said for said in visited.complaints if "no room" not in said]
