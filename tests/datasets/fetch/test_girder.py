"""A release in the folders of a Girder arrives whole, file by file, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import datasets
from datasets import DatasetError, acdc, camus, decathlon
from datasets.fetch import fetch, source

ACDC_ID = acdc.SOURCE.folders["."]
IMAGE = "training/patient001/patient001_frame01.nii.gz"


@pytest.fixture
def release(tmp_path, acdc_patient):
    """Two patients of ACDC, as they lie on the server."""
    top = tmp_path / "theirs"
    acdc_patient(top / "training/patient001")
    acdc_patient(top / "testing/patient101", ed=1, es=9)
    (top / "MANDATORY_CITATION.md").write_text("Bernard et al.")
    return top


@pytest.fixture
def served(girder, release):
    girder.offer(release, ACDC_ID)
    return girder


@pytest.fixture
def get(tmp_path, retries):
    """Fetch to a data root of the test's own."""

    def run(girder, name="acdc", report=lambda *_: None):
        return fetch(name, tmp_path / "data", base=girder.base, retries=retries, report=report)

    return run


def contents(folder) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(get, girder, tmp_path, match: str, name: str = "acdc") -> None:
    """The fetch fails, and nothing is there that could be taken for the dataset."""
    with pytest.raises(DatasetError, match=match):
        get(girder, name)
    assert datasets.find(name, tmp_path / "data") is None
    assert [path.name for path in (tmp_path / "data").iterdir()] == [f".{name}.fetch"]


def test_everything_arrives(served, get, release, tmp_path):
    steps = []
    folder = get(served, report=lambda *step: steps.append(step))
    assert folder == tmp_path / "data/ACDC"
    assert contents(folder) == contents(release)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["ACDC"]
    total = sum(map(len, contents(release).values()))
    assert ("downloading", total, total) in steps
    assert ("listing folders", 5, None) in steps
    assert len(datasets.read_cases("acdc", folder)) == 4


def test_the_two_folders_of_camus(girder, get, tmp_path, camus_patient):
    nifti, split = tmp_path / "nifti", tmp_path / "split"
    camus_patient(nifti / "patient0001")
    for side, patients in (("training", "patient0001\n"), ("validation", ""), ("testing", "")):
        split.mkdir(exist_ok=True)
        (split / f"subgroup_{side}.txt").write_text(patients)
    girder.offer(nifti, camus.SOURCE.folders["database_nifti"])
    girder.offer(split, camus.SOURCE.folders["database_split"])
    cases = datasets.read_cases("camus", get(girder, "camus"))
    assert len(cases) == 4
    assert {case.metadata["official"] for case in cases} == {"training"}


def test_long_lists_come_page_by_page(girder, get, tmp_path, acdc_patient):
    top = tmp_path / "theirs"
    acdc_patient(top / "training/patient001")
    for number in range(2, 103):  # three pages of folders
        (top / f"training/extra{number}").mkdir()
    for number in range(50):  # with the patient's own files more than one page of items
        (top / f"training/patient001/note{number}.txt").write_text("note")
    girder.offer(top, ACDC_ID)
    folder = get(girder)
    assert len(list((folder / "training").iterdir())) == 102
    assert contents(folder) == contents(top)


def test_cut_connections(served, get, release, reply):
    """Every file is cut in its middle once."""
    for id, whole in served.files.items():
        replies = [replace(whole, cut=len(whole.content) // 2), whole]
        served.server.routes[f"/api/v1/file/{id}/download"] = replies
    assert contents(get(served)) == contents(release)


def test_the_next_call_fetches_only_what_is_missing(served, get, release, tmp_path):
    served.change(IMAGE, status=404)
    refused(get, served, tmp_path, "answered 404")
    served.change(IMAGE, status=200)
    there = set(contents(tmp_path / "data/.acdc.fetch/tree/ACDC"))
    served.server.asked.clear()
    assert contents(get(served)) == contents(release)
    missing = contents(release).keys() - there
    assert IMAGE in missing
    assert sorted(served.downloads()) == sorted(f"{served.ids[name]}f" for name in missing)
    listed = [path for path, _ in served.server.asked if path.endswith("/files")]
    assert len(listed) == len(missing)


def test_a_file_shorter_than_listed(served, get, tmp_path, release):
    served.change(IMAGE, content=(release / IMAGE).read_bytes()[:-10])
    refused(get, served, tmp_path, "expected a file of .* bytes, the server offers")


@pytest.mark.parametrize("change", ["not packed", "flipped", "cut"])
def test_a_file_that_does_not_unpack(served, get, tmp_path, release, change):
    packed = (release / IMAGE).read_bytes()
    content = {
        "not packed": b"<html>" + bytes(len(packed) - 6),
        "flipped": packed[:-20] + bytes([packed[-20] ^ 1]) + packed[-19:],
        "cut": packed[:-10] + bytes(10),
    }[change]
    served.change(IMAGE, content=content)
    refused(get, served, tmp_path, "is damaged or no gzip file")
    served.change(IMAGE, content=packed)
    assert contents(get(served)) == contents(release)


def test_an_empty_image(served, get, tmp_path, release):
    id = served.ids[IMAGE]
    served.change(IMAGE, content=b"")
    served.listed[f"files {id}"][0]["size"] = 0
    refused(get, served, tmp_path, "it is empty")


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "..", "a/b", "a\\b", ""])
@pytest.mark.parametrize("kind", ["folders", "items", "files"])
def test_names_that_leave_the_folder(served, get, tmp_path, kind, name):
    key = {
        "folders": f"folders {ACDC_ID}",
        "items": f"items {ACDC_ID}",
        "files": f"files {served.ids['MANDATORY_CITATION.md']}",
    }[kind]
    served.listed[key][0]["name"] = name
    refused(get, served, tmp_path, "would lie outside")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content", [b"<html>", b"{}1", b'{"message": "no"}', b"[1]", b'[{"_id": 1}]']
)
def test_an_answer_that_is_no_list(served, get, tmp_path, reply, content):
    served.server.put("/api/v1/folder", reply(content))
    refused(get, served, tmp_path, "expected a list as Girder gives it|broken entries")


@pytest.mark.parametrize("broken", [{"size": -1}, {"size": "9"}, {"_id": "../1"}, {"_id": 7}])
def test_broken_entries(served, get, tmp_path, broken):
    served.listed[f"items {ACDC_ID}"][0] |= broken
    refused(get, served, tmp_path, "broken entries|as Girder gives it")


def test_an_item_listed_twice(served, get, tmp_path):
    items = served.listed[f"items {ACDC_ID}"]
    items.append({**items[0], "_id": "another"})
    refused(get, served, tmp_path, "twice in one folder")


def test_two_items_with_the_same_file(served, get, tmp_path):
    own = served.ids["training/patient001/Info.cfg"]
    served.listed[f"files {own}"][0]["name"] = "MANDATORY_CITATION.md"
    refused(get, served, tmp_path, "twice in one folder")


def test_the_same_page_for_ever(served, get, tmp_path, reply):
    page = [{"_id": f"x{n}", "name": f"n{n}", "size": 0} for n in range(50)]
    served.server.put("/api/v1/item", reply(json.dumps(page).encode()))
    refused(get, served, tmp_path, "the same page")


def test_folders_without_end(served, get, tmp_path):
    def deeper(query):
        from_server = served.server.routes["/api/v1/item"]
        assert from_server
        id = query["parentId"] + "x"
        content = json.dumps([{"_id": id, "name": "deeper"}]).encode()
        return replace(next(iter(served.files.values())), content=content)

    served.server.routes["/api/v1/folder"] = deeper
    served.server.routes["/api/v1/item"] = lambda _: replace(
        next(iter(served.files.values())), content=b"[]"
    )
    refused(get, served, tmp_path, "folders in one another")


@pytest.mark.parametrize("limit", [{"most_files": 5}, {"most_bytes": 100}])
def test_more_than_a_release_can_have(served, get, tmp_path, monkeypatch, limit):
    monkeypatch.setattr(acdc, "SOURCE", replace(acdc.SOURCE, **limit))
    refused(get, served, tmp_path, "far more than the release has")


def test_what_the_disk_cannot_hold_is_not_begun(served, get, tmp_path):
    served.listed[f"items {ACDC_ID}"][0]["size"] = 19 << 30
    usage = type("Usage", (), {"free": 1 << 30})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: usage)
        refused(get, served, tmp_path, "are needed")
    assert served.downloads() == []


def test_lists_are_asked_for_again(served, get, release, reply):
    whole = served.server.routes["/api/v1/folder"]
    troubles = [reply(status=500), reply(b"[", length="99", cut=1)]
    served.server.routes["/api/v1/folder"] = lambda query: (
        troubles.pop() if troubles else whole(query)
    )
    assert contents(get(served)) == contents(release)


def test_what_is_not_the_release_is_not_published(served, get, tmp_path):
    """A mask is missing on the server: the loader refuses before the folder gets its name."""
    items = served.listed[f"items {served.ids['training/patient001']}"]
    items[:] = [item for item in items if not item["name"].endswith("frame01_gt.nii.gz")]
    refused(get, served, tmp_path, "frame01_gt.nii.gz is missing")


def test_something_else_entirely(served, get, tmp_path):
    served.listed[f"folders {ACDC_ID}"].clear()
    refused(get, served, tmp_path, "does not have the layout of ACDC")


def test_an_interruption_ends_all_threads(served, get, tmp_path, release):
    def report(what, done, total):
        if what == "downloading":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(served, report=report)
    assert datasets.find("acdc", tmp_path / "data") is None
    assert contents(get(served)) == contents(release)


def test_one_that_is_there_is_not_overwritten(served, get, tmp_path, acdc_patient):
    mine = acdc_patient(tmp_path / "data/ACDC/training/patient007").parents[1]
    before = contents(mine)
    with pytest.raises(DatasetError, match=r"ACDC is there already and is not overwritten"):
        get(served)
    assert contents(mine) == before
    assert served.server.asked == []


def test_one_under_another_name_is_not_doubled(served, get, tmp_path, acdc_patient):
    acdc_patient(tmp_path / "data/database/training/patient007")
    with pytest.raises(DatasetError, match="database is there already"):
        get(served)


def test_two_at_once(served, get, tmp_path):
    import fcntl

    (tmp_path / "data/.acdc.fetch").mkdir(parents=True)
    with (tmp_path / "data/.acdc.fetch/.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DatasetError, match="being filled by another process"):
            get(served)


@pytest.mark.parametrize("base", ["file:///etc", "ftp://127.0.0.1", "there"])
def test_other_addresses_than_http(tmp_path, base):
    with pytest.raises(DatasetError, match="http:// or https://"):
        fetch("acdc", tmp_path / "data", base=base, report=lambda *_: None)
    assert not (tmp_path / "data").exists()


def test_a_dataset_without_a_source(monkeypatch):
    monkeypatch.delattr(decathlon, "SOURCE")
    with pytest.raises(DatasetError, match="no source is known"):
        source("decathlon")


@pytest.mark.parametrize("name", datasets.NAMES)
def test_every_dataset_says_how_it_is_fetched(name):
    assert source(name).base.startswith("https://")
    assert f"python -m benchmark data fetch {name}" in datasets.info(name).instructions
