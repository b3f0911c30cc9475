"""A second scoring is held against the record; whatever differs is seen."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pandas as pd
import pytest

import datasets
from benchmark.errors import DataError
from benchmark.experiment.sources import fingerprint
from benchmark.generalisation.sites import own_files
from benchmark.rescoring import Rescored, differences


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "case": ["a", "a", "b"], "class": ["lv", "rv", "lv"], "patient": ["a", "a", "b"],
            "outcome": ["scored", "both_empty", "scored"], "dice": [0.5, math.nan, 0.7],
            "hd95_mm": [3.0, math.inf, 4.0], "inference_s": [0.1, 0.1, 0.2],
        }
    )  # fmt: skip


def test_the_same_scores_in_another_order_at_another_time_agree(table):
    now = table.iloc[::-1].assign(inference_s=9.0)
    found = Rescored(2, (0.6, 0.6), differences(table, now))
    assert set(found.differences) == {"outcome", "dice", "hd95_mm"}
    assert found.largest == 0.0
    assert found.agrees


@pytest.mark.parametrize(
    ("column", "row", "value", "difference"),
    [
        ("dice", 0, 0.5000005, 5e-7),
        ("dice", 0, 0.6, 0.1),
        ("dice", 1, 0.0, math.inf),
        ("hd95_mm", 1, 5.0, math.inf),
        ("outcome", 1, "missed", math.inf),
    ],
)
def test_what_differs_is_seen(table, column, row, value, difference):
    now = table.copy()
    now.loc[row, column] = value
    found = Rescored(2, (0.6, 0.6), differences(table, now))
    assert found.largest == found.differences[column] == pytest.approx(difference)
    assert found.agrees is (difference < 1e-6)


def test_other_rows_or_columns_are_no_agreement(table):
    assert differences(table, table.iloc[:2]) == {"rows": math.inf}
    assert differences(table, table.drop(columns="dice"))["dice"] == math.inf


def test_the_files_are_known_by_their_fingerprint(phantoms, tmp_path):
    root = datasets.find("acdc", phantoms).root
    digest = fingerprint("acdc", root, datasets.read_cases("acdc", root))

    def spec_of(**how):
        axes = {"dataset": "acdc", "name": "unet·acdc·f0·s0", "source": "phantom"}
        return SimpleNamespace(**axes | {"fingerprint": digest} | how)

    assert own_files(spec_of(), tmp_path, phantoms) == root
    with pytest.raises(DataError, match=r"expected the files on which it was made .*--data-root"):
        own_files(spec_of(fingerprint="0" * 16), tmp_path, phantoms)
    with pytest.raises(DataError, match="found none of that dataset"):
        own_files(spec_of(), tmp_path, tmp_path / "none")
    with pytest.raises(DataError, match=r"phantom, [0-9a-f]{16}"):
        own_files(spec_of(source="real"), tmp_path, phantoms)
    (tmp_path / "phantoms").mkdir()
    (tmp_path / "phantoms" / "5-7").symlink_to(phantoms)
    assert own_files(spec_of(), tmp_path, tmp_path / "none").resolve() == root.resolve()
