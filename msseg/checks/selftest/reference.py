"""Networks with known results: those of MMSegmentation 0.30 in float64, on PyTorch.

It needs numpy alone, so that PyTorch's side can import it: tests/data/make_selftest_reference.py.
"""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

STORED = Path(__file__).with_name('reference.json.gz')
OPTIMIZER = {'lr': 0.1, 'momentum': 0.9, 'weight_decay': 5e-4}
IGNORED = 255
# (h, w) of the images that logits are compared on
SIZES = ((64, 80), (73, 97), (96, 64))
_NUM_PICKED = 6


def read_reference() -> dict[str, dict[str, Any]]:
    """Return the networks by name.

    Each has its ``model``, a config; ``weights``, by PyTorch's names the shape and what `summarise`
    gives of one step of SGD with `OPTIMIZER` on `make_batch`; its ``loss``; and ``logits``, by
    height and width (``64x80``) what `summarise` gives of those of the first image.
    """
    return json.loads(gzip.decompress(STORED.read_bytes()))


def fill(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the float32 values of a weight or a statistic, made from its name in PyTorch."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith('running_var'):
        return np.asarray(1 + 0.2 * rng.random(shape), np.float32)
    if name.endswith('running_mean'):
        return np.asarray(0.1 * rng.standard_normal(shape), np.float32)
    if len(shape) <= 1:
        base = 1.0 if name.endswith(('weight', 'gamma')) else 0.0
        return np.asarray(base + 0.1 * rng.standard_normal(shape), np.float32)
    fan = int(np.prod(shape[1:])) or 1
    return np.asarray(rng.standard_normal(shape) * fan**-0.5, np.float32)


def make_batch(size: tuple[int, int], num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 3, h, w), float32, and labels (n, h, w), int32, in blocks.

    Args:
        size: (h, w); n is 4, and 2 for large images.
        num_classes: Number of classes; the first two rows are ignored.
    """
    rng = np.random.default_rng(11)
    count = 2 if max(size) > 128 else 4
    images = rng.standard_normal((count, 3, *size)).astype(np.float32)
    blocks = rng.integers(0, num_classes, (count, -(-size[0] // 8), -(-size[1] // 8)))
    labels = blocks.repeat(8, 1).repeat(8, 2)[:, : size[0], : size[1]].astype(np.int32)
    labels[:, :2] = IGNORED
    return images, labels


def summarise(name: str, before: np.ndarray, after: np.ndarray) -> list[float]:
    """Return what is compared of an array that changed.

    Args:
        name: The signs and places are drawn by it.
        before: The array, or 0.
        after: The same, later.

    Returns:
        Largest value, largest change, and changes: their sum with signs, of which every value is a
        part, over the root of their number; and those of a few places.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    after = np.asarray(after, np.float64).reshape(-1)
    change = after - np.asarray(before, np.float64).reshape(-1)
    signs = rng.choice([-1.0, 1.0], change.size)
    picked = np.sort(rng.choice(change.size, min(change.size, _NUM_PICKED), replace=False))
    together = (signs * change).sum() / change.size**0.5
    return [np.abs(after).max(), np.abs(change).max(), together, *change[picked]]
