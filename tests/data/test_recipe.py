"""The recipe for stacks gives the bytes that albumentations gives."""

from __future__ import annotations

import random

import albumentations as A
import cv2
import numpy as np
import pytest

from benchmark.data.recipe import Recipe, warp


def plain(*mirrors):
    """The recipe as albumentations has it, with nothing of ours."""
    return A.Compose(
        [
            *mirrors,
            A.Affine(
                rotate=(-15, 15), scale=(0.85, 1.18), translate_percent=(-0.05, 0.05),
                interpolation=cv2.INTER_LINEAR, mask_interpolation=cv2.INTER_NEAREST,
                border_mode=cv2.BORDER_CONSTANT, fill=0, fill_mask=0, p=0.9,
            ),
            A.RandomGamma(gamma_limit=(70, 140), p=0.3),
            A.RandomBrightnessContrast(brightness_limit=0.15, contrast_limit=0.2, p=0.5),
            A.GaussNoise(std_range=(0.01, 0.05), p=0.3),
            A.GaussianBlur(sigma_limit=(0.3, 1.0), blur_limit=0, p=0.2),
        ]
    )  # fmt: skip


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("shape", [(1, 96, 96), (6, 40, 56), (4, 33, 31), (3, 24, 24)])
def test_recipe_equals_albumentations_byte_for_byte(shape, flips):
    recipe = Recipe(flips=flips)
    theirs = plain(*([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)] if flips else []))
    rng = np.random.default_rng(0)
    image = rng.random(shape, np.float32)
    mask = rng.integers(0, 4, shape).astype(np.uint8)
    changed = 0
    for seed in range(60):  # every operation is drawn many times, and left out many times
        theirs.set_random_state(np.random.default_rng(seed), random.Random(seed))
        expected = theirs(images=image[..., np.newaxis], masks=mask)
        moved, labels = recipe(image, mask, seed=seed)
        np.testing.assert_array_equal(moved, expected["images"][..., 0])
        np.testing.assert_array_equal(labels, expected["masks"])
        changed += not np.array_equal(labels, mask)
        assert (moved.dtype, labels.dtype) == (np.float32, np.uint8)
    assert changed > 40
    if not flips:
        assert changed < 60


def test_recipe_leaves_its_input_as_it_is():
    image = np.random.default_rng(1).random((5, 32, 32), np.float32)
    mask = (image > 0.5).astype(np.uint8)
    copies = image.copy(), mask.copy()
    recipe = Recipe()
    for seed in range(20):
        recipe(image, mask, seed=seed)
    np.testing.assert_array_equal(image, copies[0])
    np.testing.assert_array_equal(mask, copies[1])


@pytest.mark.parametrize("slices", range(1, 10))
def test_every_slice_of_a_stack_is_warped_alike(slices):
    stack = np.random.default_rng(slices).random((slices, 20, 28), np.float32)
    matrix = np.array([[0.96, 0.2, -1.5], [-0.2, 1.05, 2.25], [0, 0, 1]])
    moved = warp(stack, matrix, cv2.INTER_LINEAR)
    for before, after in zip(stack, moved, strict=True):
        expected = cv2.warpAffine(before, matrix[:2], (28, 20), flags=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(after, expected)
    np.testing.assert_array_equal(warp(stack, np.eye(3), cv2.INTER_LINEAR), stack)


def test_operations_are_drawn_independently_of_each_other():
    """Noise (30 %) comes with and without a change of tone, and so does every other operation."""
    recipe = Recipe()
    flat, mask = np.full((1, 64, 64), 0.5, np.float32), np.ones((1, 64, 64), np.uint8)
    noisy, toned = [], []
    for seed in range(300):
        inside = recipe(flat, mask, seed=seed)[0][0, 24:40, 24:40]
        noisy.append(inside.std() > 1e-3)
        toned.append(abs(inside.mean() - 0.5) > 0.01)
    share = np.mean(np.asarray(toned)[noisy])
    assert 0.2 < np.mean(noisy) < 0.4
    assert 0.4 < share < 0.85, "1.0 if all were drawn from one seed"
    assert abs(share - np.mean(np.asarray(toned)[~np.asarray(noisy)])) < 0.2
