"""Scores on files that a model was not trained on: tables of their own, apart from the leaderboard.

One section per pair of training set and place; what was trained on one dataset by one protocol
and tested on one release through one map of classes is compared, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.records import cases_frame
from benchmark.report import style
from benchmark.report.cells import PHANTOM, Cell, Column, Table, surface_notes
from benchmark.report.document import Block, Section, write_csv, write_printed
from benchmark.report.groups import Group, comparison_groups, dataset_title, row_title
from benchmark.report.leaderboard import (
    DIGITS,
    HD95_DIGITS,
    PARTIAL,
    case_scores,
    leaderboard,
    patient_means,
)
from benchmark.report.numerals import NOTHING, count, dice_interval, number
from benchmark.report.standings import SEED
from benchmark.report.subgroups import subgroup_frame, subgroup_notes, subgroup_table
from benchmark.statistics.comparison import bootstrap_mean

STEMS = ("generalisation", "generalisation_subgroups")
_SCORED = ("ok", PARTIAL)
NOTE = (
    "Each model as it was trained, on its own grid and with its own post-processing, on all "
    "labelled cases of the place; a case is averaged over the models (folds, seeds), then a "
    "patient's cases, then patients; the interval is a bootstrap over patients. These numbers "
    "enter no leaderboard and no mean with others, and nothing is ranked by them."
)
HOME_NOTE = (
    "At home: Dice of the same models on their own test patients, over the same classes; other "
    "patients, other pictures."
)


@dataclass(frozen=True)
class Abroad:
    """What models of one training set scored at one place.

    Attributes:
        group: Their records as a group of a report.
        runs: Those records, by key.
        home: Dice at home over the same classes: mean, low and high by architecture and variant.
    """

    group: Group
    runs: Mapping[str, Mapping[str, Any]]
    home: Mapping[tuple[str, str], Mapping[str, float]]

    @property
    def any_record(self) -> Mapping[str, Any]:
        """One of the records: what they have in common is in each."""
        return next(iter(self.runs.values()))

    @property
    def compared(self) -> dict[str, str]:
        """Class of the files by class of the model."""
        return dict(self.any_record["task"]["classes"])


def write_generalisation(
    folder: Path, followers: Sequence[Mapping[str, Any]], cases: pd.DataFrame
) -> list[Path]:
    """Write ``generalisation`` as CSV, Markdown and LaTeX, and its subgroups as CSV.

    Args:
        folder: made if absent.
        followers: from :func:`benchmark.records.read_followers`.
        cases: the rows of all ``cases.csv`` of the runs themselves, for the scores at home.

    Returns:
        The paths; none where nothing was tested elsewhere, and files of an earlier report go.
    """
    found = list(sections_of(followers, cases))
    if not found:
        for name in (*(f"{stem}.csv" for stem in STEMS), f"{STEMS[0]}.md", f"{STEMS[0]}.tex"):
            (folder / name).unlink(missing_ok=True)
        return []
    frames = [_frame(one) for one in found]
    split = subgroup_frame([one.group for one in found])
    sections = [
        _section(one, frame, split) for one, frame in zip(found, frames, strict=True)
    ]  # fmt: skip
    return [
        write_csv(folder, STEMS[0], pd.concat(frames, ignore_index=True)),
        write_csv(folder, STEMS[1], split),
        *write_printed(folder, STEMS[0], "Generalisation to other files", sections),
    ]


def sections_of(followers: Sequence[Mapping[str, Any]], cases: pd.DataFrame) -> Iterator[Abroad]:
    """Sort the tests elsewhere by training set, protocol, place and map of classes."""
    tests = [record for record in followers if record["task"]["kind"] == "test_on"]
    by_key = {record["key"]: record for record in tests}
    for group in comparison_groups(tests, cases_frame(tests), pd.DataFrame()):
        members = {run.key: by_key[run.key] for run in group.runs}
        first = members[group.runs[0].key]
        trained, site = first["of"], first["task"]["site"]
        place = dataset_title(group.runs)
        if site != first["task"]["dataset"]:
            place = f"{site} ({place})"
        home = style.dataset_title(trained["dataset"])
        if trained["release"]:
            home += f" ({trained['release']})"
        slug = f"{trained['dataset']}_on_{site}_{group.source}_{group.protocol_hash}"
        named = replace(group, title=f"{home} → {place}", slug=slug, others={})
        yield Abroad(named, members, _at_home(named, members, cases))


def _at_home(
    group: Group, members: Mapping[str, Mapping[str, Any]], cases: pd.DataFrame
) -> dict[tuple[str, str], dict[str, float]]:
    """Dice of the same models at home, over the classes that are compared."""
    scores: dict[tuple[str, str], dict[str, float]] = {}
    for name in group.names:
        runs = [members[run.key] for run in group.of(name) if run.ok]
        if not runs or cases.empty:
            continue
        mine = cases[
            cases["run"].isin([run["of"]["key"] for run in runs])
            & cases["class"].isin(runs[0]["task"]["classes"])
        ]
        means = patient_means(case_scores(mine.assign(variant=name[1])), "dice")
        interval = bootstrap_mean(means.to_numpy(), seed=SEED)
        scores[name] = {
            "dice": interval.mean, "dice_low": interval.low, "dice_high": interval.high,
        }  # fmt: skip
    return scores


def _frame(one: Abroad) -> pd.DataFrame:
    """The rows of one section with machine names and full precision."""
    frame = leaderboard([one.group])
    record = one.any_record
    names = list(zip(frame["architecture"], frame["variant"], strict=True))
    scored = frame["status"].isin(_SCORED)
    ahead = {
        "trained_on": record["of"]["dataset"],
        "trained_source": record["of"]["source"],
        "trained_release": record["of"]["release"],
        "trained_protocol": record["of"]["protocol_hash"],
        "site": record["task"]["site"],
        "classes": " ".join(f"{ours}={theirs}" for ours, theirs in one.compared.items()),
    }
    for place, (name, value) in enumerate(ahead.items()):
        frame.insert(place, name, value)
    for column in ("dice", "dice_low", "dice_high"):
        values = [one.home.get(name, {}).get(column) for name in names]
        frame[f"home_{column}"] = pd.Series(values, frame.index, dtype=float).where(scored)
    unused = ("tier", "rank", "rank_low", "rank_high", "p_best", "train_s", "parameters")
    return frame.drop(columns=[name for name in unused if name in frame])


def _section(one: Abroad, frame: pd.DataFrame, split: pd.DataFrame) -> Section:
    group = one.group
    notes = _notes(one, frame)
    blocks = [Block("generalisation", "Scores elsewhere", _table(one, frame), notes)]
    mine = split[split["protocol_hash"] == group.protocol_hash]
    if len(mine):
        parts = subgroup_table(mine, group)
        phantom = (PHANTOM,) if group.phantom else ()
        told = (*subgroup_notes(mine, group), *phantom)
        blocks.append(Block("generalisation-subgroups", "Dice by subgroup", parts, told))
    protocol = one.any_record["of"]["protocol_hash"]
    heading = f"{group.title}, {group.source} data, trained by protocol {protocol}"
    return Section(heading, group.slug, tuple(blocks))


def _table(one: Abroad, frame: pd.DataFrame) -> Table:
    classes = [*one.group.classes, *one.group.region_names]
    hd95 = "hd95_mm" in frame and frame["hd95_mm"].notna().any()
    columns = (
        Column("Architecture", "left"),
        Column("Dice elsewhere [95 % interval]"),
        Column("At home, same classes"),
        *(Column(f"Dice {style.words(name)}") for name in classes),
        *((Column("HD95 (mm)"),) if hd95 else ()),
        *(Column(text) for text in ("Models", "Patients", "Cases", "Failed")),
    )
    rows: list[tuple[Cell, ...]] = []
    said: set[tuple[str, str]] = set()
    for _, row in frame.iterrows():
        title = row_title(row["architecture"], row["variant"])
        if row["status"] not in _SCORED:
            if (title, row["status"]) not in said:  # once, not for every fold and seed
                said.add((title, row["status"]))
                rest = (Cell(NOTHING) for _ in columns[2:])
                rows.append((Cell(title), Cell(f"{NOTHING} ({_word(row['status'])})"), *rest))
            continue
        home = {name: row[f"home_{name}"] for name in ("dice", "dice_low", "dice_high")}
        rows.append(
            (
                *(Cell(title), Cell(dice_interval(row)), Cell(dice_interval(home))),
                *(Cell(number(row[f"dice_{name}"], DIGITS)) for name in classes),
                *((Cell(number(row["hd95_mm"], HD95_DIGITS)),) if hd95 else ()),
                *(Cell(count(row[name])) for name in ("runs", "patients", "cases", "failed")),
            )
        )
    return Table(columns, tuple(rows))


def _word(status: str) -> str:
    return "not applicable" if status == "skipped" else status


def _notes(one: Abroad, frame: pd.DataFrame) -> tuple[str, ...]:
    notes = [PHANTOM] if one.group.phantom else []
    notes += [NOTE, HOME_NOTE]
    pairs = ", ".join(
        f"{style.words(ours)} → {style.words(theirs)}" for ours, theirs in one.compared.items()
    )
    if pairs:
        notes.append(
            f"Class of the model → class of the files: {pairs}. What the model finds besides "
            "counts as background, and what the files show besides is not scored."
        )
    if one.group.unannotated:
        names = ", ".join(style.words(name) for name in one.group.unannotated)
        notes.append(f"Classes without annotation in these files, hence not scored: {names}.")
    notes += surface_notes(one.group)
    reasons: dict[str, list[str]] = {}
    for _, row in frame[~frame["status"].isin(_SCORED)].iterrows():
        text = f"{_word(row['status'])}: {row['error']}"
        reasons.setdefault(text, []).append(row_title(row["architecture"], row["variant"]))
    notes += [
        f"{', '.join(dict.fromkeys(titles))}: {text}" for text, titles in reasons.items()
    ]  # fmt: skip
    return tuple(notes)
