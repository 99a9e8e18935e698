"""Logits at another size, as probabilities and as labels."""

from __future__ import annotations

import cv2
import numpy as np


def resize_logits(logits: np.ndarray, size: tuple[int, int], align_corners: bool) -> np.ndarray:
    """Resize bilinearly, as in training.

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
            resized[:] = _resize_rows(_resize_rows(plane, size[0]).T, size[1]).T
        else:
            cv2.resize(plane, size[::-1], dst=resized, interpolation=cv2.INTER_LINEAR)
    return result


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Return the class probabilities (c, h, w); of one channel the probability of class 1.

    Examples:
        >>> probabilities_of(np.zeros((4, 1, 1), np.float32)).ravel()
        array([0.25, 0.25, 0.25, 0.25], dtype=float32)
    """
    if len(logits) == 1:
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(axis=0))
    return powers / powers.sum(axis=0)


def labels_of(logits: np.ndarray, threshold: float | None) -> np.ndarray:
    """Return the labels, int32 (h, w), of logits (c, h, w); see `most_probable`."""
    return most_probable(probabilities_of(logits) if len(logits) == 1 else logits, threshold)


def most_probable(probabilities: np.ndarray, threshold: float | None) -> np.ndarray:
    """Return the most probable class, int32 (h, w), of probabilities (c, h, w).

    Args:
        probabilities: One channel for each class, or one channel for class 1.
        threshold: For one channel: the probability above which a pixel is class 1.
    """
    if len(probabilities) == 1:
        return (probabilities[0] > threshold).astype(np.int32)
    return probabilities.argmax(axis=0).astype(np.int32)


def _resize_rows(plane: np.ndarray, count: int) -> np.ndarray:
    """Resize the rows of (h, w) to `count`, the first and the last row kept."""
    position = np.linspace(0, len(plane) - 1, count)
    low = np.minimum(position.astype(int), max(len(plane) - 2, 0))
    share = (position - low).astype(np.float32)[:, None]
    return plane[low] * (1 - share) + plane[np.minimum(low + 1, len(plane) - 1)] * share
