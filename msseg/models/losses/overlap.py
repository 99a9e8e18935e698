"""Base of losses on the overlap of prediction and label."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import ops

from msseg.models.layers import ChannelSoftmax
from msseg.models.losses.common import BaseLoss, one_hot, valid_pixels


class OverlapLoss(BaseLoss):
    """Base of losses of softmax and label, of every class and image, averaged.

    A subclass writes `class_losses`, and a ``construct`` that calls `mean_loss`.

    Args:
        smooth: Added to numerator and denominator.
        ignore_index: Label of pixels that do not count, or a class to leave out. The head's
            ``ignore_index`` has no influence.
        *args: See `BaseLoss`.
    """

    any_size = True
    min_channels = 2

    def __init__(self, smooth: float, ignore_index: int | None, *args: Any) -> None:
        super().__init__(*args)
        self.smooth = smooth
        self.ignore_index = ignore_index
        self.owner = type(self).__name__
        self.softmax = ChannelSoftmax()

    def class_losses(
        self, probabilities: ms.Tensor, targets: ms.Tensor, valid: ms.Tensor
    ) -> ms.Tensor:
        """Return (n, c) losses from (n, c, pixels), (n, c, pixels) and (n, 1, pixels)."""
        raise NotImplementedError

    def mean_loss(self, logits: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        """Average over images and, weighted, over classes; the class `ignore_index` costs 0.

        Labels outside [0, c), the ignored ones among them, count as the nearest class.

        Args:
            logits: (n, c, h, w), c of at least 2.
            labels: (n, h, w), int32.
        """
        n, c, h, w = logits.shape
        if c == 1:
            raise ValueError(
                f'{self.owner}: the logits have 1 channel, expected one for each of 2 classes'
            )
        probabilities = self.softmax(logits.astype(ms.float32)).reshape(n, c, h * w)
        targets = one_hot(ops.clamp(labels, 0, c - 1), c).reshape(n, c, h * w)
        valid = valid_pixels(labels, self.ignore_index).reshape(n, 1, h * w)
        losses = self.class_losses(probabilities, targets, valid)
        factors = _class_factors(c, self.class_weight, self.ignore_index)
        return (losses * factors).sum() / losses.size


@ops.constexpr
def _class_factors(
    num_classes: int, class_weight: list[float] | None, ignore_index: int | None
) -> ms.Tensor:
    factors = np.ones(num_classes) if class_weight is None else np.array(class_weight)
    if ignore_index is not None and 0 <= ignore_index < num_classes:
        factors[ignore_index] = 0
    return ms.Tensor(factors, ms.float32)
