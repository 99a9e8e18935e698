"""Boundary IoU: the agreement of the edges of classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_SHARE_OF_DIAGONAL = 0.02
_NO_CLASS = -1


def count_boundaries(
    prediction: np.ndarray, label: np.ndarray, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Count an image's pixels near the edges of classes.

    A pixel is near the edge of its class if another class, an ignored pixel or the outside of the
    image is within the distance of 2 percent of the image's diagonal (at least 1 pixel), counted
    along rows and columns as repeated erosion by 3x3 does. Ignored pixels are of no class in the
    prediction, too.

    Args:
        prediction: Predicted classes, (h, w).
        label: Labelled classes or `ignore_index`, (h, w).
        num_classes: Number of classes K.
        ignore_index: Label of the pixels that do not count.

    Returns:
        int64 (K, 2): of each class the pixels near its edge in both, and in at least one.

    Source: B. Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation",
        2021, with intersection and union summed over a data set, as mIoU does.

    Examples:
        >>> label = np.zeros((4, 4), np.uint8)
        >>> count_boundaries(label, label, num_classes=2)
        array([[12, 12],
               [ 0,  0]])
    """
    ignored = label == ignore_index
    maps = [np.where(ignored, _NO_CLASS, each).astype(np.int32) for each in (label, prediction)]
    distance = max(1, round(_SHARE_OF_DIAGONAL * float(np.hypot(*label.shape))))
    near = [np.where(_is_near_edge(each, distance), each, _NO_CLASS) for each in maps]
    both = near[0][near[0] == near[1]]
    counts = [np.bincount(each[each >= 0].ravel(), minlength=num_classes) for each in (both, *near)]
    return np.stack([counts[0], counts[1] + counts[2] - counts[0]], axis=1)


def _is_near_edge(classes: np.ndarray, distance: int) -> np.ndarray:
    """Return where the window of so many pixels to each side holds another value."""
    padded = np.pad(classes, distance, constant_values=_NO_CLASS)
    low, high = (_over_window(op, padded, 2 * distance + 1) for op in (np.minimum, np.maximum))
    return low != high


def _over_window(op: Callable, values: np.ndarray, width: int) -> np.ndarray:
    """Return `op` over all square windows of a width, each from two halves that overlap."""
    for axis in (0, 1):
        values, size = values.swapaxes(0, axis), 1
        while size < width:
            step = min(size, width - size)
            values = op(values[:-step], values[step:])
            size += step
        values = values.swapaxes(0, axis)
    return values
