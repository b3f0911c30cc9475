"""What an apical sector shows: backscatter of the heart and of what lies round it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.phantom.apical import Outline
from datasets.phantom.geometry import Float, coverage
from datasets.phantom.texture import smooth_field


@dataclass(frozen=True)
class Scene:
    """What is drawn besides the left heart, the same at both instants.

    Attributes:
        view: "2CH" or "4CH".
        shadows: dark beams as (angle, width, loss in decibels), radians.
        dropout: stretches of wall that return little, as (height over length, side, size).
        loss: how much less those stretches return, in decibels.
        walls: brightness of the left and the right wall in decibels.
        gain: brightness of everything in decibels.
        haze: brightness of the clutter near the probe in decibels.
        rim_mm: distance of the pericardium's echo beyond the wall.
        tissue: unevenness of the tissue, unit spread, over (samples, beams).
        beams: unevenness from beam to beam, unit spread, over (samples, beams).
        grains: fine bright spots of trabeculae and chords, over (samples, beams).
        shake: wobble of the borders of the image (never of the labels), over (samples, beams).
        papillary: side and place of a papillary muscle, as (u over half width, height over length).
    """

    view: str
    shadows: tuple[tuple[float, float, float], ...]
    dropout: tuple[tuple[float, float, float], ...]
    loss: float
    walls: tuple[float, float]
    gain: float
    haze: float
    rim_mm: float
    tissue: Float
    beams: Float
    grains: Float
    shake: Float
    papillary: tuple[float, float]

    @classmethod
    def random(
        cls, view: str, quality: str, half_angle: float, size: tuple[int, int], *,
        rng: np.random.Generator,
    ) -> Scene:  # fmt: skip
        """Draw the surroundings; a poor window has more shadows and drop-outs.

        Args:
            view: "2CH" or "4CH".
            quality: "Good", "Medium" or "Poor".
            half_angle: half of the sector's opening, radians.
            size: number of samples along a beam, number of beams.
            rng: source of randomness.
        """
        worse = {"Good": 0, "Medium": 1, "Poor": 2}[quality]
        shadows = tuple(
            (float(rng.uniform(-1, 1)) * half_angle, float(rng.uniform(0.03, 0.07)),
             float(rng.uniform(4, 8)))
            for _ in range(worse + int(rng.integers(0, 2)))
        )  # fmt: skip
        dropout = tuple(
            (float(rng.uniform(0.3, 1.0)), float(rng.choice([-1.0, 1.0, 1.0])),
             float(rng.uniform(0.06, 0.16)))
            for _ in range(2 + 2 * worse)
        )  # fmt: skip
        return cls(
            view=view, shadows=shadows, dropout=dropout, loss=float(rng.uniform(8, 13)),
            # The septum faces the beam and is brighter than the side wall.
            walls=(float(rng.uniform(0, 5)), float(rng.uniform(-5, 1))),
            gain=float(rng.uniform(-2.5, 2.5)) - 0.7 * worse, haze=float(rng.uniform(4, 13)),
            rim_mm=float(rng.uniform(0.5, 3)),
            tissue=smooth_field(size, (9, 6), rng=rng, octaves=4) * np.float32(0.85),
            beams=smooth_field(size, (2, 9), rng=rng, octaves=2) * np.float32(0.9),
            grains=np.clip(smooth_field(size, (95, 45), rng=rng) - 0.5, 0.0, 1.5),
            shake=smooth_field(size, (26, 15), rng=rng, octaves=2) * np.float32(0.8),
            papillary=(float(rng.choice([-1.0, 1.0])) * float(rng.uniform(0.5, 0.75)),
                       float(rng.uniform(0.45, 0.6))),
        )  # fmt: skip


def echo_db(heart: Outline, scene: Scene, s: Float, u: Float) -> Float:
    """Backscatter of every point, in decibels.

    Args:
        heart: outline of the left heart.
        scene: everything else.
        s: coordinates of the points along the heart's axis, (samples, beams), in mm.
        u: coordinates across it.
    """
    axis = heart.axis(s)
    side = np.clip((u - axis) / np.float32(0.4 * heart.width), -1.0, 1.0)
    side = 0.5 * (scene.walls[0] * (1.0 - side) + scene.walls[1] * (1.0 + side))
    cavity, outer, atrium = heart.cavity(s, u), heart.epicardium(s, u), heart.atrium(s, u)
    db = (-22.5 + 5.5 * scene.tissue + 3.5 * scene.beams + 0.8 * side).astype(np.float32)

    def lay(distance: NDArray[np.floating], soft: float, value: Float | float) -> None:
        share = coverage(distance.astype(np.float32), soft)
        db[...] += share * (value - db)

    shake = scene.shake
    if scene.view == "4CH":
        _right_heart(heart, scene, s, u, lay)
    # The pericardium shines behind the side wall and, less, elsewhere.
    rim = np.abs(outer - scene.rim_mm + 0.5 * shake) - 1.0
    lay(rim, 2.5, -11.0 + 5.0 * scene.tissue + 1.2 * scene.beams - 0.5 * side)
    wall = -15.5 + side + 4.0 * scene.tissue + 1.5 * scene.beams + 6.0 * scene.grains
    lay(outer + 0.7 * shake, 3.0, wall)
    for place, where, size in scene.dropout:
        spot = np.hypot((s / heart.length - place) / size,
                        (u - axis - where * 0.5 * heart.width) / 12.0)  # fmt: skip
        db -= np.float32(scene.loss) * np.exp(-(spot**2)).astype(np.float32)
    lay(np.abs(atrium + 0.5 * shake) - 1.2, 3.0, -17.0 + 4.0 * scene.tissue)
    lay(atrium + 1.5 * shake, 4.0, -35.0 + 2.5 * scene.tissue + 2.5 * scene.beams)
    # Blood returns almost nothing; what is seen is clutter, most near the apex and the walls.
    height = np.clip(s / heart.length, 0.0, 1.0)
    blood = -38.5 + 0.7 * scene.haze * height**2 + 1.5 * scene.beams + scene.tissue
    blood += 6.0 * scene.grains * np.exp(-np.clip(-cavity, 0.0, None) / 4.0)
    lay(cavity + 1.1 * shake, 2.6, blood)
    _papillary(heart, scene, s, u, cavity, lay)
    _mitral_valve(heart, scene, s, u, lay)
    return db


Lay = Callable[["NDArray[np.floating]", float, "Float | float"], None]


def _right_heart(heart: Outline, scene: Scene, s: Float, u: Float, lay: Lay) -> None:
    """Right ventricle and atrium on the left of the picture, the tricuspid valve between them."""
    edge = 0.5 * heart.width + heart.wall
    shake = 2.0 * scene.shake
    across = (u - heart.axis(s) + edge + 15.0) / 14.0
    ventricle = np.hypot((s - 0.26 * heart.length) / (0.34 * heart.length), across)
    lay((ventricle - 1.0) * 14.0 + shake, 5.0, -34.0 + 3.0 * scene.grains + scene.beams)
    size = 0.42 * heart.atrium_length
    atrium = np.hypot((s + 1.25 * size + 3.0) / size, (u + edge + 11.0) / 15.0)
    lay((atrium - 1.0) * 14.0 + shake, 5.0, -36.0 + scene.tissue)


def _papillary(heart: Outline, scene: Scene, s: Float, u: Float, cavity: Float, lay: Lay) -> None:
    """A muscle that stands off the wall; annotators count it to the cavity."""
    side, place = scene.papillary
    down = (s / heart.length - place) * heart.length
    body = np.hypot(down / 9.0, (u - heart.axis(s) - side * 0.5 * heart.width) / 3.0) - 1.0
    lay(np.maximum(body * 3.0, cavity), 3.5, -25.0 + 6.0 * scene.grains)


def _mitral_valve(heart: Outline, scene: Scene, s: Float, u: Float, lay: Lay) -> None:
    """Two closed leaflets that tent into the ventricle, with bright hinges at the annulus."""
    wide = 0.5 * heart.width * heart.profile.annulus
    t = np.abs(u) / wide
    line = np.abs(s - 2.5 * np.clip(1.0 - t, 0.0, 1.0) + 0.8 * scene.shake) - 0.7
    lay(np.where(t < 1.1, line, 1e3), 2.0, -9.0 + 5.0 * scene.tissue + 3.0 * scene.grains)
    hinge = np.hypot((t - 1.05) * wide / 4.0, s / 2.6) - 1.0
    lay(hinge * 2.6, 3.0, -5.0 + 3.0 * scene.tissue)
