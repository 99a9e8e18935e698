"""What losses on the overlap of prediction and label share."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.models.losses.one_hot import one_hot, valid_pixels


def overlap_inputs(
    owner: str, softmax: nn.Cell, logits: ms.Tensor, labels: ms.Tensor, ignore_index: int | None
) -> tuple[ms.Tensor, ms.Tensor, ms.Tensor]:
    """Return probabilities and targets, each (n, c, pixels), and the valid ones, (n, 1, pixels).

    Labels outside [0, c), the ignored ones among them, count as the nearest class.

    Raises:
        ValueError: There is one channel only, of which softmax would be 1 everywhere.
    """
    n, c, h, w = logits.shape
    if c == 1:
        raise ValueError(f'{owner}: the logits have 1 channel, expected one for each of 2 classes')
    probabilities = softmax(logits.astype(ms.float32)).reshape(n, c, h * w)
    targets = one_hot(ops.clamp(labels, 0, c - 1), c).reshape(n, c, h * w)
    return probabilities, targets, valid_pixels(labels, ignore_index).reshape(n, 1, h * w)


def mean_over_classes(
    losses: ms.Tensor, class_weight: list[float] | None, ignore_index: int | None
) -> ms.Tensor:
    """Average (n, c) losses over images and, weighted, over classes.

    A class that is `ignore_index` costs 0; it is counted.
    """
    factors = _class_factors(losses.shape[1], class_weight, ignore_index)
    return (losses * factors).sum() / losses.size


@ops.constexpr
def _class_factors(
    num_classes: int, class_weight: list[float] | None, ignore_index: int | None
) -> ms.Tensor:
    factors = np.ones(num_classes) if class_weight is None else np.array(class_weight)
    if ignore_index is not None and 0 <= ignore_index < num_classes:
        factors[ignore_index] = 0
    return ms.Tensor(factors, ms.float32)
