"""All volumes of one patient's echo exam, by each method it has the views for."""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmark.evaluation import simpson
from benchmark.evaluation.clinical import PHASES, Ventricle

Method = Literal["simpson_biplane", "simpson_2ch", "simpson_4ch", "camus_official"]
Planar = tuple[npt.NDArray[np.integer], tuple[float, float]]

VIEWS = ("2CH", "4CH")


def ventricle_volumes(
    exam: Mapping[tuple[str, str], Planar], label: int = 1
) -> dict[Method, Ventricle]:
    """Measure the left ventricle of one exam.

    Args:
        exam: Label map `(y, x)` at native resolution and its spacing in mm, by view ("2CH", "4CH")
            and phase ("ED", "ES").
        label: Label of the left-ventricular cavity.

    Returns:
        The volumes by method, `simpson_biplane` first. A method is left out if the exam lacks an
        image that it needs; volumes are NaN if an image is there but not measurable.
    """
    ours = _measured(exam, label, simpson.measure)
    volumes: dict[Method, Ventricle] = {}
    complete = [view for view in VIEWS if all((view, phase) in exam for phase in PHASES)]
    if len(complete) == len(VIEWS):
        volumes["simpson_biplane"] = simpson.biplane(*_instants(ours))
    if "2CH" in complete:
        volumes["simpson_2ch"] = simpson.single_plane(ours["2CH", "ED"], ours["2CH", "ES"])
    if "4CH" in complete:
        volumes["simpson_4ch"] = simpson.single_plane(ours["4CH", "ED"], ours["4CH", "ES"])
    if len(complete) == len(VIEWS):
        official = _measured(exam, label, simpson.measure_official)
        volumes["camus_official"] = simpson.camus_official(*_instants(official))
    return volumes


Views = dict[tuple[str, str], simpson.View | None]


def _measured(
    exam: Mapping[tuple[str, str], Planar],
    label: int,
    measure: Callable[[npt.NDArray[np.bool_], tuple[float, float]], simpson.View | None],
) -> Views:
    return {key: measure(image == label, spacing_mm) for key, (image, spacing_mm) in exam.items()}


def _instants(
    views: Views,
) -> tuple[
    tuple[simpson.View | None, simpson.View | None], tuple[simpson.View | None, simpson.View | None]
]:
    return (views["2CH", "ED"], views["4CH", "ED"]), (views["2CH", "ES"], views["4CH", "ES"])
