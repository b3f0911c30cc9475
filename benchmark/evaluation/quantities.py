"""What the measured quantities are called by people, and to how many decimals they are told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """How one quantity is told.

    Attributes:
        title: Its name for people.
        unit: Its unit; empty for a ratio.
        decimals: What its measurement deserves: the second decimal of a volume is a few voxels.
    """

    title: str
    unit: str
    decimals: int = 1


QUANTITIES: Mapping[str, Quantity] = {
    "la_volume": Quantity("LA volume", "mL"),
    "la_diameter_max": Quantity("LA largest diameter", "mm"),
    "la_surface": Quantity("LA surface", "cm²"),
    "la_sphericity": Quantity("LA sphericity", "", 3),
    "lv_edv": Quantity("LV EDV", "mL"),
    "lv_esv": Quantity("LV ESV", "mL"),
    "lv_sv": Quantity("LV SV", "mL"),
    "lv_ef": Quantity("LV EF", "%"),
    "lv_volume": Quantity("LV volume", "mL"),
    "rv_edv": Quantity("RV EDV", "mL"),
    "rv_esv": Quantity("RV ESV", "mL"),
    "rv_sv": Quantity("RV SV", "mL"),
    "rv_ef": Quantity("RV EF", "%"),
    "rv_volume": Quantity("RV volume", "mL"),
    "lv_mass": Quantity("LV mass", "g"),
    "myocardium_volume": Quantity("LV myocardium", "mL"),
    "lv_wall_mean_ed": Quantity("LV wall, mean, ED", "mm"),
    "lv_wall_max_ed": Quantity("LV wall, thickest, ED", "mm"),
    "lv_wall_mean_es": Quantity("LV wall, mean, ES", "mm"),
    "lv_wall_max_es": Quantity("LV wall, thickest, ES", "mm"),
    "lv_wall_mean": Quantity("LV wall, mean", "mm"),
    "lv_wall_max": Quantity("LV wall, thickest", "mm"),
}
"""By the name that files use, in the order of every table."""

METHODS: Mapping[str, str] = {
    "voxel_count": "voxels",
    "simpson_biplane": "Simpson biplane",
    "simpson_2ch": "Simpson 2CH",
    "simpson_4ch": "Simpson 4CH",
    "simpson_single": "Simpson, view unknown",
    "camus_official": "CAMUS' own",
    "camus_stated": "CAMUS' own against its stated EF",
    "surface": "surface of the largest piece",
    "mid_wall": "mid-ventricular slices",
}
"""How a quantity was measured, likewise."""


def tell(name: str, value: float) -> str:
    """Write a value with the decimals of its quantity; a dash for NaN."""
    if math.isnan(value):
        return "—"
    decimals = QUANTITIES[name].decimals
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0: no negative zero
