from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.experiment.config_types import Fault
from benchmark.experiment.matrix_rules import Cell, cells
from benchmark.experiment.matrix_section import MatrixSection

ALL = {"architectures": ["unet", "vnet"], "datasets": ["acdc", "camus"]}


def matrix(**content) -> MatrixSection:
    return MatrixSection.model_validate({**ALL, **content})


def runs(section: MatrixSection) -> list[tuple[str, str, int, int]]:
    return [(cell.architecture, cell.dataset, cell.fold, cell.seed)
            for cell in cells(section) if cell.exclude is None]  # fmt: skip


def test_product_alternates_architectures():
    assert runs(matrix(folds=[1, 0], seeds=[3])) == [
        (architecture, dataset, fold, 3)
        for fold in (1, 0) for dataset in ("acdc", "camus") for architecture in ("unet", "vnet")
    ]  # fmt: skip


def test_paired_axes_go_together():
    found = runs(matrix(paired={"folds": [0, 1, 2], "seeds": [5, 6, 7]}))
    assert {(fold, seed) for *_, fold, seed in found} == {(0, 5), (1, 6), (2, 7)}
    assert len(found) == 2 * 2 * 3


def test_architectures_can_be_paired_with_datasets():
    section = MatrixSection.model_validate(
        {"paired": {"architectures": ["unet", "vnet", "unet"],
                    "datasets": ["acdc", "acdc", "camus"]}, "seeds": [0, 1]}
    )  # fmt: skip
    assert runs(section) == [
        (name, dataset, 0, seed) for seed in (0, 1)
        for name, dataset in (("unet", "acdc"), ("vnet", "acdc"), ("unet", "camus"))
    ]  # fmt: skip


def test_excluded_combinations_name_the_first_rule_that_holds():
    section = matrix(
        exclude=[{"architecture": "vnet", "dataset": "camus"}, {"dataset": "camus", "seed": 1},
                 {"architecture": "vnet"}],
        seeds=[0, 1],
    )  # fmt: skip
    by = {(cell.architecture, cell.dataset, cell.seed): cell.exclude for cell in cells(section)}
    assert by == {
        ("unet", "acdc", 0): None, ("vnet", "acdc", 0): 2, ("unet", "camus", 0): None,
        ("vnet", "camus", 0): 0, ("unet", "acdc", 1): None, ("vnet", "acdc", 1): 2,
        ("unet", "camus", 1): 1, ("vnet", "camus", 1): 0,
    }  # fmt: skip


def test_included_combination_with_options_stands_beside_the_product():
    section = matrix(
        include=[{"architecture": "unet", "dataset": "acdc", "options": {"filters": 64}},
                 {"architecture": "unet", "dataset": "acdc", "seed": 3}],
    )  # fmt: skip
    extra = [cell for cell in cells(section) if cell.include is not None or cell.seed == 3]
    assert extra == [Cell("unet", "acdc", 0, 0, include=0), Cell("unet", "acdc", 0, 3)]
    assert len(cells(section)) == 4 + 2


def test_axes_an_included_combination_leaves_out_take_all_values():
    section = matrix(folds=[0, 1], include=[{"architecture": "deeplabv3"}])
    assert [run for run in runs(section) if run[0] == "deeplabv3"] == [
        ("deeplabv3", dataset, fold, 0) for fold in (0, 1) for dataset in ("acdc", "camus")
    ]


def test_included_combination_that_is_there_already_is_run_once():
    assert runs(matrix(include=[{"architecture": "unet"}])) == runs(matrix())


def test_rule_holds_for_what_an_included_combination_leaves_open():
    rule = {"architecture": "vnet", "dataset": "camus"}
    open_entry = {"architecture": "vnet", "options": {"filters": 8}}
    section = matrix(exclude=[rule], include=[open_entry])
    assert [cell for cell in cells(section) if cell.include == 0] == [
        Cell("vnet", "acdc", 0, 0, include=0)
    ]
    by_name = matrix(exclude=[rule], include=[rule])
    assert ("vnet", "camus", 0, 0) in runs(by_name)
    assert all(cell.exclude is None for cell in cells(by_name))


@pytest.mark.parametrize(
    ("content", "place", "what"),
    [
        ({"paired": {"folds": [0, 1], "seeds": [0]}}, ("matrix", "paired", "folds"),
         "equal length, got seeds 1, folds 2"),
        ({"paired": {"folds": [0, 1]}}, ("matrix", "paired"), "at least two"),
        ({"paired": {}}, ("matrix", "paired"), "got none"),
        ({"paired": {"folds": [0, 0], "seeds": [1, 1]}}, ("matrix", "paired"), "every pair once"),
        ({"seeds": [0], "paired": {"folds": [0, 1], "seeds": [0, 1]}},
         ("matrix", "paired", "seeds"), "keep one of them"),
        ({"exclude": [{"because": "of it"}]}, ("matrix", "exclude", 0), "at least one of"),
        ({"include": [{"options": {"filters": 3}}]}, ("matrix", "include", 0), "at least one of"),
        ({"exclude": [{"fold": 0}]}, ("matrix", "exclude"), "leaves none"),
        ({"folds": list(range(200)), "seeds": list(range(200))}, ("matrix",), "160,000"),
        ({"architectures": []}, None, "at least 1"),
    ],
)  # fmt: skip
def test_rules_that_cannot_hold(content, place, what):
    if place is None:
        with pytest.raises(ValueError, match=what):
            matrix(**content)
        return
    with pytest.raises(Fault, match=what) as caught:
        cells(matrix(**content))
    assert caught.value.location == place


values = {
    "architecture": ["unet", "vnet"], "dataset": ["acdc", "camus"], "fold": [0, 1], "seed": [0, 1]
}  # fmt: skip
rules = st.fixed_dictionaries(
    {}, optional={axis: st.sampled_from(each) for axis, each in values.items()}
).filter(bool)


@settings(max_examples=60, deadline=None)
@given(st.lists(rules, max_size=4))
def test_exclusion_takes_out_exactly_what_agrees_with_a_rule(exclude):
    expected = [
        dict(zip(values, combination, strict=True))
        for combination in itertools.product(*values.values())
    ]
    kept = [each for each in expected if not any(rule.items() <= each.items() for rule in exclude)]
    section = matrix(folds=[0, 1], seeds=[0, 1], exclude=exclude)
    if not kept:
        with pytest.raises(Fault):
            cells(section)
        return
    assert sorted(runs(section)) == sorted(tuple(each.values()) for each in kept)
    assert len(cells(section)) == 16
