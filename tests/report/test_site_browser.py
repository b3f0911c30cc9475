"""The page in a real browser: what a reader does with it, and who is able to.

The pictures it takes are kept in ``BENCHMARK_SCREENSHOTS``, where that is set, to be looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.report.groups import Group
from tests.report.site_browser import Visit, chromium, lacking, visit
from tests.report.site_results import write_page, write_results

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())

WIDE, PHONE = 1440, 390
A4_PX = 718  # 190 mm between the margins, at 96 pixels per inch
ROWS = """(slug) => [...document.querySelectorAll(`#${slug} .board button.more`)].map((button) =>
  [button.innerText, [...button.closest("tr").cells].map((cell) => cell.innerText.trim())])"""
# Of every picture that is shown: how far its pixels spread, read from a small copy of it.
SPREAD = """() => [...document.querySelectorAll(".cases-viewer canvas")]
  .filter((canvas) => canvas.checkVisibility() && canvas.width).map((canvas) => {
    const copy = new OffscreenCanvas(64, 64).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0, 64, 64);
    const grey = [...copy.getImageData(0, 0, 64, 64).data].filter((_, i) => i % 4 === 0);
    const mean = grey.reduce((a, b) => a + b, 0) / grey.length;
    return Math.sqrt(grey.reduce((a, b) => a + (b - mean) ** 2, 0) / grey.length);
  })"""


FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
PRINTED = """() => new Promise((done) => {
  dispatchEvent(new Event("beforeprint"));
  setTimeout(() => done(document.querySelectorAll(".chart-canvas svg").length));
})"""


@dataclass(frozen=True)
class Site:
    """A page, and the groups that it shows."""

    page: Path
    groups: dict[str, Group]

    @property
    def real(self) -> Group:
        """A group of real ACDC files."""
        return next(g for g in self.groups.values() if g.dataset == "acdc" and not g.phantom)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    results = tmp_path_factory.mktemp("site")
    records = write_results(results, runs=25, cases=12, pictures=True)
    page, groups = write_page(results, records)
    return Site(page, {group.slug: group for group in groups})


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def open_page(browser, site) -> Iterator[Callable[..., Visit]]:
    """Opens the page; in the end none may have complained, nor asked for anything elsewhere."""
    with ExitStack() as stack:
        visits: list[Visit] = []

        def begin(**options: Any) -> Visit:
            visits.append(stack.enter_context(visit(browser, site.page, **options)))
            return visits[-1]

        yield begin
        for visited in visits:
            assert visited.complaints == []
            assert visited.strangers(site.page.parent) == []


def read_rows(visited: Visit, slug: str) -> dict[str, list[str]]:
    """The cells of each row of a board, by the name of the row, from top to bottom."""
    return dict(visited.page.evaluate(ROWS, slug))


def sort_by(visited: Visit, slug: str, text: str) -> None:
    """Click a heading and wait until the table says that it is sorted otherwise."""
    heading = visited.page.locator(f"#{slug} .board thead th", has_text=text).first
    before = heading.get_attribute("aria-sort")
    heading.click()
    visited.page.wait_for_function(
        "([heading, before]) => heading.getAttribute('aria-sort') !== before",
        arg=[heading.element_handle(), before],
    )


def place(visited: Visit, slug: str, text: str) -> int:
    """Which column has a heading."""
    texts = visited.page.locator(f"#{slug} .board thead th").all_inner_texts()
    return next(index for index, found in enumerate(texts) if text in " ".join(found.split()))


def open_case(visited: Visit, slug: str) -> Any:
    """Open the first case of a group that has pictures; wait until they are drawn."""
    viewer = visited.page.locator(f"#{slug} .cases-viewer")
    visited.page.locator(f"#{slug} .cases tbody button").first.click()
    viewer.locator("canvas").first.wait_for()
    visited.page.wait_for_function(f"({SPREAD})().some((spread) => spread > 5)")
    return viewer


def test_every_run_is_on_the_page_and_failed_ones_say_why(open_page, site):
    visited = open_page()
    for slug, group in site.groups.items():
        shown = read_rows(visited, slug)
        assert len(shown) >= len(group.names)
        for run in group.runs:
            if not run.ok:
                (name,) = (text for text in shown if text.startswith(f"{run.title}, fold"))
                assert run.status in " ".join(shown[name])
                button = visited.page.locator(f"#{slug} .board button.more", has_text=name)
                button.click()
                assert button.get_attribute("aria-expanded") == "true"
                opened = visited.page.locator(f"#{slug} .board .behind").inner_text()
                assert run.error in opened
                assert "python -m benchmark run" in opened
    failed = [run for group in site.groups.values() for run in group.runs if not run.ok]
    assert failed


def test_at_first_ours_stand_by_rank_then_failed_ones_then_published(open_page, site):
    visited, group = open_page(), site.real
    shown = list(read_rows(visited, group.slug))
    failed = [f"{run.title}, fold {run.fold}, seed {run.seed}" for run in group.runs if not run.ok]
    scored = len({run.name for run in group.runs if run.ok})
    column = place(visited, group.slug, "Rank")
    ranks = [_number(cells[column]) for cells in read_rows(visited, group.slug).values()]
    assert ranks[:scored] == sorted(ranks[:scored])
    assert np.isnan(ranks[scored:]).all()
    assert shown[scored : scored + len(failed)] == failed != []
    assert len(shown) > scored + len(failed), "no published results"


def test_published_results_name_their_source_and_can_be_left_out(open_page, site):
    visited = open_page()
    for slug, group in site.groups.items():
        board = visited.page.locator(f"#{slug} .board")
        rows = board.locator("tr.published")
        clinical = visited.page.locator(f"#{slug} .notes.published")
        if group.phantom:
            assert (rows.count(), clinical.count()) == (0, 0)
            continue
        if group.dataset == "camus":  # no Dice of it was read at its source
            assert rows.count() == board.get_by_label("Published results").count() == 0
            assert "mean absolute error 5.6 %" in " ".join(clinical.text_content().split())
            assert clinical.locator("a").get_attribute("href") == "https://arxiv.org/abs/1908.06948"
            continue
        before = rows.count()
        assert before > 0
        rows.first.locator("button.more").click()
        opened = board.locator(".behind")
        printed = re.search(r"As printed: Dice ([0-9.]+) %", opened.inner_text())
        cell = rows.first.locator("td").nth(place(visited, slug, "Dice")).inner_text()
        assert Decimal(cell).as_tuple() == (Decimal(printed[1]).scaleb(-2)).as_tuple()
        assert opened.locator("a").get_attribute("href").startswith("https://")
        board.get_by_label("Published results beside ours").uncheck()
        assert rows.count() == 0
    assert {group.dataset for group in site.groups.values()} == {"acdc", "camus", "decathlon"}


def test_a_heading_sorts_by_its_column_and_back(open_page, site):
    visited, slug = open_page(), site.real.slug
    before = read_rows(visited, slug)
    for text in ("HD95", "Parameters", "Dice"):
        column = place(visited, slug, text)
        directions, unknown = [], []
        for _ in range(2):
            sort_by(visited, slug, text)
            cells = [row[column] for row in read_rows(visited, slug).values()]
            numbers = [_number(cell) for cell in cells]
            known = [number for number in numbers if not np.isnan(number)]
            assert len(known) >= 3
            assert np.isnan(numbers[len(known) :]).all(), "a row without a number stands among them"
            unknown.append(list(read_rows(visited, slug))[len(known) :])
            directions.append((known == sorted(known), known == sorted(known, reverse=True)))
        first = text == "Dice"  # the best first: what is high is good
        assert directions == [(not first, first), (first, not first)], text
        assert unknown[0] == unknown[1] != []
    assert set(read_rows(visited, slug)) == set(before)


def _number(text: str) -> float:
    """The number that a cell begins with, NaN where it has none; k and M behind it count."""
    words = text.replace("–", " ").split()
    try:
        number = float(words[0])
    except (IndexError, ValueError):
        return float("nan")
    return number * {"k": 1e3, "M": 1e6}.get(words[1] if len(words) > 1 else "", 1)


@pytest.mark.parametrize(
    ("structure", "phase", "subgroup"),
    [
        ("mean", "all", "all"),
        ("myocardium", "all", "all"),
        ("left_ventricle", "ES", "all"),
        ("right_ventricle", "ED", "group:MINF"),
    ],
)
def test_choices_show_the_scores_of_just_those_cases(open_page, site, structure, phase, subgroup):
    visited, group = open_page(), site.real
    chosen = {"structure": structure, "phase": phase, "subgroup": subgroup}
    for name, value in chosen.items():
        visited.page.locator(f"#{group.slug} .board select").nth(
            list(chosen).index(name)
        ).select_option(value)
    shown = read_rows(visited, group.slug)
    column = place(visited, group.slug, "Dice")
    cases = group.cases
    if structure != "mean":
        cases = cases[cases["class"] == structure]
    if phase != "all":
        cases = cases[cases["phase"] == phase]
    if subgroup != "all":
        cases = cases[cases["group"] == subgroup.split(":")[1]]
    compared = 0
    for run in group.runs:
        if run.ok:
            mine = cases[cases["run"] == run.key]
            per_case = mine.groupby(["patient", "case"])["dice"].mean()
            expected = per_case.groupby("patient").mean().mean()
            assert _number(shown[run.title][column]) == pytest.approx(expected, abs=6e-4)
            compared += 1
    assert compared >= 3


def test_pictures_of_a_case_are_loaded_when_it_is_opened(open_page, site):
    visited, slug = open_page(), site.real.slug
    assert not [address for address in visited.asked if "/cases/" in address]
    viewer = open_case(visited, slug)
    (loaded,) = {address for address in visited.asked if "/cases/" in address}
    name = viewer.locator("h3").inner_text()
    assert loaded == (site.page.parent / "cases" / slug / f"{name}.js").as_uri()
    spreads = visited.page.evaluate(SPREAD)
    # Image, truth, and a prediction of every network that went well.
    assert len(spreads) == 2 + len({run.name for run in site.real.runs if run.ok})
    assert min(spreads) > 5, "a picture is blank"
    slider = viewer.locator("input[type=range]")
    first = slider.input_value()
    slider.focus()
    visited.page.keyboard.press("End")
    assert slider.input_value() == slider.get_attribute("max") != first
    viewer.get_by_role("button", name="Next").click()
    visited.page.wait_for_function(
        "([slug, name]) => document.querySelector(`#${slug} .cases-viewer h3`).innerText !== name",
        arg=[slug, name],
    )
    viewer.get_by_role("button", name="Close").click()
    assert not viewer.is_visible()


def test_worst_cases_come_first_and_a_search_narrows_them(open_page, site):
    visited, slug = open_page(), site.real.slug
    table = visited.page.locator(f"#{slug} .cases table")
    texts = table.locator("thead th").all_inner_texts()
    column = next(index for index, text in enumerate(texts) if "Mean Dice" in text)
    rows = table.locator("tbody tr")
    scores = [float(row.locator("th, td").nth(column).inner_text()) for row in rows.all()]
    assert scores == sorted(scores)
    assert len(scores) == site.real.cases["case"].nunique()
    patient = str(site.real.cases["patient"].iloc[0])
    visited.page.locator(f"#{slug} .cases input[type=search]").fill(patient)
    assert rows.count() == site.real.cases.query("patient == @patient")["case"].nunique()


def test_the_theme_follows_the_system_and_the_button(open_page):
    colour = "getComputedStyle(document.body).backgroundColor"
    light, dark = open_page(), open_page(theme="dark")
    theme = "document.documentElement.dataset.theme"
    assert (light.page.evaluate(theme), dark.page.evaluate(theme)) == ("light", "dark")
    colours = light.page.evaluate(colour), dark.page.evaluate(colour)
    assert len(set(colours)) == 2
    light.page.locator("#theme").click()
    assert light.page.evaluate(theme) == "dark"
    assert light.page.evaluate(colour) == colours[1]
    light.page.locator("#theme").click()
    assert light.page.evaluate(colour) == colours[0]


def test_the_system_changes_the_theme_until_the_reader_has_chosen(open_page):
    page, theme = open_page().page, "document.documentElement.dataset.theme"
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{theme} === 'dark'")
    button = page.get_by_role("button", name="Dark colours")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert page.evaluate(theme) == "light"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.evaluate(FRAMES)  # listeners are told with a frame
    assert page.evaluate(theme) == "light"
    assert button.get_attribute("aria-pressed") == "false"


def test_print_keeps_banners_tables_and_charts_on_the_paper(open_page, site):
    visited = open_page(width=A4_PX, theme="dark")
    page = visited.page
    page.wait_for_function(
        "Boolean(window.vegaEmbed)"
    )  # which begins when the page has nothing to do
    # A browser takes the page as it is once its listeners have run and all that they promised:
    # charts far below the screen are drawn by then, or are missing on the paper.
    drawn = page.evaluate(PRINTED)
    assert drawn == page.locator(".chart-canvas").count() > 3 * len(site.groups)
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") in (
        "rgb(255, 255, 255)",
        "rgba(0, 0, 0, 0)",
    )
    phantoms = [slug for slug, group in site.groups.items() if group.phantom]
    assert page.locator("body > .banner").first.is_visible()
    for slug in phantoms:
        assert page.locator(f"#{slug} > .banner").is_visible()
    assert not page.locator(".board select, #theme").first.is_visible()
    for slug, group in site.groups.items():
        assert page.locator(f"#{slug} .notes li").first.is_visible(), "notes are on paper unopened"
        assert page.locator(f"#{slug} .board tbody tr").count() >= len(group.names)
        assert page.locator(f"#{slug} .charts svg").count() > 3
    cut = page.evaluate(
        """(width) => [...document.querySelectorAll("main :is(td, th, svg, p, li)")]
      .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > width + 1)
      .map((one) => `${one.closest("section").id}: ${one.innerText?.slice(0, 40)}`)""",
        A4_PX,
    )
    assert cut == []
    paper = page.pdf(format="A4", margin=dict.fromkeys(("left", "right", "top", "bottom"), "10mm"))
    assert paper.startswith(b"%PDF-")
    assert len(paper) > 50_000
    if folder := os.environ.get("BENCHMARK_SCREENSHOTS"):
        (Path(folder) / "site.pdf").write_bytes(paper)


def test_keys_alone_reach_the_choices_and_the_cases(open_page, site):
    visited = open_page()
    page, slug = visited.page, next(iter(site.groups))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    _tab_to(page, f"#{slug} .board select")
    before = read_rows(visited, slug)
    page.keyboard.press("ArrowDown")
    assert read_rows(visited, slug) != before
    _tab_to(page, f"#{slug} .board thead th *, #{slug} .board thead th")
    page.keyboard.press("Enter")
    _tab_to(page, f"#{slug} .board button.more")
    page.keyboard.press("Enter")
    assert page.locator(f"#{slug} .board .behind").is_visible()
    _tab_to(page, f"#{slug} .cases tbody button")
    name = page.evaluate("document.activeElement.innerText")
    page.keyboard.press("Enter")
    viewer = page.locator(f"#{slug} .cases-viewer")
    viewer.locator("canvas").first.wait_for()
    assert viewer.locator("h3").inner_text() == name
    page.keyboard.press("Escape")
    assert not viewer.is_visible()
    assert page.evaluate("document.activeElement.innerText") == name


def _tab_to(page: Any, selector: str, most: int = 120) -> None:
    for _ in range(most):
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{selector} is not among the first {most} stops of the tab key")


# What both themes share is seen in one width each; `make faults` looks at all four.
@pytest.mark.parametrize(
    ("width", "theme"),
    [
        (WIDE, "light"),
        (PHONE, "dark"),
        pytest.param(WIDE, "dark", marks=pytest.mark.faults),
        pytest.param(PHONE, "light", marks=pytest.mark.faults),
    ],
)
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_screen(
    open_page, site, width, theme
):
    from axe_playwright_python.sync_playwright import Axe

    visited = open_page(width=width, theme=theme)
    page, slug = visited.page, site.real.slug
    page.locator(f"#{slug} .board button.more").first.click()
    open_case(visited, slug)
    page.evaluate("window.drawCharts()")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if folder := os.environ.get("BENCHMARK_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"site-{width}-{theme}.png", full_page=True)
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response
    assert found["testEngine"]["name"] == "axe-core"
    grave = [
        (one["id"], one["help"], [node["target"] for node in one["nodes"]][:5])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert grave == []
