"""Labels as one channel per class."""

from __future__ import annotations

import mindspore as ms
from mindspore import ops


def one_hot(labels: ms.Tensor, num_classes: int) -> ms.Tensor:
    """Return (n, num_classes, h, w), float32: 1 where a pixel is of the class, else 0.

    Args:
        labels: (n, h, w), int32; a label outside [0, num_classes) is of no class.
        num_classes: Number of classes.
    """
    n, h, w = labels.shape
    classes = ops.arange(num_classes).astype(ms.int32).reshape(1, num_classes, 1, 1)
    return ops.equal(labels.reshape(n, 1, h, w), classes).astype(ms.float32)


def valid_pixels(labels: ms.Tensor, ignore_index: int | None) -> ms.Tensor:
    """Return (n, h, w), float32: 0 where the label is to be ignored, else 1."""
    if ignore_index is None:
        return ops.ones(labels.shape, ms.float32)
    return ops.not_equal(labels, ignore_index).astype(ms.float32)
