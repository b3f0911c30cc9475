"""An ultrasound sector: scatterers in beam coordinates, speckle, attenuation, scan conversion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, map_coordinates

from datasets.phantom.apical import Outline
from datasets.phantom.geometry import Float
from datasets.phantom.scene import Scene, echo_db

SPACING_MM = 0.308
BEAMS = 224
SAMPLES = 520
NEAR = 70
"""Samples along the beam in which neighbouring beams still overlap."""


@dataclass(frozen=True)
class Probe:
    """Where the heart lies before the probe, and how well it sounds.

    Attributes:
        depth_mm: range of the image.
        half_angle: half of the sector's opening, radians.
        apex_mm: depth of the cavity's apex, which stays in place while the base moves.
        tilt: angle of the heart's axis to the probe's, radians.
        offset_mm: sideways place of the apex.
        quality: "Good", "Medium" or "Poor".
    """

    depth_mm: float
    half_angle: float
    apex_mm: float
    tilt: float
    offset_mm: float
    quality: str

    @classmethod
    def random(cls, heart: Outline, quality: str, *, rng: np.random.Generator) -> Probe:
        """Place a probe at the apex of a heart at end-diastole."""
        half_angle = float(rng.uniform(0.64, 0.7))
        # The sector must be wide enough for the apex.
        apex = heart.apex_wall + float(rng.uniform(9, 16)) + 0.12 * heart.width
        seen = float(rng.uniform(0.92, 1.12)) * heart.atrium_length
        return cls(
            depth_mm=apex + heart.length + seen, half_angle=half_angle, apex_mm=apex,
            tilt=float(rng.uniform(-0.22, 0.22)), offset_mm=float(rng.uniform(-4, 4)),
            quality=quality,
        )  # fmt: skip


def _local(heart: Outline, probe: Probe, y: Float, x: Float) -> tuple[Float, Float]:
    """Heart coordinates (s to the apex, u to the right) of points (y down, x right) in mm."""
    c, s = np.float32(np.cos(probe.tilt)), np.float32(np.sin(probe.tilt))
    down, right = y - np.float32(probe.apex_mm), x - np.float32(probe.offset_mm)
    return np.float32(heart.length) - (c * down + s * right), c * right - s * down


def acquire(
    heart: Outline, probe: Probe, scene: Scene, *, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Image one view at one instant.

    Returns:
        Image and label map (rows, columns): ventricle 1, myocardium 2, atrium 3; labels end where
        the sector ends.
    """
    depth = probe.depth_mm
    rho = np.linspace(0.0, depth, SAMPLES, dtype=np.float32)[:, None]
    theta = np.linspace(-probe.half_angle, probe.half_angle, BEAMS, dtype=np.float32)[None, :]
    s, u = _local(heart, probe, rho * np.cos(theta), rho * np.sin(theta))
    db = echo_db(heart, scene, s, u)

    # The time gain does not quite undo attenuation; the field near the probe rings in arcs.
    db -= np.float32(4.0) * (rho / depth) ** 3
    arcs = np.cos(rho * np.float32(2 * np.pi / 3.1)) * np.exp(-(((rho - 8.0) / 5.0) ** 2))
    db += np.float32(7.0) * arcs + np.float32(0.6 * scene.haze) * np.exp(-((rho / 15.0) ** 2))
    for angle, width, loss in scene.shadows:
        shade = np.exp(-(((theta - np.float32(angle)) / np.float32(width)) ** 2))
        db -= np.float32(loss) * shade * np.clip(rho / 25.0, 0.0, 1.0)
    db -= np.float32(20.0) * np.clip(np.abs(theta) / probe.half_angle - 0.8, 0.0, None)

    image = _compress(db, scene.gain, rho / depth, rng)
    return _convert(image, probe), label_map(heart, probe)


def _compress(db: Float, gain: float, far: Float, rng: np.random.Generator) -> Float:
    """Speckle of fully developed scatter with amplitude from `db`, compressed to grey levels.

    The envelope of a complex Gaussian field is Rayleigh (Burckhardt, "Speckle in ultrasound B-mode
    scans", IEEE Trans. Sonics Ultrason. 25:1-6, 1978); the point spread is short along the beam.
    """
    parts = []
    for _ in range(2):
        field = rng.standard_normal(db.shape, dtype=np.float32)
        field = gaussian_filter1d(field, 1.1, axis=0, truncate=3.0)
        # Close to the probe the beams overlap, so that speckle runs across many of them.
        near = gaussian_filter1d(field[:NEAR], 14.0, axis=1, truncate=3.0)
        field = gaussian_filter1d(field, 1.7, axis=1, truncate=3.0)
        fade = np.linspace(1.0, 0.0, NEAR, dtype=np.float32)[:, None]
        field[:NEAR] += fade * (near * (field.std() / near.std()) - field[:NEAR])
        parts.append(field / np.float32(field.std()))
    speckle = np.sqrt(parts[0] ** 2 + parts[1] ** 2) / np.float32(np.sqrt(2.0))
    amplitude = speckle * np.exp(db * np.float32(np.log(10.0) / 20.0))
    # A little blur of the envelope stands for the spatial compounding of scanners.
    amplitude = gaussian_filter1d(amplitude, 0.5, axis=0, truncate=3.0)
    amplitude = gaussian_filter1d(amplitude, 0.5, axis=1, truncate=3.0)
    floor = np.float32(10 ** (-50.0 / 20.0)) * (1.0 + far)
    level = 20.0 * np.log10(amplitude + floor) + np.float32(gain)
    return np.clip((level + 48.0) / 45.0, 0.0, 1.0).astype(np.float32)


def _grid(probe: Probe) -> tuple[Float, Float]:
    """Cartesian coordinates (y column, x row) of the image in mm, the probe at the top middle."""
    rows = int(np.ceil(probe.depth_mm / SPACING_MM))
    columns = int(np.ceil(2 * probe.depth_mm * np.sin(probe.half_angle) / SPACING_MM))
    y = (np.arange(rows, dtype=np.float32) + 0.5) * np.float32(SPACING_MM)
    x = (np.arange(columns, dtype=np.float32) - (columns - 1) / 2) * np.float32(SPACING_MM)
    return y[:, None], x[None, :].astype(np.float32)


def _convert(image: Float, probe: Probe) -> NDArray[np.uint8]:
    y, x = _grid(probe)
    rho, theta = np.hypot(y, x), np.arctan2(x, y)
    place = np.stack([
        rho * np.float32((SAMPLES - 1) / probe.depth_mm),
        (theta / np.float32(probe.half_angle) + 1.0) * np.float32((BEAMS - 1) / 2),
    ])  # fmt: skip
    grey = map_coordinates(image, place, order=1, mode="constant", cval=0.0, prefilter=False)
    return np.rint(255.0 * np.clip(grey, 0.0, 1.0) ** 1.25).astype(np.uint8)


def label_map(heart: Outline, probe: Probe) -> NDArray[np.uint8]:
    """Labels at the centres of the image's pixels."""
    y, x = _grid(probe)
    s, u = _local(heart, probe, y, x)
    seen = (np.hypot(y, x) <= probe.depth_mm) & (np.abs(np.arctan2(x, y)) <= probe.half_angle)
    mask = np.zeros(s.shape, dtype=np.uint8)
    mask[heart.atrium(s, u) <= 0] = 3
    mask[heart.epicardium(s, u) <= 0] = 2
    mask[heart.cavity(s, u) <= 0] = 1
    mask[~seen] = 0
    return mask
