"""What earlier records say about a plan: what has changed since, and how long runs took."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.experiment.spec import RunSpec

# A record with one of these is a result that a change of the specification makes stale.
HAD_RESULT = ("ok", "oom", "diverged")

# What a gradient step or a window of inference costs depends on these.
COST = ("spacing_mm", "patch_2d", "patch_3d", "batch_size_2d", "batch_size_3d", "augmentation",
        "precision", "compile", "backend", "overlap", "devices")  # fmt: skip

# What says how many steps there are, or how long they last.
BUDGET = ("track", "epochs", "steps_per_epoch", "max_steps", "max_train_s", "target_dice")

# Values longer than this are not written out in a change.
LONGEST_VALUE = 30


@dataclass(frozen=True)
class Past:
    """The parts of an earlier record that a plan uses."""

    key: str
    status: str
    profile: str
    spec: Mapping[str, Any]
    timing: Mapping[str, Any]
    budget: Mapping[str, Any]
    device: str
    finished: str

    @property
    def axes(self) -> tuple[Any, ...]:
        """What makes two records the same place of the matrix."""
        axes = ("architecture", "dataset", "source", "fold", "seed")
        return *(self.spec.get(axis) for axis in axes), self.profile, _kind(self.spec)


def read_past(results: Path, skip: Collection[str] = ()) -> tuple[list[Past], list[Path]]:
    """Read all records but those of the given keys, without looking at the tables beside them.

    Returns:
        The records, and the files of those that cannot be read.
    """
    runs, found, damaged = results / "runs", [], []
    keys = sorted(folder.name for folder in runs.iterdir()) if runs.is_dir() else []
    for key in keys:
        if key in skip:
            continue
        path = runs / key / "record.json"
        try:
            found.append(to_past(key, json.loads(path.read_bytes())))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            damaged.append(path)  # it counts for nothing, and the plan says so
    return found, damaged


def to_past(key: str, record: Mapping[str, Any]) -> Past:
    """Return what a plan uses of a record; what a failed run did not write is empty."""
    device = (record.get("environment") or {}).get("device") or {}
    return Past(
        key=key,
        status=str(record["status"]),
        profile=str(record.get("profile") or ""),
        spec=dict(record.get("spec") or {}),
        timing=dict(record.get("timing") or {}),
        budget=dict(record.get("budget") or {}),
        device=str(device.get("name") or ""),
        finished=str(record.get("finished_utc") or ""),
    )


class Changes:
    """Tells of a planned run which earlier result stands in its place, and what differs."""

    def __init__(self, past: Iterable[Past], profile: str) -> None:
        self._profile = profile
        self._by_axes: dict[tuple[Any, ...], list[Past]] = defaultdict(list)
        for record in past:
            if record.status in HAD_RESULT:
                self._by_axes[record.axes].append(record)

    def of(self, spec: RunSpec) -> tuple[str, ...]:
        """Return the changes since the closest earlier result; empty where there is none."""
        new = spec.to_dict()
        axes = (spec.architecture, spec.dataset, spec.source, spec.fold, spec.seed, self._profile)
        rivals = self._by_axes.get((*axes, _kind(new)), [])
        if not rivals:
            return ()
        latest_first = sorted(rivals, key=lambda record: record.finished, reverse=True)
        closest = min(latest_first, key=lambda record: len(_differing(record.spec, new)))
        return changes(closest.spec, new)


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the differences of two specifications, one short text for each field."""
    return tuple(_change(old, new, *place) for place in _differing(old, new))


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return section and name of every field that differs; a field of no section has none."""
    places = [("", name) for name in ("dims", "rules", "init_from")
              if old.get(name) != new.get(name)]  # fmt: skip
    for section in ("options", "protocol"):
        before, after = old.get(section) or {}, new[section]
        if before != after:
            places += [(section, name) for name in {**after, **before}
                       if name not in before or name not in after or before[name] != after[name]
                       ]  # fmt: skip
    return places + [("", name) for name in ("fingerprint", "code") if old.get(name) != new[name]]


def _change(old: Mapping[str, Any], new: Mapping[str, Any], section: str, name: str) -> str:
    if name == "fingerprint":
        return "files of the dataset"
    if name == "code":
        return (
            f"code of architectures/{new['architecture']}.py, datasets/{new['dataset']}.py or "
            "shared files"
        )
    if name == "init_from":
        return f"init_from {_start(old)} → {_start(new)}"
    label = f"{section}.{name}" if section else name
    absent = "default" if section == "options" else "absent"
    sides = (side.get(section) or {} if section else side for side in (old, new))
    before, after = (_written(side[name]) if name in side else absent for side in sides)
    if max(len(before), len(after)) > LONGEST_VALUE:
        return f"{label} changed"
    return f"{label} {before} → {after}"


def _start(spec: Mapping[str, Any]) -> str:
    return str((spec.get("init_from") or {}).get("run", "none"))


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class Durations:
    """Expects of a planned run what runs like it took on this device.

    Like it are finished runs of the same architecture, dataset, source and profile, or of another
    profile in which a step costs the same. Those that agree with it best in what a step costs are
    taken; their training time is scaled by the number or the time of the steps, and the median is
    returned. Where a network's own options differ the result is rough.
    """

    def __init__(self, past: Iterable[Past], profile: str, device: str) -> None:
        self._profile = profile
        self._like: dict[tuple[Any, ...], list[Past]] = defaultdict(list)
        self._known: dict[str, float | None] = {}
        for record in past:
            told = "total_s" in record.timing and bool(record.budget.get("steps"))
            if record.status == "ok" and record.device == device and told:
                self._like[_kin(record.spec)].append(record)

    def of(self, spec: RunSpec) -> float | None:
        """Return the expected seconds, or None where no run like it has finished here."""
        plain = spec.to_dict()
        network = json.dumps({**plain, "fold": None, "seed": None})
        if network not in self._known:
            self._known[network] = self._expect(plain)
        return self._known[network]

    def _expect(self, spec: Mapping[str, Any]) -> float | None:
        rated = [(_unlike(record.spec, spec), record) for record in self._like.get(_kin(spec), ())]
        rated = [(unlike, record) for unlike, record in rated
                 if record.profile == self._profile or not unlike]  # fmt: skip
        if not rated:
            return None
        least = min(unlike for unlike, _ in rated)
        return statistics.median(
            _scaled(record, spec) for unlike, record in rated if unlike == least
        )


def _kin(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    return spec.get("architecture"), spec.get("dataset"), spec.get("source"), spec.get("evaluate")


def _kind(spec: Mapping[str, Any]) -> tuple[bool, Any]:
    """Whether a recipe was tuned, and of a trial that it is one: neither replaces the other."""
    return bool(spec.get("tuned")), spec.get("evaluate")


def _unlike(old: Mapping[str, Any], new: Mapping[str, Any]) -> int:
    """Count the fields that change the cost of a step."""
    before = old.get("protocol") or {}
    pairs = [(before.get(name), new["protocol"].get(name)) for name in COST]
    pairs += [(old.get(name), new[name]) for name in ("options", "dims")]
    return sum(1 for one, other in pairs if one != other)


def _scaled(record: Past, spec: Mapping[str, Any]) -> float:
    """Return the time of a record with its training scaled to another budget.

    Validation is taken to go with the gradient steps. A run that may end early, at its target, is
    expected to take all its epochs, unless a record of the same budget shows when it ended.
    """
    total, training = float(record.timing["total_s"]), float(record.timing.get("train_s") or 0.0)
    before, after = record.spec.get("protocol") or {}, spec["protocol"]
    ratio = 1.0
    if any(before.get(name) != after[name] for name in BUDGET):
        steps = float(record.budget["steps"])
        if after["track"] == "time":
            ratio = float(after["max_train_s"]) / float(record.budget["steps_s"])
        elif after["track"] == "steps":
            ratio = float(after["max_steps"]) / steps
        else:
            # The last epoch may have been shorter.
            own = math.ceil(steps / float(record.budget["epochs"]))
            least, most = after["steps_per_epoch"]
            ratio = float(after["epochs"]) * min(max(own, least), most) / steps
    return total - training + training * ratio
