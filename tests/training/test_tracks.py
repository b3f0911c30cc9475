"""What a budget is counted in."""

from __future__ import annotations

import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def budget(spec):
    from benchmark.training.tracks import Budget

    def make(**fields):
        settings = {"epochs": 3, **fields}
        return Budget.of(dataclasses.replace(spec.protocol, **settings), 4)

    return make


def test_rule_each_track_ends_where_it_says(budget):
    epochs, steps = budget(), budget(track="steps", max_steps=10)
    seconds = budget(track="time", max_train_s=5.0)
    target = budget(track="target", target_dice=0.8)
    assert [each.share(6, 1.0) for each in (epochs, steps, seconds, target)] == [0.5, 0.6, 0.2, 0.5]
    assert [each.share(99, 9.0) for each in (epochs, steps, seconds, target)] == [1.0] * 4
    assert [each.stop for each in (epochs, steps, target)] == [12, 10, 12]
    assert seconds.stop > 10**12
    assert target.reached(0.8)
    assert not target.reached(0.79)
    assert not epochs.reached(1.0)


def test_track_without_its_field_is_an_error(budget):
    for fields in ({"track": "steps"}, {"track": "time"}, {"track": "target"}, {"track": "luck"}):
        with pytest.raises(ValueError, match="unknown or lacks its field"):
            budget(**fields)


def test_rule_learning_rate_follows_the_used_share():
    import keras

    from benchmark.training.optimizers import WARM_UP, learning_rate

    total, peak = 200, 4e-3
    warm_up = round(WARM_UP * total)
    reference = keras.optimizers.schedules.CosineDecay(
        0.0, total - warm_up, warmup_target=peak, warmup_steps=warm_up
    )
    for step in (0, 1, 5, 9, 10, 11, 100, 199, 200):
        expected = float(reference(step))
        assert learning_rate(peak, step / total) == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_steps_are_counted_to_the_end(fit_discs, tmp_path):
    fitted, events = fit_discs(tmp_path, track="steps", max_steps=6)
    assert list(pd.read_csv(tmp_path / "epochs.csv")["steps"]) == [4, 6]
    assert len(fitted.step_s) == 6
    assert fitted.reached is None
    assert [event["share"] for event in events] == [pytest.approx(4 / 6), 1.0]


def test_seconds_are_those_of_all_parts(fit_discs, interrupted, tmp_path, monkeypatch):
    from benchmark.training import steps
    from benchmark.training.optimizers import learning_rate

    # A clock that advances by a tenth whenever it is looked at, three times per step.
    clock = SimpleNamespace(perf_counter=(tick / 10 for tick in itertools.count()).__next__)
    monkeypatch.setattr(steps, "time", clock)
    setting = {"track": "time", "max_train_s": 2.5, "steps_per_epoch": (5, 5)}
    with pytest.raises(interrupted):
        fit_discs(tmp_path, stop_after=1, **setting)
    fitted, _ = fit_discs(tmp_path, **setting)
    assert fitted.resumed == (1,)
    np.testing.assert_allclose(fitted.step_s, 0.2)
    log = pd.read_csv(tmp_path / "epochs.csv")
    assert list(log["steps"]) == [5, 10, 13]  # the step that is under way is finished
    expected = [learning_rate(2e-3, 0.2 * step / 2.5) for step in (4, 9, 12)]
    np.testing.assert_allclose(log["learning_rate"], expected)


def test_target_ends_at_the_first_epoch_that_reaches_it(fit_discs, tmp_path, monkeypatch):
    from benchmark.training import fit

    dices = iter([0.2, 0.6, 0.9, 0.5, 0.4])
    monkeypatch.setattr(fit, "patch_dice", lambda *_: next(dices))
    fitted, _ = fit_discs(tmp_path / "hit", track="target", target_dice=0.6)
    log = pd.read_csv(tmp_path / "hit" / "epochs.csv")
    assert (fitted.reached, fitted.best_epoch, len(log)) == (True, 2, 2)
    assert fitted.time_to_target_s == pytest.approx(log["elapsed_s"].iloc[-1])
    missed, _ = fit_discs(tmp_path / "miss", track="target", target_dice=0.95, epochs=2)
    assert (missed.reached, missed.time_to_target_s, missed.best_epoch) == (False, None, 1)
