"""All volumes of one patient's echo exam, by each method it has the views for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmark.evaluation import simpson
from benchmark.evaluation.clinical import PHASES, Ventricle

Method = Literal["simpson_biplane", "simpson_2ch", "simpson_4ch", "camus_official"]
Exam = Mapping[tuple[str, str], "Seen"]

VIEWS = ("2CH", "4CH")
VIEWS_OF: Mapping[Method, tuple[str, ...]] = {
    "simpson_biplane": VIEWS,
    "simpson_2ch": ("2CH",),
    "simpson_4ch": ("4CH",),
    "camus_official": VIEWS,
}
"""What each method needs, at both instants; the default method first."""


@dataclass(frozen=True)
class Seen:
    """The left ventricle in one image: a few numbers, so that the image need not be kept.

    Attributes:
        empty: Whether no pixel shows it.
        ours: Its measures for the `simpson_*` methods; None if not measurable.
        official: Its measures for `camus_official`; likewise.
    """

    empty: bool
    ours: simpson.View | None
    official: simpson.View | None


def see(
    label_map: npt.NDArray[np.integer], spacing_mm: tuple[float, float], label: int = 1
) -> Seen:
    """Measure the left ventricle in one image.

    Args:
        label_map: Label map `(y, x)` at native resolution; the apex is above.
        spacing_mm: Size of a pixel along y and x.
        label: Label of the left-ventricular cavity.
    """
    mask = label_map == label
    return Seen(
        empty=not mask.any(),
        ours=simpson.measure(mask, spacing_mm),
        official=simpson.measure_official(mask, spacing_mm),
    )


def ventricle_volumes(exam: Exam) -> dict[Method, Ventricle]:
    """Put the images of one exam together.

    Args:
        exam: What was seen, by view ("2CH", "4CH") and phase ("ED", "ES").

    Returns:
        The volumes by method, `simpson_biplane` first. A method is left out if the exam lacks an
        image that it needs; volumes are NaN if an image is there but not measurable.
    """
    volumes: dict[Method, Ventricle] = {}
    for method, views in VIEWS_OF.items():
        if not all((view, phase) in exam for view in views for phase in PHASES):
            continue
        if len(views) == 1:
            diastole, systole = (exam[views[0], phase].ours for phase in PHASES)
            volumes[method] = simpson.single_plane(diastole, systole)
        elif method == "camus_official":
            two, four = ([exam[view, phase].official for phase in PHASES] for view in VIEWS)
            volumes[method] = simpson.camus_official((two[0], four[0]), (two[1], four[1]))
        else:
            two, four = ([exam[view, phase].ours for phase in PHASES] for view in VIEWS)
            volumes[method] = simpson.biplane((two[0], four[0]), (two[1], four[1]))
    return volumes
