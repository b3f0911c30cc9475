"""Whether an exported network predicts the same as the one it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.errors import BenchmarkError
from benchmark.evaluation.inference import sigmoid, softmax
from benchmark.export.formats import Apply, Array

TOLERANCE = 1e-4
# Single precision has seven digits, of which a deep network uses up one or two: a logit of 100 is
# not known to 1e-4. What is allowed grows with logits beyond 10; that of probabilities never does.
_OF_LARGEST = 1e-5
_SEED = 20250101


@dataclass(frozen=True)
class Agreement:
    """The largest differences between two networks over all voxels and classes of some images.

    Attributes:
        logits: Largest absolute difference of logits.
        probabilities: Largest absolute difference of probabilities.
        largest_logit: Largest absolute logit, which says what a difference is worth.
        images: How many images were compared.
    """

    logits: float
    probabilities: float
    largest_logit: float
    images: int

    @property
    def allowed_logits(self) -> float:
        """Difference of logits up to which the networks are the same."""
        return max(TOLERANCE, _OF_LARGEST * self.largest_logit)

    @property
    def is_close(self) -> bool:
        """Whether the networks are the same, up to rounding."""
        return self.logits <= self.allowed_logits and self.probabilities <= TOLERANCE

    def __str__(self) -> str:
        """Differences and what is allowed, for a sentence."""
        return (
            f"{self.logits:.2g} in logits of up to {self.largest_logit:.3g} (allowed: "
            f"{self.allowed_logits:.2g}) and {self.probabilities:.2g} in probabilities (allowed: "
            f"{TOLERANCE:g})"
        )


def trial_images(shape: tuple[int, ...]) -> list[Array]:
    """Return standardised images in batches of 1, 2 and 3: noise, and some that look like hearts.

    Args:
        shape: `(*spatial, channels)`.
    """
    rng = np.random.default_rng(_SEED)
    noise = rng.standard_normal((2, *shape), dtype=np.float32)
    hearts = np.stack([_heart(shape, rng, radius) for radius in (0.3, 0.6)])
    # What a scan shows outside the body, and the padding of small ones.
    flat = np.full((1, *shape), -1.0, np.float32)
    return [flat, noise, np.concatenate([hearts, 3 * noise[:1]])]


def compare(
    expected: Apply, received: Apply, shape: tuple[int, ...], *, exclusive: bool
) -> Agreement:
    """Apply two networks to the same images and measure how far apart their answers are.

    Args:
        expected: The network of the run.
        received: What was exported, loaded again.
        shape: `(*spatial, channels)`.
        exclusive: Whether probabilities are a softmax over classes, or a sigmoid of each.

    Raises:
        BenchmarkError: They differ by more than is allowed, or a value is not finite.
    """
    activation = softmax if exclusive else sigmoid
    logits = probabilities = largest = 0.0
    images = 0
    for batch in trial_images(shape):
        one, other = expected(batch), received(batch)
        if one.shape != other.shape:
            raise BenchmarkError(
                f"the exported network gives {other.shape} for {batch.shape}, expected {one.shape}."
            )
        if not np.isfinite(one).all() or not np.isfinite(other).all():
            raise BenchmarkError(
                "expected finite logits of the network and of what was exported, found others. "
                "Nothing was written."
            )
        logits = max(logits, float(np.abs(one - other).max()))
        apart = np.abs(activation(one) - activation(other))
        probabilities = max(probabilities, float(apart.max()))
        largest = max(largest, float(np.abs(one).max()))
        images += len(batch)
    agreement = Agreement(logits, probabilities, largest, images)
    if not agreement.is_close:
        raise BenchmarkError(
            f"the exported network differs from that of the run by {agreement}. Nothing was "
            "written; --format keras keeps the network as it is."
        )
    return agreement


def _heart(shape: tuple[int, ...], rng: np.random.Generator, radius: float) -> Array:
    """A bright cavity in a dark wall in a grey body, with noise, standardised."""
    axes = (np.linspace(-1, 1, size) for size in shape[:-1])
    distance = np.sqrt(sum(np.square(axis) for axis in np.meshgrid(*axes, indexing="ij")))
    image = np.where(distance < radius, 1.0, np.where(distance < radius + 0.15, 0.2, 0.5))
    image = np.where(distance > 1.2, 0.0, image) + 0.05 * rng.standard_normal(shape[:-1])
    standardised = (image - image.mean()) / image.std()
    return np.repeat(standardised[..., np.newaxis], shape[-1], axis=-1).astype(np.float32)
