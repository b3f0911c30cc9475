"""Figures are the same whoever draws them; what fails is not lost, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from benchmark.report.figures import begin_figures
from benchmark.report.figures import crew as crew_module
from benchmark.report.figures.crew import Crew
from benchmark.report.material import gather

ROOT = Path(__file__).parents[2]


@pytest.fixture
def material(record, finished, clinical, tmp_path):
    records = [record(tmp_path, name) for name in ("unet", "vnet")]
    return gather(tmp_path, *finished(records, patients=3, side=32), clinical(records, patients=3))


def test_a_crew_draws_what_one_process_does(material):
    read = []
    for helpers in (0, 1):
        with Crew(helpers) as crew:
            drawn = begin_figures(material, ["svg"], "two", crew)
            if helpers:  # the first sheet was the helper's
                first = material.folder / "figures" / "stability_phantom.svg"
                wait_for(first.is_file)
            paths = drawn()
        read.append({path.name: path.read_bytes() for path in paths})
        for path in paths:
            path.unlink()
    alone, together = read
    assert list(alone) == list(together)
    assert {name.rsplit(".", 1)[1] for name in alone} == {"svg", "gif"}
    assert alone == together


@pytest.mark.parametrize("helpers", [0, 2])
def test_an_error_of_a_sheet_is_raised_here(helpers, tmp_path):
    todo = [partial(os.listdir, tmp_path), partial(os.listdir, tmp_path / "no such folder")]
    with pytest.raises(FileNotFoundError, match="no such folder"), Crew(helpers) as crew:
        crew.begin(todo)()


@pytest.mark.parametrize("at_once", [True, False])
def test_a_dead_helper_costs_no_sheet(tmp_path, at_once):
    (tmp_path / "drawn").touch()
    known = {"getpid": os.getpid, "die": os._exit}
    deadly = partial(eval, f"['drawn'] if getpid() == {os.getpid()} else die(1)", known)
    sheet = partial(os.listdir, tmp_path) if at_once else deadly
    with Crew(2) as crew:
        for helper in crew.helpers * at_once:
            helper.kill()
        finish = crew.begin([sheet] * 5)
        wait_for(lambda: crew.failures == 2)
        wait_for(lambda: all(helper.poll() is not None for helper in crew.helpers))
        assert {helper.returncode for helper in crew.helpers} <= ({-9} if at_once else {1, -9})
        assert finish() == ["drawn"] * 5


def test_helpers_that_cannot_be_started_are_done_without(monkeypatch, tmp_path):
    (tmp_path / "drawn").touch()

    def refuse(*_, **__):
        raise BlockingIOError("no room for another process")

    monkeypatch.setattr(crew_module.subprocess, "Popen", refuse)
    with Crew(2) as crew:
        assert crew.helpers == []
        assert crew.begin([partial(os.listdir, tmp_path)])() == ["drawn"]


def test_what_goes_wrong_meanwhile_ends_the_helpers_at_once():
    begin = time.monotonic()
    crew = Crew(1)
    with suppress(KeyError), crew:
        crew.begin([partial(time.sleep, 600)])
        raise KeyError
    assert time.monotonic() - begin < 60
    assert crew.helpers[0].poll() is not None


@pytest.mark.parametrize(("processors", "helpers"), [(1, 0), (2, 1), (64, 3)])
def test_the_usual_crew_leaves_a_processor_to_who_asks(monkeypatch, processors, helpers):
    started = []
    monkeypatch.setattr(crew_module, "Crew", started.append)
    crew_module.usual_crew(processors)
    assert started == [helpers]


def test_helpers_end_with_a_process_that_is_killed():
    code = """
import time
from benchmark.report.figures import crew as crew_module
from benchmark.report.figures.crew import Crew
with Crew(2) as crew:
    print(*(helper.pid for helper in crew.helpers), flush=True)
    time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        process.kill()
    assert len(pids) == 2
    wait_for(lambda: not any(alive(pid) for pid in pids))


def wait_for(condition, *, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
