"""Corruptions: nothing at severity 0, ever more above it, and the same for every architecture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.evaluation.corruption import (
    CORRUPTIONS,
    SEVERITIES,
    SPECKLE,
    corrupt,
    kind_for,
)

ROOT = Path(__file__).resolve().parent.parent.parent
MODALITIES = ("MRI", "ultrasound")
KINDS = [(name, modality) for name in CORRUPTIONS for modality in MODALITIES]
NAMES = [f"{name}-{modality}" for name, modality in KINDS]
FEW = settings(max_examples=12, deadline=None)


def picture(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Bright blobs of several sizes on a dark ground, with texture: nothing that is smooth."""
    rng = np.random.default_rng(seed)
    image = rng.gamma(2.0, 20.0, shape)
    for _ in range(4):
        corner = [int(rng.integers(0, size - 3)) for size in shape]
        image[tuple(slice(start, start + 12) for start in corner)] += rng.uniform(50, 400)
    return image.astype(np.float32)


def at(image, name, severity, *, case="patient001_ED", spacing=None, modality="MRI"):
    spacing = spacing or (8.0, 1.5, 1.5)[-image.ndim :]
    return corrupt(image, spacing, name=name, severity=severity, case=case, modality=modality)


@pytest.mark.parametrize(("name", "modality"), KINDS, ids=NAMES)
@FEW
@given(seed=st.integers(0, 10**6), volume=st.booleans())
def test_rule_severity_0_is_the_image_itself_and_more_is_farther(name, modality, seed, volume):
    image = picture(seed, (6, 40, 44) if volume else (40, 44))
    before = image.copy()
    assert at(image, name, 0, modality=modality) is image
    distances = []
    for severity in range(1, SEVERITIES + 1):
        worse = at(image, name, severity, modality=modality)
        assert worse.shape == image.shape
        assert worse.dtype == np.float32
        assert np.isfinite(worse).all()
        distances.append(float(np.sqrt(np.mean((worse - image) ** 2))))
    np.testing.assert_array_equal(image, before)
    assert distances[0] > 0
    assert np.all(np.diff(distances) > 0), distances


@pytest.mark.parametrize(("name", "modality"), KINDS, ids=NAMES)
@FEW
@given(seed=st.integers(0, 10**6), gain=st.floats(0.01, 100.0), offset=st.floats(-50.0, 50.0))
def test_intensities_are_taken_relative_to_the_range_of_the_image(
    name, modality, seed, gain, offset
):
    image = picture(seed, (30, 30))
    worse = at(image, name, 3, modality=modality)
    scaled = at((gain * image + offset).astype(np.float32), name, 3, modality=modality)
    unit = gain * float(np.ptp(image))
    # The scanner's own units are rounded to float32 before anything is done.
    np.testing.assert_allclose(
        (scaled - offset) / unit, gain * worse / unit, atol=1e-3 + 1e-5 * abs(offset) / unit
    )


def test_rule_what_is_random_depends_on_case_and_kind_alone():
    image = picture(0, (32, 32))
    for name, modality in KINDS:
        again = [at(image, name, 4, modality=modality) for _ in range(2)]
        np.testing.assert_array_equal(*again)
    for name in ("noise", "bias_field"):
        other = at(image, name, 4, case="patient002_ED")
        assert not np.allclose(at(image, name, 4), other)
    # More of the same pattern, not another one.
    weak, strong = (at(image, "bias_field", severity) - image for severity in (1, 5))
    assert np.corrcoef(weak.ravel(), strong.ravel())[0, 1] > 0.8


def test_rule_the_levels_are_those_of_the_methodology():
    text = " ".join((ROOT / "METHODOLOGY.md").read_text(encoding="utf-8").split())
    rule = text[text.index("**Corruptions**") :]
    rule = rule[: rule.index("[`")]
    for kind in (*CORRUPTIONS.values(), SPECKLE):
        assert ", ".join(f"{level:g}" for level in kind.levels) in rule, kind.title
        assert len(kind.levels) == SEVERITIES


def test_contrast_goes_either_way_and_keeps_the_order_of_intensities():
    image = picture(1, (24, 24))
    shifts = {
        case: float((at(image, "contrast", 3, case=case) - image).mean())
        for case in map(str, range(12))
    }
    assert min(shifts.values()) < 0 < max(shifts.values())
    order = np.argsort(image.ravel())
    assert (np.diff(at(image, "contrast", 5).ravel()[order]) >= -1e-3).all()


@pytest.mark.parametrize("step", [0.5, 1.0, 2.0])
def test_a_blur_is_as_wide_in_mm_whatever_the_spacing(step):
    size = int(64 / step) | 1
    image = np.zeros((size, size), np.float32)
    image[: size // 4] = 1e-3  # so that percentiles have a range
    image[size // 2, size // 2] = 1000.0
    worse = at(image, "blur", 3, spacing=(step, step))
    near = worse[size // 2 - int(12 / step) : size // 2 + int(12 / step) + 1, size // 2]
    place = (np.arange(len(near)) - len(near) // 2) * step
    width = np.sqrt((near * place**2).sum() / near.sum())
    assert width == pytest.approx(CORRUPTIONS["blur"].levels[2], rel=0.05)


def test_resolution_leaves_axes_alone_that_are_coarser():
    stack = np.repeat(np.arange(8, dtype=np.float32)[:, None, None] % 3, 16, axis=1)
    stack = np.repeat(stack, 16, axis=2)
    np.testing.assert_allclose(at(stack, "resolution", 5, spacing=(10, 1, 1)), stack, atol=1e-5)
    assert not np.allclose(at(stack, "resolution", 5, spacing=(2, 1, 1)), stack, atol=0.1)


def test_noise_of_ultrasound_is_speckle_and_that_of_mri_is_rician():
    assert kind_for("noise", "ultrasound") is SPECKLE
    image = np.zeros((64, 64), np.float32)
    image[:, 32:] = 100.0
    speckled = at(image, "noise", 3, modality="ultrasound", spacing=(0.3, 0.3))
    np.testing.assert_array_equal(speckled[:, :32], 0.0)  # where there is no echo there is none
    assert speckled[:, 32:].std() == pytest.approx(40.0, rel=0.1)
    rician = at(image, "noise", 3)
    level = 100.0 * CORRUPTIONS["noise"].levels[2]
    assert rician[:, :32].mean() == pytest.approx(level * np.sqrt(np.pi / 2), rel=0.1)
    assert rician[:, 32:].std() == pytest.approx(level, rel=0.1)


def test_a_constant_image_stays_as_it_is():
    image = np.full((8, 8), 7.0, np.float32)
    for name in CORRUPTIONS:
        np.testing.assert_array_equal(at(image, name, 5), image)
