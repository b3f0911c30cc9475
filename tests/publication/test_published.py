"""What is published in this repository follows from its scores, and shows no image of the data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.publication.layout import FACTS
from benchmark.publication.verify import verify

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = sorted(path.parent for path in (ROOT / "results" / "published").glob(f"*/{FACTS}"))
# Figures that are drawn from masks and images; all others are drawn from scores.
OF_IMAGES = ("overlay", "worst", "animation")


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_every_table_and_rank_follows_from_the_scores(folder):
    assert verify(folder) == []


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_no_image_of_the_data_is_published(folder):
    names = [path.name for path in folder.rglob("*") if path.is_file()]
    pictures = [name for name in names if name.endswith((".png", ".svg", ".pdf", ".gif"))]
    assert pictures
    assert [name for name in pictures if name.startswith(OF_IMAGES)] == []
    assert [name for name in names if name.endswith((".npz", ".h5", ".nii.gz"))] == []
    assert not (folder / "report" / "cases").exists()


def test_what_the_readme_shows_is_published():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"results/published/([\w.-]+)", readme))
    assert named
    assert named <= {folder.name for folder in PUBLISHED}
