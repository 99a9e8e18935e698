"""Logits at another size, as probabilities and as labels."""

from __future__ import annotations

import cv2
import numpy as np


def resize_logits(logits: np.ndarray, size: tuple[int, int], align_corners: bool) -> np.ndarray:
    """Resize bilinearly, as the network was trained.

    Args:
        logits: (c, h, w).
        size: New (h, w).
        align_corners: Whether the corner pixels' centres are kept in place.

    Returns:
        float32 (c, size[0], size[1]); the logits themselves if they are of this size.
    """
    if logits.shape[1:] == size:
        return logits
    result = np.empty((len(logits), *size), np.float32)
    for plane, resized in zip(logits, result, strict=True):
        if align_corners:
            resized[:] = _keep_corners(_keep_corners(plane, size[0]).T, size[1]).T
        else:
            cv2.resize(plane, size[::-1], dst=resized, interpolation=cv2.INTER_LINEAR)
    return result


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Return the classes' probabilities (c, h, w); of one channel that of class 1."""
    if len(logits) == 1:
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(axis=0))
    return powers / powers.sum(axis=0)


def labels_of(logits: np.ndarray, threshold: float | None) -> np.ndarray:
    """Return the labels, int32 (h, w), that logits (c, h, w) mean.

    Args:
        logits: One channel, or as many as classes.
        threshold: For one channel: the probability above which a pixel is class 1.
    """
    return most_probable(probabilities_of(logits) if len(logits) == 1 else logits, threshold)


def most_probable(probabilities: np.ndarray, threshold: float | None) -> np.ndarray:
    """Return the most probable class, int32 (h, w), of probabilities (c, h, w).

    Args:
        probabilities: One channel, that of class 1, or as many as classes.
        threshold: For one channel: the probability above which a pixel is class 1.
    """
    if len(probabilities) == 1:
        return (probabilities[0] > threshold).astype(np.int32)
    return probabilities.argmax(axis=0).astype(np.int32)


def _keep_corners(plane: np.ndarray, count: int) -> np.ndarray:
    """Resize the rows of (h, w) to `count`."""
    position = np.linspace(0, len(plane) - 1, count)
    low = np.minimum(position.astype(int), max(len(plane) - 2, 0))
    share = (position - low).astype(np.float32)[:, None]
    return plane[low] * (1 - share) + plane[np.minimum(low + 1, len(plane) - 1)] * share
