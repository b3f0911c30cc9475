"""Figures are the same whoever draws them, and what fails is not lost."""

import os
from functools import partial

import pytest

from benchmark.report.figures import figures_of
from benchmark.report.figures.processes import started
from benchmark.report.material import gather


@pytest.fixture
def material(record, finished, clinical, tmp_path):
    records = [
        record(tmp_path, name, dataset)
        for dataset in ("acdc", "decathlon")
        for name in ("unet", "vnet")
    ]
    return gather(tmp_path, *finished(records, patients=3, side=32), clinical(records, patients=3))


def test_two_processes_draw_what_one_does(material):
    read = []
    for processes in (1, 2):
        with figures_of(material, ["svg", "png"], processes=processes) as drawn:
            paths = drawn()
        read.append({path.name: path.read_bytes() for path in paths})
        for path in paths:
            path.unlink()
    one, two = read
    assert list(one) == list(two)
    assert {name.rsplit(".", 1)[1] for name in one} == {"svg", "png", "gif"}
    assert one == two


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_reaches_who_waits(processes, tmp_path):
    todo = [partial(os.listdir, tmp_path), partial(os.listdir, tmp_path / "no such folder")]
    with (
        pytest.raises(FileNotFoundError, match="no such folder"),
        started(todo, processes) as drawn,
    ):
        drawn()


def test_what_goes_wrong_meanwhile_ends_the_processes():
    with pytest.raises(KeyError), started([os.getcwd] * 8, 2):
        raise KeyError
