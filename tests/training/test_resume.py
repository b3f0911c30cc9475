"""A training that was ended in the middle goes on as if it had not been."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

TIMES = ["epoch_s", "validation_s", "elapsed_s"]


def weights(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def assert_same(one: Path, two: Path) -> None:
    """Weights and all values of the log are equal, bit for bit."""
    mine, other = weights(one / "best.weights.h5"), weights(two / "best.weights.h5")
    assert len(mine) > 5
    assert sorted(mine) == sorted(other)
    for name, values in mine.items():
        np.testing.assert_array_equal(values, other[name], name)
    logs = [pd.read_csv(folder / "epochs.csv").drop(columns=TIMES) for folder in (one, two)]
    pd.testing.assert_frame_equal(*logs, check_exact=True)


@pytest.fixture(scope="module")
def runs(fit_discs, interrupted, tmp_path_factory):
    """A training of three epochs, and the same ended after two."""
    folder = tmp_path_factory.mktemp("runs")
    whole, _ = fit_discs(folder / "whole")
    with pytest.raises(interrupted):
        fit_discs(folder / "parts", stop_after=2)
    return whole, folder


@pytest.fixture
def parts(runs, tmp_path):
    """A copy of the training that was ended."""
    return shutil.copytree(runs[1] / "parts", tmp_path / "parts")


def test_rule_resumed_training_equals_the_uninterrupted(runs, parts, fit_discs):
    whole, folder = runs
    before = pd.read_csv(parts / "epochs.csv")
    fitted, events = fit_discs(parts, seed=9)  # another start: all comes from the checkpoint
    assert_same(folder / "whole", parts)
    assert (whole.resumed, fitted.resumed) == ((), (2,))
    assert (fitted.best_epoch, fitted.validation_dice) == (whole.best_epoch, whole.validation_dice)
    assert [event["event"] for event in events] == ["resumed", "epoch"]
    assert [row["epoch"] for row in events[0]["rows"]] == [1, 2]
    assert events[1]["epoch"] == 3

    # wall times add up over the parts
    log = pd.read_csv(parts / "epochs.csv")
    pd.testing.assert_frame_equal(log[:2], before, check_exact=True)
    np.testing.assert_allclose(log["elapsed_s"], (log["epoch_s"] + log["validation_s"]).cumsum())
    assert len(fitted.step_s) == len(fitted.wait_s) == 12
    assert fitted.step_s[8] < 0.5 * fitted.step_s[0]  # compiled again, but not in a timed step
    assert fitted.earlier_s > log["elapsed_s"][1]
    assert fitted.checkpoint_s > 0


class Meter:
    """Counts a joule whenever it is read, and forgets all in another process."""

    def __init__(self, *kinds):
        self.kinds, self.read, self.ticks = kinds, 0, 0

    def tick(self):
        self.ticks += 1

    def joules(self):
        self.read += 1
        return dict.fromkeys(self.kinds, float(self.read))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (("cpu", "gpu"), ("cpu", "gpu"), {"cpu": 3.0, "gpu": 3.0}),
        (("cpu", "gpu"), ("cpu",), {"cpu": 3.0}),  # of the GPU only a part was metered
        ((), ("cpu",), {}),
    ],
)
def test_rule_energy_adds_up_over_the_parts_that_were_all_metered(
    fit_discs, interrupted, tmp_path, first, second, expected
):
    meters = Meter(*first), Meter(*second)
    with pytest.raises(interrupted):
        fit_discs(tmp_path, stop_after=2, meter=meters[0])
    fitted, _ = fit_discs(tmp_path, meter=meters[1])
    assert fitted.energy_j == expected
    assert [meter.ticks for meter in meters] == [8, 4]  # after every step
    again, _ = fit_discs(tmp_path, meter=Meter("cpu"))  # nothing is left to do
    assert again.energy_j == expected


def test_all_kinds_of_state_are_in_a_checkpoint(fit_discs, interrupted, tmp_path, monkeypatch):
    """Momentum, the scale of a float16 loss, two heads, and a best epoch that is not the last."""
    import keras

    from benchmark.training import fit

    dices = iter([0.2, 0.9, 0.5, 0.4] * 2)  # an epoch is validated once, whoever trains it
    monkeypatch.setattr(fit, "patch_dice", lambda *_: next(dices))
    setting = {"optimizer": "sgd", "precision": "mixed_float16", "outputs": 2,
               "track": "steps", "max_steps": 14}  # fmt: skip
    try:
        whole, _ = fit_discs(tmp_path / "whole", **setting)
        for seed, stop in enumerate((1, 3)):
            with pytest.raises(interrupted):
                fit_discs(tmp_path / "parts", seed=seed, stop_after=stop, **setting)
        parts, _ = fit_discs(tmp_path / "parts", seed=9, **setting)
    finally:
        keras.config.set_dtype_policy("float32")
    assert_same(tmp_path / "whole", tmp_path / "parts")
    assert parts.resumed == (1, 3)
    assert parts.best_epoch == whole.best_epoch == 2
    assert list(pd.read_csv(tmp_path / "parts" / "epochs.csv")["steps"]) == [4, 8, 12, 14]


def test_uninterrupted_trainings_are_equal_and_the_seed_matters(runs, fit_discs, tmp_path):
    fit_discs(tmp_path / "again")
    assert_same(runs[1] / "whole", tmp_path / "again")
    other, _ = fit_discs(tmp_path / "other", seed=5, epochs=1)
    with pytest.raises(AssertionError):
        assert_same(runs[1] / "whole", other.weights.parent)


def test_finished_training_is_not_repeated(runs, fit_discs, tmp_path):
    folder = shutil.copytree(runs[1] / "whole", tmp_path / "whole")
    (folder / "best.weights.h5").unlink()
    again, events = fit_discs(folder, seed=4)
    assert [event["event"] for event in events] == ["resumed"]
    assert again.step_s == runs[0].step_s
    assert_same(runs[1] / "whole", folder)


@pytest.mark.parametrize(("spoilt", "resumed"), [(1, (1,)), (2, ())])
def test_damaged_checkpoint_is_set_aside(runs, parts, fit_discs, spoilt, resumed, capsys):
    files = sorted(parts.glob("checkpoint-*"), reverse=True)
    assert len(files) == 2
    for path in files[:spoilt]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
    fitted, events = fit_discs(parts)
    assert fitted.resumed == resumed
    rejected = [event["file"] for event in events if event["event"] == "checkpoint_rejected"]
    assert rejected == [path.name for path in files[:spoilt]]
    assert files[0].with_suffix(".rejected").exists()
    assert f"{files[0].name} is set aside: its content" in capsys.readouterr().err
    assert_same(runs[1] / "whole", parts)


def test_checkpoint_of_another_run_is_set_aside(parts, fit_discs):
    fitted, events = fit_discs(parts, learning_rate=1e-3, epochs=1)
    assert fitted.resumed == ()
    assert [event["event"] for event in events] == ["checkpoint_rejected"] * 2 + ["epoch"]
    assert "its key is " in events[0]["reason"]
