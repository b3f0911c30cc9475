"""Mirrored views and ensembles are averages of probabilities, block by block."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.data.preprocessing import prepare
from benchmark.errors import BenchmarkError
from benchmark.evaluation.inference import Predictor
from benchmark.prediction.committee import VIEWS, Committee, cleaned, members
from benchmark.records import WEIGHTS
from benchmark.trained import open_run


class Network:
    def __init__(self, factor):
        self.factor = factor

    def predict_on_batch(self, batch):
        ramp = np.linspace(-1, 1, batch.shape[-2], dtype=np.float32)[:, np.newaxis]
        return np.concatenate([batch * 0, self.factor * (batch + ramp)], axis=-1)


@pytest.fixture
def case():
    return prepare(np.random.default_rng(0).random((9, 21, 18), np.float32), None,
                   (2.0, 1.0, 1.0), (None, 1.3, 1.0))  # fmt: skip


@pytest.mark.parametrize("patch", [(8, 8), (4, 8, 8)])
def test_mirrored_views_are_turned_back_and_averaged(case, patch):
    import dataclasses

    predictor = Predictor(Network(2.0), patch, batch_size=3, overlap=0.5)
    found = np.concatenate(list(Committee([predictor], VIEWS).blocks(case)))
    expected = np.mean(
        [
            np.flip(
                predictor.probabilities(dataclasses.replace(case, image=np.flip(case.image, axes))),
                axes,
            )
            for axes in ((), (1,), (2,), (1, 2))
        ],
        axis=0,
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found - predictor.probabilities(case)).max() > 0.01


def test_an_ensemble_is_the_mean_of_its_networks(case):
    pair = [Predictor(Network(f), (4, 8, 8), batch_size=2, overlap=0.25) for f in (1.0, 3.0)]
    found = np.concatenate(list(Committee(pair).blocks(case)))
    expected = (pair[0].probabilities(case) + pair[1].probabilities(case)) / 2
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)


def test_one_network_and_one_view_change_nothing(case):
    predictor = Predictor(Network(1.0), (8, 8), batch_size=2, overlap=0.0)
    np.testing.assert_array_equal(
        np.concatenate(list(Committee([predictor]).blocks(case))), predictor.probabilities(case)
    )


def test_members_differ_in_fold_or_seed_alone(finished, tmp_path):
    results = tmp_path / "results"
    one = finished(fold=0, seed=0)
    two = finished(fold=1, seed=0)
    finished(fold=1, seed=1)
    finished(fold=2, seed=0, options={"filters": 8})
    finished(fold=3, seed=0, record={"status": "diverged"})
    trained, lost = open_run(results / "runs" / one), []
    assert [run.spec.key for run in members(results, trained, None, on_loss=lost.append)] == [one]
    assert [run.spec.key for run in members(results, trained, "folds", on_loss=lost.append)] == [
        one,
        two,
    ]
    with pytest.raises(BenchmarkError, match="found no other"):
        members(results, trained, "seeds", on_loss=lost.append)
    assert not lost


def test_an_ensemble_tells_which_members_it_lost(finished, tmp_path):
    runs = tmp_path / "results" / "runs"
    keys = [finished(fold=fold) for fold in range(4)]
    (runs / keys[2] / "record.json").write_text("{")
    (runs / keys[3] / WEIGHTS).unlink()
    lost = []
    found = members(runs.parent, open_run(runs / keys[0]), "folds", on_loss=lost.append)
    assert [run.spec.key for run in found] == keys[:2]
    assert sorted(key for key in keys for text in lost if key in text) == sorted(keys[2:])


def test_an_ensemble_cleans_what_most_of_its_runs_clean(finished, tmp_path):
    def verdict(*names):
        return {"postprocessing": {"classes": {name: {"applied": True} for name in names}}}

    keys = [
        finished(seed=0, record=verdict("myocardium", "left_ventricle")),
        finished(seed=1, record=verdict("left_ventricle")),
        finished(seed=2, record=verdict("myocardium", "left_ventricle")),
    ]
    runs = [open_run(tmp_path / "results" / "runs" / key) for key in keys]
    assert cleaned(runs) == (2, 3)
    assert cleaned(runs[:2]) == (3,)  # half is not most


def test_flips_are_those_that_the_recipe_draws():
    import numpy as np

    from benchmark.data.augmentation import augmenter, has_flips

    image = np.random.default_rng(0).random((1, 32, 32)).astype(np.float32)
    mask = np.zeros((1, 32, 32), np.uint8)
    mask[:, 2:8] = 1  # affine maps of the recipe leave it in its half
    for name in ("standard", "mirrored", "none"):
        sides = {
            int(augmenter(name)(image, mask, np.random.default_rng(seed))[1][:, 20:].any())
            for seed in range(30)
        }
        assert has_flips(name) == (sides == {0, 1})
