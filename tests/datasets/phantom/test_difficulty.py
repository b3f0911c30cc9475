"""A threshold does not solve the phantoms: Otsu with the largest component stays under 0.6."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

import datasets
from datasets.nifti import read_pair


def otsu(values: np.ndarray) -> float:
    """Threshold of greatest variance between the classes (Otsu, IEEE SMC 9:62-66, 1979)."""
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[1:] + edges[:-1]) / 2
    weight = np.cumsum(counts)[:-1].astype(float)
    total = np.cumsum(counts * centres)
    rest = counts.sum() - weight
    between = (total[-1] * weight - counts.sum() * total[:-1]) ** 2 / (weight * rest)
    return float(centres[np.argmax(between)])


def largest(mask: np.ndarray) -> np.ndarray:
    parts, _ = label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == sizes.argmax()


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2.0 * float((first & second).sum()) / float(first.sum() + second.sum())


def test_otsu_finds_the_gap() -> None:
    assert 2.0 < otsu(np.array([0.0, 1.0, 2.0, 8.0, 9.0, 10.0])) < 8.0


@pytest.mark.parametrize("dataset", ["decathlon", "acdc", "camus"])
def test_otsu_with_largest_component_fails(phantoms, dataset: str) -> None:
    """Bright or dark side, over the whole image or where there is signal; each class and all."""
    info = datasets.info(dataset)
    scores: dict[tuple[bool, bool, str], list[float]] = {}
    for case in datasets.read_cases(dataset, datasets.find(dataset, phantoms).root):
        image, mask = read_pair(case, info)
        truths = {name: mask.array == value for name, value in info.classes.items()}
        truths["any"] = mask.array > 0
        signal = image.array > 0
        for everywhere in (True, False):
            threshold = otsu(image.array if everywhere else image.array[signal])
            bright = image.array > threshold
            for side in (True, False):
                chosen = bright if side else ~bright & (signal | everywhere)
                found = largest(chosen)
                for name, truth in truths.items():
                    scores.setdefault((everywhere, side, name), []).append(dice(found, truth))
    best = {key: float(np.mean(values)) for key, values in scores.items()}
    assert max(best.values()) < 0.6, best
