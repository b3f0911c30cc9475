"""What is published can be derived again, and any change to it is found."""

from __future__ import annotations

import io
import shutil

import pandas as pd
import pytest
from rich.console import Console

from benchmark import reporting
from benchmark.cli import main
from benchmark.errors import BenchmarkError
from benchmark.publication.difference import compare_publications
from benchmark.publication.layout import checksums
from benchmark.publication.publish import publish
from benchmark.publication.verify import verify
from benchmark.records import (
    SUMS,
    read_record,
    read_records,
    write_json,
    write_record,
    write_table,
)
from benchmark.report.columns import Printing
from benchmark.reporting import MADE_FROM, made_from


@pytest.fixture
def published(publication, tmp_path):
    """A copy to do harm to."""
    return shutil.copytree(publication, tmp_path / "first")


def reseal(folder):
    """Write the sums anew, as somebody would who changes a number on purpose."""
    (folder / SUMS).write_text("".join(f"{d}  {f}\n" for f, d in checksums(folder).items()))


def test_a_publication_holds_scores_specifications_and_figures_but_no_image(published):
    names = {path.name for path in published.rglob("*")}
    assert {"record.json", "cases.csv", "leaderboard.csv", "README.md", "comparisons.tex"} <= names
    assert any(name.startswith("dice_") and name.endswith(".pdf") for name in names)
    pictures = [name for name in names if not name.endswith(".csv")]
    assert not [name for name in pictures if name.startswith(("overlay", "worst"))]
    assert not [*published.rglob("*.npz"), *published.rglob("*.gif")]
    assert "phantom" in (published / "README.md").read_text()
    assert verify(published) == []


def test_a_changed_score_is_found_whoever_changes_the_sums(published):
    board = published / "report" / "leaderboard.csv"
    text = board.read_text()
    dice = text.splitlines()[1].split(",")[text.splitlines()[0].split(",").index("dice")]
    board.write_text(text.replace(dice, "0.99"))
    assert any("not the file" in fault for fault in verify(published))
    reseal(published)
    (fault,) = verify(published)
    assert "leaderboard.csv, line 2, dice: published '0.99'" in fault


def test_a_changed_word_in_a_printed_table_is_found(published):
    board = published / "report" / "leaderboard.md"
    board.write_text(board.read_text().replace("U-Net", "V-Net", 1))
    reseal(published)
    (fault,) = verify(published)
    assert fault.startswith("report/leaderboard.md, line")


def test_a_changed_case_is_damage(published):
    cases = next(published.glob("runs/*/cases.csv"))
    cases.write_text(cases.read_text().replace("scored", "missed", 1))
    reseal(published)
    assert any(cases.parent.name in fault for fault in verify(published))


def test_a_run_that_is_gone_or_came_later_is_named(published):
    folder = next(published.glob("runs/*"))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    reseal(published)
    faults = verify(published)
    assert f"run {folder.name}: listed, but not there" in faults


def test_a_record_under_another_specification_is_found(published):
    path = next(published.glob("runs/*/record.json"))
    record = read_record(path.parent)
    record["spec"]["seed"] = 5
    write_record(path.parent, record)
    reseal(published)
    assert any("its specification has the key" in fault for fault in verify(published))


def test_a_record_that_lacks_a_part_is_a_fault_and_no_crash(published):
    path = next(published.glob("runs/*/record.json"))
    record = read_record(path.parent)
    del record["spec"]["fold"]
    del record["summary"]["iou"]
    write_record(path.parent, record)
    reseal(published)
    assert any("not a whole record" in fault for fault in verify(published))


def test_what_followed_a_run_is_published_with_it(results):
    folder = results(unet=0.9)
    (run,) = read_records(folder)
    cases = pd.read_csv(run["path"] / "cases.csv")
    there = run["path"] / "on" / "camus"
    write_table(there / "cases.csv", cases.to_dict("records"), cases.columns)
    spec = run["spec"] | {"dataset": "camus"}
    axes = {name: run["spec"][name] for name in ("dataset", "source", "fingerprint")}
    followed = {"key": run["key"], "finished_utc": run["finished_utc"], "release": "",
                "protocol_hash": run["protocol_hash"], **axes}  # fmt: skip
    task = {"kind": "test_on", "site": "camus", "dataset": "camus", "source": "phantom",
            "release": "", "fingerprint": "f",
            "classes": {"left_ventricle": "left_ventricle"}}  # fmt: skip
    write_record(there, {**{k: v for k, v in run.items() if k != "path"}, "of": followed,
                         "task": task, "spec": spec, "key": f"{run['key']}-on-camus"})  # fmt: skip
    write_json(folder / "report" / MADE_FROM, made_from([run]))
    publication = publish(folder, "one", formats=())
    assert (publication / "runs" / run["key"] / "on" / "camus" / "cases.csv").exists()
    assert (publication / "report" / "generalisation.csv").exists()
    assert verify(publication) == []


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr("benchmark.report.figures.sheets.sheets", lambda *_: [])


@pytest.mark.usefixtures("no_figures")
def test_the_usual_report_can_be_published_and_one_of_chosen_columns_cannot(results):
    folder = results(unet=0.9)
    records = read_records(folder)
    console = Console(file=io.StringIO())
    # As `report` without options asks for.
    reporting.write(records, folder, console, printing=Printing())
    assert publish(folder, "usual", formats=()).is_dir()
    reporting.write(records, folder, console, printing=Printing(("dice",)))
    with pytest.raises(BenchmarkError, match="finished report"):
        publish(folder, "chosen", formats=())


@pytest.mark.usefixtures("no_figures")
def test_a_refused_report_changes_nothing_and_a_broken_one_is_none(results, monkeypatch):
    import benchmark.report

    folder = results(unet=0.9)
    records = read_records(folder)
    console = Console(file=io.StringIO())
    reporting.write(records, folder, console)
    assert reporting.is_up_to_date(records, folder)
    assert not reporting.is_up_to_date([], folder)
    with pytest.raises(BenchmarkError, match="received 'dise'"):
        reporting.write(records, folder, console, printing=Printing(("dise",)))
    assert reporting.is_up_to_date(records, folder)

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark.report, "write_report", stop)
    with pytest.raises(KeyboardInterrupt):
        reporting.write(records, folder, console)
    assert not reporting.is_up_to_date(records, folder)
    with pytest.raises(BenchmarkError, match="finished report"):
        publish(folder, "broken", formats=())


def test_a_note_is_read_with_the_scores(results):
    folder = publish(
        results(unet=0.9), "noted", formats=("svg",), note="The machine was not alone."
    )
    assert "The machine was not alone." in (folder / "README.md").read_text()
    assert verify(folder) == []


def test_a_name_is_taken_once_and_a_stale_report_is_refused(results):
    folder = results(unet=0.9, attention_unet=0.8)
    publish(folder, "first", formats=())
    with pytest.raises(BenchmarkError, match="taken"):
        publish(folder, "first", formats=())
    publish(folder, "first", replace=True, formats=())
    with pytest.raises(BenchmarkError, match="expected a name"):
        publish(folder, "../elsewhere")
    for path in sorted(next(folder.glob("runs/*")).glob("record.json")):
        path.unlink()
    with pytest.raises(BenchmarkError, match="gone or newer"):
        publish(folder, "second")
    assert not list((folder / "published").glob(".*"))


def test_a_publication_can_be_published_anew_from_itself(published, tmp_path):
    again = publish(published, "again", into=tmp_path / "other", formats=())
    assert verify(again) == []
    board = "report/leaderboard.csv"
    assert (again / board).read_bytes() == (published / board).read_bytes()


def test_the_change_is_paired_by_patient_and_protocols_that_differ_are_said(results):
    first = publish(results("a", unet=0.8, attention_unet=0.9), "a", formats=())
    second = publish(results("b", rules=99, unet=0.85), "b", formats=())
    unet, attention = compare_publications(first, second)
    if unet.title != "U-Net":
        unet, attention = attention, unet
    assert unet.patients == 6
    # The same noise on both sides: the change of the mean is the change of every patient.
    assert unet.difference.mean == pytest.approx(0.05)
    assert unet.difference.high - unet.difference.low < 1e-9
    assert unet.rank == (2, 1)
    assert "rules" in unet.protocol
    assert attention.dice[1] is None
    assert attention.difference is None


def test_the_commands(results, capsys):
    folder = results(unet=0.9, attention_unet=0.8)
    at = ["--results", str(folder)]
    assert main(["publish", "one", *at]) == 0
    assert main(["verify", "one", *at]) == 0
    assert "follows from the per-case scores" in capsys.readouterr().out
    assert main(["diff", "one", "one", *at]) == 0
    assert "+0.000" in capsys.readouterr().out
    (folder / "published" / "one" / "README.md").write_text("I won.")
    assert main(["verify", "one", *at]) == 1
    assert "README.md" in capsys.readouterr().out
    assert main(["verify", "two", *at]) == 2
    assert "expected a publication" in capsys.readouterr().err
