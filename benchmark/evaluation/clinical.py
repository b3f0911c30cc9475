"""What a cardiologist reads from segmentations: volumes, ejection fraction, mass.

A chamber without a single voxel has no volume to report: it is *not measurable*, NaN, and so is all
that follows from it. Agreement tables count such patients (`benchmark.statistics.agreement`).
`benchmark.evaluation.endpoints` puts these formulas together for the patients of a test set.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer]

# End-diastole and end-systole.
PHASES = ("ED", "ES")

# Specific gravity of heart muscle, as in Khened et al., Medical Image Analysis 2019.
MYOCARDIUM_G_PER_ML = 1.05


@dataclass(frozen=True)
class Ventricle:
    """The volumes of one ventricle at both ends of the beat; NaN where not measurable."""

    edv_ml: float
    esv_ml: float

    @property
    def stroke_volume_ml(self) -> float:
        """End-diastolic minus end-systolic volume."""
        return self.edv_ml - self.esv_ml

    @property
    def ef_pct(self) -> float:
        """Ejection fraction in percent; NaN without two volumes or with an EDV of 0."""
        if not self.edv_ml > 0:
            return math.nan
        return 100 * (self.edv_ml - self.esv_ml) / self.edv_ml


def volume_ml(label_map: Labels, label: int, spacing_mm: tuple[float, ...]) -> float:
    """Volume of one structure of a label map `(z, y, x)`: voxels times voxel volume.

    Returns:
        Millilitres; NaN (not measurable) if no voxel has the label.

    Raises:
        ValueError: If the label map is not a volume, or the spacing does not fit it.
    """
    if label_map.ndim != 3 or len(spacing_mm) != 3:
        raise ValueError(
            "Expected a label map (z, y, x) and three spacings in mm. "
            f"Received: shape {label_map.shape}, spacing {spacing_mm}. "
            "The volume behind planar images comes from benchmark.evaluation.simpson."
        )
    voxels = int(np.count_nonzero(label_map == label))
    return voxels * math.prod(spacing_mm) / 1000 if voxels else math.nan


def myocardial_mass_g(myocardium_ml: float) -> float:
    """Mass of heart muscle, from its volume at end-diastole."""
    return myocardium_ml * MYOCARDIUM_G_PER_ML
