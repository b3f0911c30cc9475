"""What masks say of a heart: volumes, ejection fraction, mass, wall and shape, each with its unit.

The formulas are those of the benchmark's clinical endpoints. What cannot be measured has no value
but a reason: a mask that is not there, a structure that no voxel shows, one that has no long axis,
or one that the edge of the image cuts off, so that nobody knows how much of it lies outside. Stacks
of short-axis slices end inside the heart; their first and last slice are no edge for ventricles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmark.evaluation import echo, shape, simpson
from benchmark.evaluation.clinical import PHASES, myocardial_mass_g
from benchmark.evaluation.contour import main_body
from benchmark.evaluation.endpoints import VOXELS, Measured, ventricle, volume_of
from benchmark.evaluation.overlap import Mask
from benchmark.evaluation.quantities import METHODS, QUANTITIES
from benchmark.evaluation.surface import bounding_box
from benchmark.evaluation.wall import mid_ventricular, wall_thickness

Labels = npt.NDArray[np.integer]

_CHAMBERS = (("lv", "left_ventricle"), ("rv", "right_ventricle"))
_SUFFIX = {"ED": "edv", "ES": "esv", "": "volume"}
_WALL = ("lv_wall_mean", "lv_wall_max")
_UNSEEN = echo.Seen(empty=True, ours=None, official=None)
_SHAPE = ("la_diameter_max", "la_surface", "la_sphericity")


@dataclass(frozen=True)
class Measurement:
    """One quantity.

    Attributes:
        name: As in `benchmark.evaluation.quantities.QUANTITIES`.
        value: In its unit; NaN if not measurable.
        unit: `mL`, `%`, `g`, `mm`, `cm²`, or empty for a ratio.
        reason: Why it is not measurable; empty where there is a value.
        method: As in `benchmark.evaluation.quantities.METHODS`.
    """

    name: str
    value: float
    unit: str
    reason: str = ""
    method: str = VOXELS


@dataclass(frozen=True, eq=False)
class HeartMask:
    """The mask of one image.

    Attributes:
        label_map: Label map `(z, y, x)` of a volume, or `(y, x)` of an apical echo view.
        spacing_mm: Size of a voxel along each axis.
        phase: `ED`, `ES`, or empty if the instant is not known or there is none.
        view: `2CH` or `4CH` of an echo image; empty if it is not known or there is none.
    """

    label_map: Labels
    spacing_mm: tuple[float, ...]
    phase: str = ""
    view: str = ""


def measure_mask(
    label_map: Labels,
    spacing_mm: tuple[float, ...],
    classes: Mapping[str, int],
    *,
    phase: str = "",
    view: str = "",
) -> list[Measurement]:
    """Measure what one mask alone can tell.

    Args:
        label_map: Label map `(z, y, x)` of a volume in slices of the short axis (or, for the left
            atrium, any), or `(y, x)` of an apical echo view, the apex above.
        spacing_mm: Size of a voxel along each axis.
        classes: Label by name. `left_ventricle`, `right_ventricle`, `myocardium` and `left_atrium`
            are measured.
        phase: `ED` or `ES`; without it volumes are called `lv_volume` and `rv_volume`.
        view: `2CH` or `4CH` of an echo view, which names the method.

    Returns:
        In the order of `METHODS` and `QUANTITIES`. Of echo views the left ventricle alone is
        measured.
    """
    mask = HeartMask(label_map, spacing_mm, phase, view)
    if label_map.ndim == 2:
        return _ordered(_one_view(mask, classes))
    return _ordered(_of_volume(mask, classes))


def measure_patient(
    masks: Sequence[HeartMask], classes: Mapping[str, int], *, dims: int, beats: bool
) -> list[Measurement]:
    """Measure all that the masks of one patient tell together.

    Args:
        masks: At most one for each phase and view; those whose phase is not known are left out
            where the heart beats.
        classes: As in `measure_mask`.
        dims: 3 for volumes, 2 for echo views.
        beats: Whether masks are of end diastole and end systole. A mask that is not among `masks`
            is the reason why what needs it is not measurable.

    Returns:
        In the order of `METHODS` and `QUANTITIES`.
    """
    placed = {(mask.view, mask.phase): mask for mask in masks if mask.phase or not beats}
    if dims == 2:
        return _ordered(_exam(placed, classes))
    if not beats:
        return _ordered(found for mask in placed.values() for found in _of_volume(mask, classes))
    return _ordered(_beat({phase: mask for (_, phase), mask in placed.items()}, classes))


def _beat(masks: Mapping[str, HeartMask], classes: Mapping[str, int]) -> Iterable[Measurement]:
    """Both ends of the beat of a volume."""
    shown = {phase: masks.get(phase) for phase in PHASES}
    for prefix, name in _CHAMBERS:
        if name in classes:
            edv, esv = (_volume(shown[phase], name, classes, phase) for phase in PHASES)
            for quantity, measured in ventricle(prefix, edv, esv).items():
                yield _measurement(quantity, measured)
    if "myocardium" in classes:
        muscle = _volume(shown["ED"], "myocardium", classes, "ED")
        mass = Measured(myocardial_mass_g(muscle.value), muscle.lacking)
        yield _measurement("lv_mass", mass)
    for phase in PHASES:
        yield from _wall(shown[phase], classes, phase)


def _of_volume(mask: HeartMask, classes: Mapping[str, int]) -> Iterable[Measurement]:
    for prefix, name in _CHAMBERS:
        if name in classes:
            measured = _volume(mask, name, classes, mask.phase)
            yield _measurement(f"{prefix}_{_SUFFIX[mask.phase]}", measured)
    if "myocardium" in classes:
        muscle = _volume(mask, "myocardium", classes, mask.phase)
        if mask.phase == "ED":
            mass = Measured(myocardial_mass_g(muscle.value), muscle.lacking)
            yield _measurement("lv_mass", mass)
        else:
            yield _measurement("myocardium_volume", muscle)
    yield from _wall(mask, classes, mask.phase)
    if "left_atrium" in classes:
        yield from _atrium(mask, classes)


def _volume(mask: HeartMask | None, name: str, classes: Mapping[str, int], phase: str) -> Measured:
    if mask is None:
        return Measured(math.nan, (f"no {phase} mask",))
    cut = _cut_off(mask.label_map == classes[name], name, phase)
    if cut:
        return Measured(math.nan, (cut,))
    return volume_of(mask.label_map, name, classes[name], mask.spacing_mm, phase)


def _wall(mask: HeartMask | None, classes: Mapping[str, int], phase: str) -> Iterable[Measurement]:
    """Thickness of the wall: mean and thickest place of the mid-ventricular slices."""
    if not {"myocardium", "left_ventricle"} <= classes.keys():
        return
    lacking: tuple[str, ...] = (f"no {phase} mask",)
    mean = thickest = math.nan
    if mask is not None:
        measured = _volume(mask, "myocardium", classes, phase)
        slices = wall_thickness(
            mask.label_map, mask.spacing_mm,
            myocardium=classes["myocardium"], cavity=classes["left_ventricle"],
        )  # fmt: skip
        lacking = measured.lacking
        if not lacking and not slices:
            lacking = (f"no slice{_in(phase)} whose myocardium encloses the cavity",)
        if not lacking:
            middle = mid_ventricular(slices)
            mean = float(np.mean([each.mean_mm for each in middle]))
            thickest = max(each.max_mm for each in middle)
    for name, value in zip(_WALL, (mean, thickest), strict=True):
        full = f"{name}_{phase.lower()}" if phase else name
        yield _measurement(full, Measured(value, lacking), "mid_wall")


def _atrium(mask: HeartMask, classes: Mapping[str, int]) -> Iterable[Measurement]:
    """All voxels count as volume; the shape is that of the largest piece, its holes filled."""
    structure = mask.label_map == classes["left_atrium"]
    cut = _cut_off(structure, "left_atrium", mask.phase, through=True)
    label = classes["left_atrium"]
    volume = volume_of(mask.label_map, "left_atrium", label, mask.spacing_mm, mask.phase)
    lacking = (cut,) if cut else volume.lacking
    yield _measurement("la_volume", Measured(volume.value, lacking))
    values = [math.nan] * len(_SHAPE)
    if not lacking:
        body = main_body(structure[bounding_box(structure)])
        surface = shape.surface_mm2(body, mask.spacing_mm)
        body_mm3 = int(np.count_nonzero(body)) * math.prod(mask.spacing_mm)
        values = [
            shape.largest_diameter_mm(body, mask.spacing_mm),
            surface / 100,
            shape.sphericity(body_mm3, surface),
        ]
    for name, value in zip(_SHAPE, values, strict=True):
        yield _measurement(name, Measured(value, lacking), "surface")


def _one_view(mask: HeartMask, classes: Mapping[str, int]) -> Iterable[Measurement]:
    """The ventricle's volume in one image, its disks taken as round."""
    if "left_ventricle" not in classes:
        return
    seen, lacking = _see(mask, classes)
    volume = math.nan
    if seen.ours is not None:
        disks = seen.ours.diameters_mm
        volume = simpson.disks_ml(disks, disks, seen.ours.length_mm)
    elif not lacking:
        lacking = (_no_axis(mask.view, mask.phase),)
    method = f"simpson_{mask.view.lower() or 'single'}"
    yield _measurement(f"lv_{_SUFFIX[mask.phase]}", Measured(volume, lacking), method)


def _exam(
    masks: Mapping[tuple[str, str], HeartMask], classes: Mapping[str, int]
) -> Iterable[Measurement]:
    """The ventricle by every method, whether or not the exam has the views for it."""
    if "left_ventricle" not in classes:
        return
    exam: dict[tuple[str, str], echo.Seen] = {}
    lacking: dict[tuple[str, str], tuple[str, ...]] = {}
    for view, phase in ((view, phase) for view in echo.VIEWS for phase in PHASES):
        mask = masks.get((view, phase))
        if mask is None:
            exam[view, phase] = _UNSEEN
            lacking[view, phase] = (f"no {view} {phase} mask",)
        else:
            exam[view, phase], lacking[view, phase] = _see(mask, classes)
    for method, volumes in echo.ventricle_volumes(exam).items():
        official = method == "camus_official"
        sides = []
        for phase, value in zip(PHASES, (volumes.edv_ml, volumes.esv_ml), strict=True):
            why: list[str] = []
            # The official script takes one disk height from all images: each spoils both volumes.
            for place in ((v, p) for v in echo.VIEWS_OF[method] for p in PHASES):
                if official or place[1] == phase:
                    view_of = exam[place].official if official else exam[place].ours
                    why += lacking[place] or ((_no_axis(*place),) if view_of is None else ())
            sides.append(Measured(value, tuple(why)))
        for quantity, measured in ventricle("lv", *sides).items():
            yield _measurement(quantity, measured, method)


def _see(mask: HeartMask, classes: Mapping[str, int]) -> tuple[echo.Seen, tuple[str, ...]]:
    """The ventricle in one image, and why it cannot be measured whatever the method."""
    where = f"{mask.view} {mask.phase}".strip()
    cut = _cut_off(mask.label_map == classes["left_ventricle"], "left_ventricle", where)
    if cut:
        return _UNSEEN, (cut,)
    spacing_mm = (mask.spacing_mm[0], mask.spacing_mm[1])
    seen = echo.see(mask.label_map, spacing_mm, classes["left_ventricle"])
    return seen, ((f"no left ventricle{_in(where)}",) if seen.empty else ())


def _no_axis(view: str, phase: str) -> str:
    return f"no measurable long axis{_in(f'{view} {phase}'.strip())}"


def _cut_off(structure: Mask, name: str, where: str, *, through: bool = False) -> str:
    """Say that a structure reaches the edge of the image, or nothing.

    Args:
        structure: Its mask `(y, x)` or `(z, y, x)`.
        name: Its class.
        where: Phase and view, for the message.
        through: Whether the first and the last slice of a volume are edges.
    """
    first = 0 if through or structure.ndim == 2 else 1
    for axis in range(first, structure.ndim):
        if structure.take((0, -1), axis=axis).any():
            stack = structure.ndim - axis == 3
            edge = "the first or last slice" if stack else "the edge of the image"
            return f"{name.replace('_', ' ')} cut off by {edge}{_in(where)}"
    return ""


def _in(where: str) -> str:
    return f" in {where}" if where else ""


def _measurement(name: str, measured: Measured, method: str = VOXELS) -> Measurement:
    value = math.nan if measured.lacking else measured.value
    return Measurement(name, value, QUANTITIES[name].unit, ", ".join(measured.lacking), method)


def _ordered(found: Iterable[Measurement]) -> list[Measurement]:
    names, methods = list(QUANTITIES), list(METHODS)
    return sorted(found, key=lambda each: (methods.index(each.method), names.index(each.name)))
