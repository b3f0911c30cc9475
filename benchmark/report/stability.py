"""How stable the ranks of a group are: by scheme, by metric, and when patients are drawn anew.

As challengeR does it (Wiesenfarth et al., Scientific Reports 2021), with the patient as the unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.report.cells import Cell, Column, Table, caption
from benchmark.report.document import Block, Section
from benchmark.report.groups import Group, row_title
from benchmark.report.leaderboard import DIGITS, HD95_DIGITS, by_group, case_scores
from benchmark.report.numerals import number
from benchmark.report.standings import SEED, Name, ranked_names, shared_scores, why_not
from benchmark.statistics.ranking import SCHEMES, Stability, rank_stability

# Column of the cases, its name in print, decimals that decide ranks, whether more is better.
METRICS = (
    ("dice", "Dice", DIGITS, True),
    ("nsd", "NSD", DIGITS, True),
    ("hd95_mm", "HD95", HD95_DIGITS, False),
)
DRAWS = 1000

SCHEME_TITLES = {
    "mean then rank": "Mean, then rank",
    "median then rank": "Median, then rank",
    "rank then mean": "Rank, then mean",
    "rank then median": "Rank, then median",
    "test then rank": "Test, then rank",
}
NOTE = (
    "Ranks are over patients, of the rows of the leaderboard that have a rank. Mean (or median), "
    "then rank: of the averages; rank, then mean (or median): of the average rank within each "
    "patient; test, then rank: of the number of others that are significantly worse (one-sided "
    "Wilcoxon test, 5 %). A missing value takes the worst rank, but a patient without a Dice for "
    "some row (nothing in truth and prediction) is left out. Scores are rounded (distances "
    "to 1 decimal, others to 3) before ties are decided; equal ones share the better rank."
)
TAU_NOTE = (
    "Kendall's τ of the ranking with those of 1,000 bootstrap draws of the patients: median and "
    "95 % interval. 1: every draw ranks alike. A dash: all share one rank, in the table or in "
    "every draw."
)


@dataclass(frozen=True)
class Ranking:
    """A ranking of a group's architectures by one metric and scheme, and its bootstrap draws."""

    group: Group
    metric: str
    names: tuple[Name, ...]
    stability: Stability
    patients: int

    @property
    def limits(self) -> npt.NDArray[np.float64]:
        """Median, and ends of the 95 % interval, of the drawn ranks: ``(3, methods)``."""
        drawn = self.stability.drawn_ranks
        return np.quantile(drawn, [0.5, 0.025, 0.975], axis=0, method="inverted_cdf")

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """How often each architecture has each rank, ``(methods, ranks)``; rows add up to 1."""
        ranks = np.arange(1, len(self.names) + 1)
        drawn = self.stability.drawn_ranks
        return np.asarray((drawn[:, :, None] == ranks).mean(axis=0))

    @property
    def tau(self) -> tuple[float, float, float]:
        """Median and ends of the 95 % interval of Kendall's tau; NaN where it has none."""
        known = self.stability.kendall_tau[~np.isnan(self.stability.kendall_tau)]
        if not known.size:
            return (float("nan"),) * 3
        middle, low, high = np.quantile(known, [0.5, 0.025, 0.975])
        return float(middle), float(low), float(high)


def rankings(frame: pd.DataFrame, groups: Sequence[Group], *, seed: int = SEED) -> list[Ranking]:
    """Rank every group with two or more ranked rows and patients by every metric and scheme.

    Args:
        frame: the leaderboard.
        groups: the groups it was made from.
        seed: of the bootstrap draws.
    """
    found = []
    for group in groups:
        names = ranked_names(by_group(frame, group))
        if len(names) < 2:
            continue
        scores = case_scores(group.cases)
        for metric, _, decimals, higher_is_better in METRICS:
            if metric not in scores or scores[metric].isna().all():
                continue
            table = shared_scores(scores, names, metric).to_numpy()
            if len(table) < 2:  # all draws of one patient are the same
                continue
            for scheme in SCHEMES:
                stability = rank_stability(
                    table,
                    scheme,
                    seed=seed,
                    draws=DRAWS,
                    decimals=decimals,
                    higher_is_better=higher_is_better,
                )
                found.append(Ranking(group, metric, tuple(names), stability, len(table)))
    return found


def stability_frame(found: Sequence[Ranking]) -> pd.DataFrame:
    """One row per group, metric, scheme and architecture, with the shares of all ranks."""
    rows = []
    for one in found:
        limits, shares = one.limits, one.shares
        tau = dict(zip(("tau_median", "tau_low", "tau_high"), one.tau, strict=True))
        for index, (architecture, variant) in enumerate(one.names):
            rows.append(
                {
                    "dataset": one.group.dataset,
                    "source": one.group.source,
                    "protocol_hash": one.group.protocol_hash,
                    "metric": one.metric,
                    "scheme": one.stability.scheme,
                    "architecture": architecture,
                    "variant": variant,
                    "rank": int(one.stability.ranks[index]),
                    **{
                        name: int(value)
                        for name, value in zip(
                            ("rank_median", "rank_low", "rank_high"), limits[:, index], strict=True
                        )
                    },
                    **tau,
                    **{f"share_{rank}": share for rank, share in enumerate(shares[index], start=1)},
                }
            )
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["dataset", "metric", "scheme"])


def stability_sections(
    found: Sequence[Ranking], frame: pd.DataFrame, groups: Sequence[Group]
) -> list[Section]:
    """Per group the ranks of all schemes side by side, and the spread of Kendall's tau.

    Groups without a ranking say why.
    """
    sections = []
    for group in groups:
        mine = [one for one in found if one.group is group]
        if not mine:
            reason = why_not(ranked_names(by_group(frame, group)), group)
            sections.append(Section(caption(group), group.slug, (), reason))
            continue
        blocks = (
            Block("ranks", "Ranks by scheme and metric", _rank_table(mine), (NOTE,)),
            Block("tau", "Stability of the ranking", _tau_table(mine), (TAU_NOTE,)),
        )
        sections.append(Section(caption(group), group.slug, blocks))
    return sections


def _scheme_columns() -> tuple[Column, ...]:
    return tuple(Column(SCHEME_TITLES[scheme]) for scheme in SCHEMES)


def _by_scheme(found: Sequence[Ranking], metric: str) -> list[Ranking]:
    return [one for one in found if one.metric == metric]


def _rank_table(found: Sequence[Ranking]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    breaks = []
    for metric, title, *_ in METRICS:
        mine = _by_scheme(found, metric)
        breaks.append(len(rows))
        for index, name in enumerate(mine[0].names if mine else ()):
            cells = []
            for one in mine:
                _, low, high = one.limits[:, index]
                cells.append(
                    Cell(f"{one.stability.ranks[index]:.0f} ({_range(int(low), int(high))})")
                )
            rows.append((Cell(title), Cell(row_title(*name)), *cells))
    columns = (Column("Metric", "left"), Column("Architecture", "left"), *_scheme_columns())
    return Table(columns, tuple(rows), frozenset(breaks) - {0})


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}"


def _tau_table(found: Sequence[Ranking]) -> Table:
    rows = []
    for metric, title, *_ in METRICS:
        mine = _by_scheme(found, metric)
        cells = []
        for one in mine:
            middle, low, high = (number(value, 2) for value in one.tau)
            cells.append(Cell(middle if middle == "—" else f"{middle} [{low}, {high}]"))
        if mine:
            rows.append((Cell(title), *cells))
    return Table((Column("Metric", "left"), *_scheme_columns()), tuple(rows))
