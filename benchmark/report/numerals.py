"""How numbers are printed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmark.report.leaderboard import DIGITS

NOTHING = "—"


def dice_interval(row: Mapping[str, Any] | pd.Series[Any], decimals: int = DIGITS) -> str:
    """Mean and interval: ``0.912 [0.893, 0.928]``."""
    if pd.isna(row["dice"]):
        return NOTHING
    low, high = number(row["dice_low"], decimals), number(row["dice_high"], decimals)
    return f"{number(row['dice'], decimals)} [{low}, {high}]"


def number(value: float, digits: int) -> str:
    """A number with fixed decimals, or a dash."""
    return NOTHING if _missing(value) or math.isinf(value) else f"{value:.{digits}f}"


def rank_interval(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """Best and worst rank: ``1–3``, or ``2`` where both are one."""
    low, high = count(row["rank_low"]), count(row["rank_high"])
    return low if low == high else f"{low}–{high}"


def p_best(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """Probability of being best; what is not 0 or 1 is not printed as such."""
    value = row["p_best"]
    if _missing(value):
        return NOTHING
    if 0 < value < 0.005:
        return "< 0.01"
    return "> 0.99" if 0.995 <= value < 1 else f"{value:.2f}"


def count(value: Any) -> str:
    """A whole number, or a dash."""
    return NOTHING if _missing(value) else str(int(value))


def significant(value: float) -> str:
    """Three significant digits without an exponent, or a dash."""
    if _missing(value):
        return NOTHING
    if value == 0:
        return "0"
    # Rounded first: 0.9996 would otherwise be given the decimals of a number below 1.
    rounded = float(f"{value:.2e}")
    return f"{rounded:.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def magnitude(value: float) -> str:
    """A count in thousands or millions: ``1.94 M``."""
    if _missing(value):
        return NOTHING
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        # 999,999 would otherwise read "1000 k".
        if value >= 0.9995 * limit:
            return f"{significant(value / limit)} {unit}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """Seconds as ``45 s``, ``4 min 05 s`` or ``3 h 20 min``."""
    if _missing(seconds):
        return NOTHING
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _missing(value: Any) -> bool:
    return bool(pd.isna(value))
