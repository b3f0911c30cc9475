from __future__ import annotations

import pytest

from benchmark.errors import BenchmarkError
from benchmark.experiment.matrix_rules import Cell
from benchmark.experiment.selection import parse_only, parse_retry, select

CELLS = [
    Cell(name, dataset, fold, 0, exclude=0 if name == "vnet" and dataset == "camus" else None)
    for name in ("unet", "vnet") for dataset in ("acdc", "camus") for fold in (0, 10)
]  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], {}),
        (["architecture=unet,dataset=acdc"], {"architecture": {"unet"}, "dataset": {"acdc"}}),
        (["architecture=unet|vnet"], {"architecture": {"unet", "vnet"}}),
        (["architecture=unet", "architecture=vnet"], {"architecture": {"unet", "vnet"}}),
        ([" fold = 0 | 2 "], {"fold": {"0", "2"}}),
    ],
)
def test_only_is_read(texts, expected):
    assert parse_only(texts) == expected


def test_axes_must_hold_together_and_values_are_alternatives():
    found = select(CELLS, parse_only(["architecture=unet|vnet,dataset=acdc", "fold=10"]))
    assert [(cell.architecture, cell.dataset, cell.fold) for cell in found] == [
        ("unet", "acdc", 10), ("vnet", "acdc", 10)
    ]  # fmt: skip


def test_value_is_no_part_of_another():
    assert {cell.fold for cell in select(CELLS, parse_only(["fold=0"]))} == {0}
    with pytest.raises(BenchmarkError, match=r"unknown fold '1'; the matrix has 0, 10"):
        select(CELLS, parse_only(["fold=1"]))


def test_only_what_a_rule_takes_out():
    with pytest.raises(BenchmarkError, match="all of them are excluded"):
        select(CELLS, parse_only(["architecture=vnet,dataset=camus"]))


def test_retry_is_read():
    assert parse_retry(["oom, diverged"]) == {"oom", "diverged"}
    assert parse_retry(["infra"]) == {"timeout", "error", "killed", "skipped"}
    with pytest.raises(BenchmarkError, match=r"got 'ok'"):
        parse_retry(["ok"])
