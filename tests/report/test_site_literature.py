"""Published results: what may be printed, beside what, and that nothing else is."""

from __future__ import annotations

import pandas as pd
import pytest

import datasets
from benchmark.report.clinical import ENDPOINTS
from benchmark.report.groups import comparison_groups
from benchmark.report.material import Material
from benchmark.report.site.literature import literature_parts, published, read_sources

SOURCES = read_sources()
ROWS = [(source["dataset"], row) for source in SOURCES for row in published(source)]

# Dice, in percent, that is known from memory or from somebody else's table only: never printed.
UNREAD = {
    ("acdc", "left_ventricle"): (
        *(96.7, 92.8, 96.4, 91.2, 92.9, 96.8, 93.1, 96.3, 91.1, 94.8, 93.6),
        *(94.92, 93.47, 92.18, 94.75, 95.73, 95.83, 93.76, 95.36, 95.59),
    ),
    ("acdc", "myocardium"): (
        *(89.6, 91.9, 90.4, 92.3, 89.1, 87.3, 89.5, 89.8, 91.3, 90.2, 89.2, 90.1, 91.5, 89.0),
        *(80.63, 79.20, 70.71, 81.88, 84.53, 85.62, 87.64, 89.24, 89.53, 89.29),
    ),
    ("acdc", "right_ventricle"): (
        *(94.6, 90.4, 89.9, 93.2, 88.3, 92.5, 90.8),
        *(87.10, 87.58, 81.46, 86.07, 88.86, 88.55, 89.55, 90.24, 90.22, 90.19),
    ),
    ("acdc", "mean"): (
        *(91.59, 92.9, 91.1, 87.55, 86.75, 81.45, 87.57, 89.71, 90.00, 90.32, 91.61, 91.78),
        *(91.77, 90.86),
    ),
    ("decathlon", "left_atrium"): (
        *(93.30, 93.11, 92.99, 92.49, 92.46, 92.72, 89.7, 93.4, 93.3, 91.4),
    ),
    ("camus", "left_ventricle"): (
        *(95.2, 93.5, 94.7, 92.9, 94.6, 93.6, 91.2, 91.3, 94.5, 93.0, 93.4, 90.5, 93.9, 91.6),
        *(93.2, 90.3, 90.6, 92.7, 90.4, 91.9, 87.3, 88.6, 82.3, 94.4, 93.7, 93.8),
    ),
    ("camus", "epicardium"): (
        *(96.3, 95.9, 96.1, 95.5, 96.0, 95.6, 94.6, 95.3, 94.5, 95.7, 95.1, 94.3, 95.4, 95.0),
        *(94.2, 94.4, 93.9),
    ),
    ("camus", "left_atrium"): (*(90.2, 93.5, 92.7, 89.4, 92.6, 88.9, 91.8, 88.1, 91.1, 90.6),),
    ("camus", "mean"): (90.99, 91.21, 91.51, 91.0, 89.3, 89.9),
}


@pytest.fixture
def material(record, tmp_path):
    """Groups of every dataset, of phantoms and of real files, official ones and others."""
    made = []
    for dataset in datasets.NAMES:
        made += [record(tmp_path, "unet", dataset, source) for source in ("real", "phantom")]
    other = record(tmp_path, "unet", "decathlon", "real", protocol_hash="feedfacecafe")
    made.append(other | {"release": "LA2018"})
    groups = comparison_groups(made, pd.DataFrame(), pd.DataFrame())
    return Material(tmp_path, groups, pd.DataFrame(), {})


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source["citation"][:30])
def test_every_source_says_where_it_was_read_and_what_differs(source):
    assert source["url"].startswith("https://")
    for name in ("citation", "read", "setting", "caveat"):
        assert len(source[name]) > 7
    assert source["dataset"] in datasets.NAMES
    assert len({tuple(result[:4]) for result in source["results"]}) == len(source["results"])


@pytest.mark.parametrize(
    ("dataset", "row"), ROWS, ids=lambda value: value if isinstance(value, str) else value["what"]
)
def test_every_result_is_of_something_we_measure(dataset, row):
    info = datasets.info(dataset)
    scored = row["metric"] in ("dice", "iou")
    known = {"mean", *info.classes} if scored else set(ENDPOINTS)
    assert set(row["what"].split("+")) <= known
    assert row["phase"] in ("", *info.phases)
    assert scored or row["metric"] in ("pearson_r", "mae")
    low, high = (0.5, 1) if scored or row["metric"] == "pearson_r" else (0, 20)
    assert low < row["value"] < high
    # What is printed is the value, whatever the unit.
    assert float(row["printed"]) in (row["value"], pytest.approx(100 * row["value"]))


def test_nothing_that_was_not_read_at_its_source_is_in_the_file():
    for dataset, row in ROWS:
        if row["metric"] == "dice":
            unread = UNREAD[dataset, row["what"]]
            assert round(100 * row["value"], 4) not in unread, row["method"]


def test_phantoms_have_none_and_real_groups_those_of_their_own_files(material):
    parts = literature_parts(material)
    assert set(parts) == {group.slug for group in material.groups}
    for group in material.groups:
        titles = {row["citation"] for row in parts[group.slug]}
        if group.phantom:
            assert not titles
            continue
        (release,) = {run.release for run in group.runs}
        assert titles == {
            source["citation"]
            for source in SOURCES
            if (source["dataset"], source["release"]) == (group.dataset, release)
        }
        assert titles
    # The LA 2018 challenge is another dataset than the Decathlon's hearts.
    official, other = (
        {row["method"] for row in parts[group.slug]}
        for group in sorted(material.groups, key=lambda group: group.runs[0].release)
        if (group.dataset, group.source) == ("decathlon", "real")
    )
    assert "MONAI DynUNet" in official - other
    assert "V-Net (fully supervised)" in other - official


def test_a_result_on_the_only_class_is_that_of_the_mean_too(material):
    for group in material.groups:
        if (group.dataset, group.source) == ("decathlon", "real"):
            rows = literature_parts(material)[group.slug]
            of_mean = [row["value"] for row in rows if row["what"] == "mean"]
            assert of_mean == [row["value"] for row in rows if row["what"] == "left_atrium"] != []


def test_files_that_no_publication_used_have_none(record, tmp_path):
    unknown = record(tmp_path, "unet", "decathlon", "real") | {"release": "not the official cases"}
    groups = comparison_groups([unknown], pd.DataFrame(), pd.DataFrame())
    material = Material(tmp_path, groups, pd.DataFrame(), {})
    assert literature_parts(material) == {"decathlon_real": []}
