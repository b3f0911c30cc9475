"""What one cell of a printed table says, before Markdown, LaTeX or the terminal dress it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.report import style, tuned
from benchmark.report.groups import OK, START, Group, dataset_title, row_title
from benchmark.report.leaderboard import DIGITS, HD95_DIGITS, PARTIAL, rounded_ranks
from benchmark.report.numerals import (
    NOTHING,
    count,
    dice_interval,
    duration,
    magnitude,
    number,
    p_best,
    rank_interval,
    significant,
)
from benchmark.report.protocols import apart, protocol_notes

PHANTOM = "Phantom data: synthetic hearts, not patients; no clinical meaning."
SD_DIGITS = 4  # spreads of runs lie in the third decimal of Dice
TIERS = (
    "Tier: not separable from the tier's leader (paired randomisation test over patients, Holm, "
    "5 %). Rank interval: 95 % of bootstrap draws of patients; P(best): share of the draws in "
    f"which it ranks first. Ranks are decided on Dice rounded to {DIGITS} decimals."
)


@dataclass(frozen=True)
class Column:
    """A heading, how its cells are aligned, and a name to choose it by."""

    heading: str
    align: str = "right"
    name: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell's text and its place: 1 is best of the column, 2 second, 0 neither."""

    text: str
    place: int = 0


@dataclass(frozen=True)
class Table:
    """A printed table: every row has one cell for each column.

    ``breaks`` are indices of rows that begin something new, such as a tier.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    breaks: frozenset[int] = frozenset()


_HEAD = (
    Column("Dataset", "left", "dataset"),
    Column("Source", "left", "source"),
    Column("Architecture", "left", "architecture"),
)
_HEADINGS = {"iou": "IoU", "hd95_mm": "HD95 (mm)", "nsd": "NSD"}
_SCORE_COUNTS = ("patients", "cases", "scored", "excluded", "failed")
SCORE_NAMES = ("hd95_mm", "nsd")
"""Columns of the scores that some reports lack."""


def score_table(frame: pd.DataFrame, group: Group, *, decimals: int = DIGITS) -> Table:
    """Tier, rank, Dice with interval, IoU, Dice per class and region, distances, what they rest on.

    Args:
        frame: the rows of the group in the leaderboard.
        group: the group.
        decimals: of Dice, IoU and NSD as printed; the best are decided on three.
    """
    classes = [*group.classes, *group.region_names]
    scores = [
        ("iou", DIGITS, decimals, "high"),
        *((f"dice_{name}", DIGITS, decimals, "high") for name in classes),
        *(
            (name, digits, printed, best)
            for name, digits, printed, best in (
                ("hd95_mm", HD95_DIGITS, HD95_DIGITS, "low"),
                ("nsd", DIGITS, decimals, "high"),
            )
            if name in frame and frame[name].notna().any()
        ),
    ]
    places = {
        name: _places(frame, name, digits, best)
        for name, digits, _, best in [("dice", DIGITS, decimals, "high"), *scores]
    }
    columns = (
        *_HEAD,
        Column("Tier", name="tier"),
        Column("Rank", name="rank"),
        Column("Rank interval", name="rank_interval"),
        Column("P(best)", name="p_best"),
        Column("Dice [95 % interval]", name="dice"),
        Column("SD over seeds", name="seed_sd"),
        Column("SD over folds", name="fold_sd"),
        *(
            Column(
                _HEADINGS.get(name) or f"Dice {style.words(name.removeprefix('dice_'))}", name=name
            )
            for name, *_ in scores
        ),
        *(Column(name.capitalize(), name=name) for name in _SCORE_COUNTS),
    )
    rows = []
    for position, (_, row) in enumerate(frame.iterrows()):
        head = _head(row, group)
        standing = [
            Cell(text)
            for text in (count(row["tier"]), count(row["rank"]), rank_interval(row), p_best(row))
        ]
        if not _is_scored(row):
            text = f"{NOTHING} ({row['status']})"
            body = [*standing, Cell(text), *(Cell(NOTHING) for _ in columns[8:])]
        else:
            body = [
                *standing,
                Cell(dice_interval(row, decimals), places["dice"][position]),
                *(Cell(number(row[name], SD_DIGITS)) for name in ("seed_sd", "fold_sd")),
                *(
                    Cell(number(row[name], printed), places[name][position])
                    for name, _, printed, _ in scores
                ),
                *(Cell(count(row[name])) for name in _SCORE_COUNTS),
            ]
        rows.append((*head, *body))
    tiers = frame["tier"].fillna(0).tolist()
    breaks = frozenset(index for index in range(1, len(tiers)) if tiers[index] != tiers[index - 1])
    return Table(columns, tuple(rows), breaks)


def cost_table(frame: pd.DataFrame, group: Group) -> Table:
    """What the scores cost: size, times, memory, energy, runs; nothing that no run measured."""
    measured = [column for column in _COSTS if not column.optional or _any(frame, column.name)]
    columns = (
        *_HEAD,
        *(Column(column.heading, column.align, column.name) for column in measured),
        Column("Seeds", name="seeds"),
        Column("Folds", name="folds"),
        Column("Status", "left", "status"),
    )
    rows = []
    for _, row in frame.iterrows():
        rows.append(
            (
                *_head(row, group),
                *(Cell(column.text(row)) for column in measured),
                Cell(count(row["seeds"])),
                Cell(count(row["folds"])),
                Cell(status(row)),
            )
        )
    return Table(columns, tuple(rows))


def footers(frame: pd.DataFrame, group: Group) -> list[str]:
    """Sentences below the tables of a group: what was left out, and why."""
    notes = []
    if group.phantom:
        notes.append(PHANTOM)
    notes.append(
        "Mean foreground Dice: over the classes of a case, the cases of a patient, the patients; "
        "a case tested by several runs is averaged first. The interval is a bootstrap over "
        "patients (10,000 draws)."
    )
    notes.append(
        "Scored: pairs of case and class present in truth and prediction, counted over all runs. "
        "Excluded: absent from both, no score. Failed: missed or invented by the network, scored 0."
    )
    notes += surface_notes(group)
    if group.region_names:
        names = ", ".join(style.words(name) for name in group.region_names)
        notes.append(f"Unions of classes, hence in no mean and no count: {names}.")
    if frame["tier"].notna().any():
        notes.append(TIERS)
    if frame["seed_sd"].notna().any() or frame["fold_sd"].notna().any():
        notes.append(
            "SD over seeds: standard deviation of the mean Dice of runs that differ in their seed "
            "alone; over folds likewise. Neither is part of the interval."
        )
    notes += [*tuned.notes(group), *protocol_notes(group)]
    if group.unannotated:
        names = ", ".join(style.words(name) for name in group.unannotated)
        notes.append(f"Classes without annotation in these files, hence not scored: {names}.")
    guests = sorted({run.title for run in group.runs if run.external})
    if guests:
        notes.append(
            f"Predicted elsewhere and only scored here, by the same rules on the same files: "
            f"{', '.join(guests)}. How and on which patients these were trained is not known."
        )
    notes += start_notes(group)
    partial = [row for _, row in frame.iterrows() if row["status"] == PARTIAL]
    if partial:
        names = ", ".join(row_title(row["architecture"], row["variant"]) for row in partial)
        notes.append(
            f"Partial, hence without a rank: {names} (a run failed, or not every case of the "
            "group was tested)."
        )
    for _, row in frame.iterrows():
        if not _is_scored(row):
            title = row_title(row["architecture"], row["variant"])
            reason = f": {row['error']}" if row["error"] else ""
            notes.append(
                f"{title}, fold {row['fold']}, seed {row['seed']}: {row['status']}{reason}"
            )
    return notes


def surface_notes(group: Group) -> list[str]:
    """How surface distances were defined, one sentence for each definition in the group."""
    found = {
        (protocol["surface_definition"], protocol["nsd_tolerance_mm"])
        for protocol in group.protocols.values()
        if {"surface_definition", "nsd_tolerance_mm"} <= set(protocol)
    }
    return [
        f"Surface distances (HD95, NSD): {style.words(definition)}; NSD at a tolerance of "
        f"{tolerance_mm:g} mm."
        for definition, tolerance_mm in sorted(found)
    ]


def start_notes(group: Group) -> list[str]:
    """What rows that started from another run's weights took over; nothing where none did."""
    notes = []
    for name in group.names:
        starts = [run.options[START] for run in group.of(name) if run.ok and START in run.options]
        if starts:
            keys = ", ".join(sorted({start["run"] for start in starts}))
            fresh = sorted({layer for start in starts for layer in start["reinitialised"]})
            notes.append(
                f"{row_title(*name)}: started from the weights of run {keys}, whose training is in "
                f"no time and no budget here; re-initialised: {', '.join(fresh) or 'nothing'}."
            )
    return notes


def _precision(names: Any) -> str:
    """What the network computed in: ``mixed_bfloat16`` is ``bfloat16``; a failed run has none."""
    return "—" if pd.isna(names) or not names else str(names).replace("mixed_", "")


def _throughput(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """Patches per second and the batch they came in: ``105 (8)``."""
    value = significant(row["throughput_per_s"])
    return value if value == NOTHING else f"{value} ({row['throughput_batch']})"


def _energy(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """Kilojoules and what took them: ``12.3 (GPU)``."""
    value = significant(row["energy_j"] / 1e3)
    return value if value == NOTHING else f"{value} ({', '.join(row['energy_of'].split())})"


@dataclass(frozen=True)
class _Cost:
    """A column of the costs; one that is optional is left out where no row has its number."""

    name: str
    heading: str
    text: Callable[[pd.Series[Any]], str]
    optional: bool = False
    align: str = "right"


_COSTS = (
    _Cost("parameters", "Parameters", lambda row: magnitude(row["parameters"])),
    _Cost("gmacs", "GMACs per patch", lambda row: significant(row["gmacs"]), optional=True),
    _Cost("train_s", "Training time", lambda row: duration(row["train_s"])),
    _Cost("energy_j", "Training energy (kJ)", _energy, optional=True),
    _Cost("inference_ms", "Inference (ms per case)", lambda row: significant(row["inference_ms"])),
    _Cost(
        "latency_ms",
        "Latency (ms per patch)",
        lambda row: significant(row["latency_ms"]),
        optional=True,
    ),
    _Cost("throughput_per_s", "Patches per second (batch)", _throughput, optional=True),
    _Cost("peak_rss_mib", "Peak memory (MiB)", lambda row: number(row["peak_rss_mib"], 0)),
    _Cost("precision", "Precision", lambda row: _precision(row["precision"]), align="left"),
    _Cost(
        "peak_device_mib",
        "Peak GPU memory (MiB)",
        lambda row: number(row["peak_device_mib"], 0),
        optional=True,
    ),
)
COST_NAMES = tuple(column.name for column in _COSTS)
"""Columns of the costs; some reports lack some of them."""


def _any(frame: pd.DataFrame, name: str) -> bool:
    return bool(frame[name].notna().any())


def caption(group: Group) -> str:
    """One line that names the group."""
    if group.mixed:
        return f"{dataset_title(group.runs)}, {group.source} data, MIXED PROTOCOLS"
    digest = group.protocol_hash[:8]
    profiles = "/".join(sorted({run.profile for run in group.runs} - {""}))
    profile = f", profile {profiles}" if profiles else ""
    title = f"{dataset_title(group.runs)}, {group.source} data{profile}"
    return f"{title}, protocol {digest}{apart(group)}"


def status(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """``ok``, ``partial``, or a dash with the reason of the failure."""
    return str(row["status"]) if _is_scored(row) else f"{NOTHING} ({row['status']})"


def _is_scored(row: Mapping[str, Any] | pd.Series[Any]) -> bool:
    return row["status"] in (OK, PARTIAL)


def _head(row: pd.Series[Any], group: Group) -> tuple[Cell, Cell, Cell]:
    title = row_title(row["architecture"], row["variant"])
    if not _is_scored(row):
        title += f", fold {row['fold']}, seed {row['seed']}"
    return Cell(dataset_title(group.runs)), Cell(group.source), Cell(title)


def _places(frame: pd.DataFrame, name: str, digits: int, best: str) -> Sequence[int]:
    """1 for best and 2 for second among the ranked rows; all 0 where nothing is compared."""
    values = frame[name].where(frame["rank"].notna()).tolist()
    if sum(not pd.isna(value) for value in values) < 2:
        return [0] * len(values)
    ranks = rounded_ranks(values, digits=digits, best=best)
    return [int(rank) if rank in (1, 2) else 0 for rank in ranks]
