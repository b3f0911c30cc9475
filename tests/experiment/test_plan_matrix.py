"""The matrix as a plan shows it: overrides, rules, filters, and the work a large one takes."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from rich.console import Console

import architectures
from benchmark.errors import BenchmarkError
from benchmark.experiment import matrix, spec, states
from benchmark.experiment.plan import make_plan
from benchmark.experiment.selection import parse_only
from benchmark.experiment.show import about, show_plan


def shown(plan, width: int = 120) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    show_plan(plan, console)
    return console.export_text()


def test_the_more_special_options_win(small, tmp_path):
    path = small(
        matrix={"include": [
            {"architecture": "unet", "dataset": "camus", "seed": 3, "options": {"filters": 64}}
        ]},
        architectures={"unet": {
            "options": {"filters": 4, "depth": 3},
            "datasets": {"camus": {"options": {"filters": 8}}},
        }},
    )  # fmt: skip
    plan = make_plan(path, results=tmp_path, profile="quick")
    options = {(run.spec.dataset, run.spec.seed): dict(run.spec.options) for run in plan.runs
               if run.spec.architecture == "unet"}  # fmt: skip
    assert options == {
        ("acdc", 0): {"filters": 4, "depth": 3},
        ("camus", 0): {"filters": 8, "depth": 3},
        ("camus", 3): {"filters": 64, "depth": 3},
    }


def test_overrides_keep_the_protocol(small, tmp_path):
    wide = {"architecture": "unet", "dataset": "acdc", "dims": 3, "options": {"filters": 8}}
    plan = make_plan(small(matrix={"include": [wide]}), results=tmp_path, profile="quick")
    runs = [run.spec for run in plan.runs if run.spec.dataset == "acdc"]
    assert sorted(run.dims for run in runs) == [2, 2, 3]
    assert len({run.protocol_hash for run in runs}) == 1
    assert len({run.key for run in runs}) == 3


def test_excluded_runs_name_the_rule_and_are_not_checked(small, tmp_path):
    # DeepLabv3 has no volumetric form: where a rule takes it out, that is no error.
    path = small(
        matrix={"architectures": ["unet", "deeplabv3"],
                "exclude": [{"architecture": "deeplabv3", "dataset": "acdc", "because": "planar"}]},
        architectures={"deeplabv3": {"dims": {"acdc": 3}}},
    )  # fmt: skip
    plan = make_plan(path, results=tmp_path, profile="quick")
    assert [run.spec.name for run in plan.runs] == [
        "unet·acdc·f0·s0", "unet·camus·f0·s0", "deeplabv3·camus·f0·s0"
    ]  # fmt: skip
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1)
                if "- architecture: deeplabv3" in text)  # fmt: skip
    (excluded,) = plan.to_dict()["excluded"]
    assert (excluded["name"], excluded["state"]) == ("deeplabv3·acdc·f0·s0", "excluded")
    assert excluded["reason"] == f"by {path}:{line}: planar"
    assert "(1 excluded)" in shown(plan)


def test_dataset_that_is_excluded_altogether_is_not_looked_for(small, tmp_path):
    path = small(matrix={"exclude": [{"dataset": "camus"}]})
    assert list(make_plan(path, results=tmp_path, profile="quick").sources) == ["acdc"]


def test_only_narrows_the_plan_and_the_data_it_needs(small, tmp_path):
    path = small(matrix={"exclude": [{"architecture": "vnet", "dataset": "acdc"}]})
    only = parse_only(["dataset=acdc"])
    plan = make_plan(path, results=tmp_path, profile="quick", only=only)
    assert [run.spec.name for run in plan.runs] == ["unet·acdc·f0·s0"]
    assert [run.name for run in plan.excluded] == ["vnet·acdc·f0·s0"]
    assert plan.left_out == 2
    assert list(plan.sources) == ["acdc"]
    with pytest.raises(BenchmarkError, match="unknown fold '4'"):
        make_plan(path, results=tmp_path, profile="quick", only=parse_only(["fold=4"]))


def test_variants_of_one_name_are_told_apart(small, tmp_path):
    wide = {"architecture": "unet", "dataset": "acdc", "options": {"filters": 64}}
    text = shown(make_plan(small(matrix={"include": [wide]}), results=tmp_path, profile="quick"))
    assert "unet·acdc·f0·s0 (filters=4)" in text
    assert "unet·acdc·f0·s0 (filters=64)" in text
    assert "vnet·acdc·f0·s0 " in text


def test_patch_that_does_not_fit_is_told_with_its_line(small, tmp_path):
    path = small(datasets={
        name: {"spacing_mm": [None, 4.0, 4.0], "patch_3d": [16, 64, 64], "patch_2d": [64, size]}
        for name, size in (("acdc", 64), ("camus", 70))
    })  # fmt: skip
    lines = path.read_text().splitlines()
    line = lines.index("  camus:") + lines[lines.index("  camus:") :].index("    patch_2d:") + 1
    with pytest.raises(BenchmarkError, match=rf"small.yaml:{line}: unet on camus: .*70"):
        make_plan(path, results=tmp_path, profile="quick")


def test_a_thousand_runs_share_what_they_have_in_common(small, tmp_path, monkeypatch):
    path = small(
        matrix={
            "architectures": ["unet", "attention_unet", "vnet", "deeplabv3"],
            "folds": [0, 1, 2, 3, 4],
            "seeds": list(range(25)),
        },
        architectures={"unet": {}, "vnet": {"dims": {"acdc": 3}}},
    )
    counts: Counter[str] = Counter()

    def counted(room, name: str) -> None:
        real = getattr(room, name)

        def call(*args, **kwargs):
            counts[name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(room, name, call)

    for room, name in (
        (architectures, "check"), (matrix, "code_digest"), (matrix, "resolve_options"),
        (matrix, "resolve_protocol"), (states, "read_record"), (spec, "digest"),
    ):  # fmt: skip
        counted(room, name)
    plan = make_plan(path, results=tmp_path, profile="quick")
    assert len(plan.runs) == len({run.spec.key for run in plan.runs}) == 1000
    assert counts == {
        "check": 8, "code_digest": 8, "resolve_options": 8, "resolve_protocol": 2,
        "read_record": 1000, "digest": 1000,
    }  # fmt: skip
    text = shown(plan)
    assert "unet·acdc × 125" in text
    assert len(text.splitlines()) < 20


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (40.2, "40 s"), (59.6, "1 min"), (540, "9 min"), (3599, "1 h 00 min"),
     (12_000, "3 h 20 min")],
)  # fmt: skip
def test_durations_as_people_estimate_them(seconds, text):
    assert about(seconds) == text
