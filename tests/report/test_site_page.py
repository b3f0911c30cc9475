"""The page as a file: whole, by itself, and with nothing in it that a name could break."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from benchmark.report import write_report
from benchmark.report.material import gather


class _Page(HTMLParser):
    """Collects what a browser would load, links, and texts by element."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.texts, self.ids, self._open = [], [], [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.loads += [found[n] for n in ("src", "srcset", "data", "poster") if n in found]
        if tag == "link":
            self.loads.append(found["href"])
        if tag == "a":
            self.links.append(found["href"])
        self._open = found.get("id") if tag == "script" else None

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open:
            self.ids[self._open] = data
        self.texts.append(data)


@pytest.fixture
def write(finished, clinical, tmp_path):
    def make(records, **options):
        records, cases, epochs = finished(records, side=64, patients=5)
        for one in records:
            one["path"].mkdir(parents=True, exist_ok=True)
            (one["path"] / "record.json").write_text(json.dumps({"key": one["key"]}))
        endpoints = clinical(records, patients=5)
        material = gather(tmp_path, records, cases, epochs, endpoints)
        files = write_report(material, formats=("svg",), **options)
        text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
        return files, text, _Page(text)

    return make


def test_page_loads_nothing_and_links_to_files_that_are_there(write, record, tmp_path):
    records = [record(tmp_path, name, "acdc", "real") for name in ("unet", "vnet")]
    records += [record(tmp_path, "deeplabv3", "acdc", "real", status="oom")]
    files, _, page = write(records)
    assert [load for load in page.loads if not load.startswith("data:")] == []
    folder = tmp_path / "report"
    local = [link for link in page.links if not re.match(r"#|https?://", link)]
    assert {"METHODOLOGY.md", "leaderboard.csv", "figures/dice_acdc_real.svg"} <= set(local)
    for link in local:
        assert (folder / link).is_file(), link
    assert folder / "index.html" in files
    data = json.loads(page.ids["page"])
    (group,) = data["groups"]
    assert [row["status"] for row in group["rows"]] == ["ok", "ok", "oom"]
    for row in group["rows"]:
        for run in row["runs"]:
            assert (folder / run["files"]["record"]).is_file()


def test_terms_of_the_data_and_the_method_are_on_the_page(write, record, tmp_path):
    import datasets

    _, text, page = write([record(tmp_path, "unet", "acdc", "real")])
    said = " ".join(" ".join(page.texts).split())
    info = datasets.info("acdc")
    assert " ".join(info.citation.split()) in said
    assert " ".join(info.licence.split()) in said
    assert "95 % bootstrap interval over patients" in said
    assert "PHANTOM" not in text.split('<script type="application/json"')[0].split("</style>")[1]


def test_phantoms_are_marked_before_anything_else(write, record, tmp_path):
    records = [record(tmp_path, "unet", "acdc", "real"), record(tmp_path, "unet", "camus")]
    _, text, page = write(records)
    said = " ".join(page.texts)
    assert "Some of these scores are of synthetic hearts" in said
    body = text.split("</head>")[1]
    assert body.index("Some of these scores") < body.index('class="group"')
    marked = [group["phantom"] for group in json.loads(page.ids["page"])["groups"]]
    assert marked == [False, True]
    assert text.count("Phantom data: synthetic hearts, not patients") >= 1


def test_a_hostile_text_stays_text(write, record, tmp_path):
    failed = record(tmp_path, "vnet", "acdc", "real", status="error")
    failed["error"] = "</script><img src=x onerror=alert(1)>"
    _, text, page = write([record(tmp_path, "unet", "acdc", "real"), failed])
    assert "<img" not in text.split("</style>")[1].split('id="library')[0]
    (group,) = json.loads(page.ids["page"])["groups"]
    assert group["rows"][-1]["error"] == failed["error"]


def test_page_is_made_of_the_records_alone(write, record, tmp_path):
    records = [record(tmp_path, "unet", "acdc", "real")]
    _, first, _ = write(records)
    _, second, _ = write(records)
    assert first == second


def test_tables_alone_make_no_page(finished, record, tmp_path):
    records, cases, epochs = finished([record(tmp_path, "unet")], slices=False)
    write_report(gather(tmp_path, records, cases, epochs, pd.DataFrame()), formats=())
    assert not (tmp_path / "report" / "index.html").exists()
