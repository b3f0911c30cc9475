"""A dataset's files on a machine that is not the scheduler's."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest

import datasets
from benchmark.errors import BenchmarkError
from benchmark.execution.away import files_here, phantom_of
from benchmark.execution.order import Order
from benchmark.experiment.sources import fingerprint


@pytest.fixture
def order(spec, phantoms, tmp_path):
    """An order on the phantom of CAMUS, carried out where it was made."""
    root = datasets.find("camus", phantoms).root
    known = fingerprint("camus", root, datasets.read_cases("camus", root))
    mine = dataclasses.replace(spec, dataset="camus", fingerprint=known)
    return Order(mine, "smoke", root, tmp_path / "results")


def away(order, tmp_path, **changes):
    return dataclasses.replace(order, scratch=tmp_path / "scratch", **changes)


def test_at_home_nothing_is_looked_at(order):
    assert files_here(dataclasses.replace(order, root=order.root / "none")).name == "none"


def test_a_phantom_is_made_where_it_is_not(order, tmp_path):
    gone = tmp_path / "gone" / order.root.name
    there = files_here(away(order, tmp_path, root=gone, phantom=phantom_of(order.root)))
    assert there.is_relative_to(tmp_path / "scratch")
    ours, theirs = (
        sorted(path.relative_to(root) for path in root.rglob("*.nii.gz"))
        for root in (order.root, there)
    )
    assert ours == theirs
    assert (there / ours[0]).read_bytes() == (order.root / ours[0]).read_bytes()


def test_files_that_lie_there_are_taken(order, tmp_path):
    assert files_here(away(order, tmp_path)) == order.root


def test_absent_files_are_an_error_that_says_where(order, tmp_path):
    with pytest.raises(BenchmarkError, match=r"expected its files under .*none on .*same place"):
        files_here(away(order, tmp_path, root=tmp_path / "none"))


def test_other_files_are_refused(order, tmp_path):
    copy = tmp_path / "copy" / order.root.name
    shutil.copytree(order.root, copy)
    marker = copy / "PHANTOM.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "seed": 8}))
    with pytest.raises(BenchmarkError, match="expected the files of the plan"):
        files_here(away(order, tmp_path, root=copy))


@pytest.mark.parametrize("marker", ["not json", "{}", '{"patients": 3, "seed": 1, "full": true}'])
def test_a_phantom_that_cannot_be_made_again_is_no_phantom(tmp_path, marker):
    assert phantom_of(tmp_path) is None
    (tmp_path / "PHANTOM.json").write_text(marker)
    assert phantom_of(tmp_path) is None
