"""Optuna driven with an objective that trains nothing."""

from __future__ import annotations

import pytest

from benchmark.errors import BenchmarkError
from benchmark.tuning.study import Outcome, Study, best, failing, search


def never() -> bool:
    return False


def parabola(trial, values) -> Outcome:
    dice = 1.0 - (values["x"] - 0.3) ** 2
    for epoch in (1, 2):
        trial.report(dice * epoch / 2, epoch)
    return Outcome(f"key{trial.number}", "ok", dice, seconds=2.0)


def test_a_search_makes_as_many_trials_as_the_study_shall_have_in_all(study):
    mine = study()
    assert len(search(mine, parabola, trials=3, until=never)) == 3
    assert len(search(mine, parabola, trials=5, until=never)) == 2
    assert search(mine, parabola, trials=5, until=never) == []
    tried = mine.tried()
    assert [trial.number for trial in tried] == [0, 1, 2, 3, 4]
    assert {trial.epochs for trial in tried} == {2}
    assert best(tried).dice == max(trial.dice for trial in tried)
    assert mine.cost_s == 10.0


def test_a_stopped_study_goes_on_as_if_it_had_not_been(study, tmp_path):
    search(study(), parabola, trials=2, until=never)
    search(study(), parabola, trials=4, until=never)  # another process
    whole = Study(tmp_path / "other", "fake", *_parts(study()))
    with whole:
        search(whole, parabola, trials=4, until=never)
        assert [t.values for t in whole.tried()] == [t.values for t in study().tried()]


def _parts(study: Study):
    return study._axes, study._section


def test_trials_under_way_elsewhere_count_and_are_not_made_twice(study):
    one, other = study(), study()
    first, _ = one.next(2)
    second, _ = other.next(2)
    assert one.next(2) is None
    assert one.left(2) == 0
    assert first.number != second.number
    one.close(first, Outcome("a", "error", error="broken"))  # a failure says nothing
    assert one.left(2) == 1


def test_a_trial_whose_process_has_died_is_made_again_first(study):
    dead, living = study(), study()
    trial, values = dead.next(5)
    assert living.next(5)[1] != values
    dead.__exit__()  # what the system does when a process dies: its lock is gone
    again, same = living.next(5)
    assert same == values
    assert again.number > trial.number
    living.close(again, Outcome("a", "ok", 0.5))
    assert [each.values for each in living.tried()] == [values]


def test_a_trial_that_the_user_ended_is_made_again_first(study):
    mine = study()
    trial, values = mine.next(5)
    mine.close(trial, Outcome("a", "killed", seconds=1.0))
    assert mine.tried() == []
    assert mine.next(5)[1] == values


def test_what_did_not_reach_its_end_cannot_win(study):
    mine = study()
    for status in ("pruned", "diverged", "oom", "refused"):
        trial, _ = mine.next(9)
        trial.report(0.99, 1)
        mine.close(trial, Outcome(status, status, None))
    assert [trial.status for trial in mine.tried()] == ["pruned", "diverged", "oom", "refused"]
    assert best(mine.tried()) is None
    trial, _ = mine.next(9)
    mine.close(trial, Outcome("ok", "ok", 0.1))
    assert best(mine.tried()).dice == 0.1


def test_a_run_that_served_twice_costs_once(study):
    mine = study()
    for seconds in (4.0, 4.0):
        trial, _ = mine.next(9)
        mine.close(trial, Outcome("same", "ok", 0.5, seconds))
    assert mine.cost_s == 4.0


def test_the_pruner_ends_what_is_below_the_median(study):
    mine = study(startup_trials=2, warmup_epochs=2)
    for dice in (0.5, 0.7):
        trial, _ = mine.next(9)
        for epoch in (1, 2):
            trial.report(dice, epoch)
        mine.close(trial, Outcome(f"{dice}", "ok", dice))
    trial, _ = mine.next(9)
    trial.report(0.1, 1)
    assert not trial.should_prune()  # too early
    trial.report(0.1, 2)
    assert trial.should_prune()


def test_no_pruner_ends_nothing(study):
    mine = study(pruner="none", startup_trials=0)
    for dice in (0.9, 0.1):
        trial, _ = mine.next(9)
        trial.report(dice, 1)
        assert not trial.should_prune()
        mine.close(trial, Outcome(f"{dice}", "ok", dice))


def test_a_search_ends_when_it_is_asked_to_or_when_all_fails(study):
    asked = iter([False, True])
    assert len(search(study(), parabola, trials=9, until=lambda: next(asked))) == 1

    def broken(trial, values) -> Outcome:
        return Outcome(f"{trial.number}", "error", error="no such file")

    outcomes = search(study(), broken, trials=9, until=never)
    assert len(outcomes) == 3
    assert failing(outcomes)
    assert not failing([*outcomes[:2], Outcome("x", "diverged")])


def test_a_damaged_store_is_one_sentence(study, tmp_path):
    mine = study()
    mine.store.write_bytes(b"this is no database, and long enough to be read as one" * 100)
    with pytest.raises(BenchmarkError, match=r"fake\.db: expected the store of a study"):
        study()
