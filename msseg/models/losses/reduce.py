"""How elements of a loss become a number."""

from __future__ import annotations

from typing import Literal

import mindspore as ms
import numpy as np

EPS = float(np.finfo(np.float32).eps)
Reduction = Literal['none', 'mean', 'sum']


def reduce_loss(losses: ms.Tensor, reduction: str, avg_factor: float | None = None) -> ms.Tensor:
    """Reduce a loss.

    Args:
        losses: The elements.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
        avg_factor: What the mean divides by; None: the number of elements.

    Raises:
        ValueError: `avg_factor` is given for a sum.

    Source: MMSegmentation 0.30 ``weight_reduce_loss``.
    """
    if reduction == 'none':
        return losses
    if reduction == 'sum':
        if avg_factor is not None:
            raise ValueError("avg_factor is for reduction='mean', not reduction='sum'")
        return losses.sum()
    if avg_factor is None:
        return losses.sum() / losses.size
    return losses.sum() / (avg_factor + EPS)
