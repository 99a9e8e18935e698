"""Counting the values of a label in bounded memory."""

from __future__ import annotations

from collections import Counter

import numpy as np

MOST_VALUES = 4096
_BLOCK = 1 << 22


def count_values(label: np.ndarray, most: int = MOST_VALUES) -> tuple[dict[int, int], int]:
    """Count the pixels of each value.

    Args:
        label: Whole numbers of any shape.
        most: How many different values to tell apart; the rarest beyond them are lumped together.

    Returns:
        Pixels by value, in order of values; and the pixels of values that are not told apart.
    """
    flat = label.reshape(-1)
    counts: Counter[int] = Counter()
    lumped = 0
    for start in range(0, flat.size, _BLOCK):
        counts.update(_count_block(flat[start : start + _BLOCK]))
        if len(counts) > most:
            kept = dict(counts.most_common(most))
            lumped += counts.total() - sum(kept.values())
            counts = Counter(kept)
    return dict(sorted(counts.items())), lumped


def _count_block(block: np.ndarray) -> dict[int, int]:
    if block.dtype == np.uint8:
        pixels = np.bincount(block, minlength=256)
        values = np.flatnonzero(pixels)
        return dict(zip(values.tolist(), pixels[values].tolist(), strict=True))
    values, pixels = np.unique(block, return_counts=True)
    return dict(zip(values.tolist(), pixels.tolist(), strict=True))
