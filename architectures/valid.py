"""The sizes of a U-Net without padding, whose convolutions eat the border."""

from __future__ import annotations

from collections.abc import Sequence

from architectures.checks import ArchitectureError, Strides

PAIR = 4  # Two 3×3 convolutions take 2 voxels each from a size.


def valid_crops(shape: tuple[int | None, ...], strides: Strides) -> list[tuple[int, ...]]:
    """Returns how much is cropped off both sides of each skip, finest first, per axis.

    What a deeper level loses counts by its stride. The numbers do not depend on the input's size
    as long as every pooling divides what it is given: 88, 40, 16 and 4 in the paper's network.

    Args:
        shape: `(*spatial, channels)`; a size may be None.
        strides: Stride of every pooling, finest first.

    Raises:
        ArchitectureError: A size is not possible, or a skip cannot be cropped evenly.
    """
    for axis, size in enumerate(shape[:-1]):
        steps = [level[axis] for level in strides]
        if size is not None and output_size(size, steps) is None:
            raise ArchitectureError(
                f"`input_shape` {shape}: size {size} of axis {axis} is not possible with "
                f"padding='valid', where every pooling must divide what the convolutions leave. "
                f"The next possible size is {next_valid_size(size, steps)}."
            )
    lost: list[tuple[int, ...]] = []
    for stride in reversed(strides):
        deeper = [loss + PAIR for loss in lost[0]] if lost else [0] * len(stride)
        lost.insert(0, tuple(s * (PAIR + d) for s, d in zip(stride, deeper, strict=True)))
    if any(loss % 2 for level in lost for loss in level):
        raise ArchitectureError(
            "Option 'strides' must let skips be cropped evenly with padding='valid'. "
            f"Received: strides={strides}."
        )
    return [tuple(loss // 2 for loss in level) for level in lost]


def output_size(size: int, strides: Sequence[int]) -> int | None:
    """Returns the size of the output along one axis, or None if `size` is not possible."""
    for stride in strides:
        size -= PAIR
        if size < stride or size % stride:
            return None
        size //= stride
    size -= PAIR
    if size < 1:
        return None
    for stride in reversed(strides):
        size = size * stride - PAIR
    return size if size >= 1 else None


def next_valid_size(size: int, strides: Sequence[int]) -> int:
    """Returns the smallest possible input size from `size` on."""
    while output_size(size, strides) is None:
        size += 1
    return size
