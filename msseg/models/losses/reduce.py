"""How elements of a loss become a number."""

from __future__ import annotations

import mindspore as ms
import numpy as np

from msseg.utils.suggest import did_you_mean

EPS = float(np.finfo(np.float32).eps)
_REDUCTIONS = ('none', 'mean', 'sum')


def check_reduction(owner: str, reduction: str) -> str:
    """Return `reduction` if it is one.

    Args:
        owner: Class name for the message.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.

    Raises:
        ValueError: It is none of those.
    """
    if reduction not in _REDUCTIONS:
        raise ValueError(
            f'{owner}: reduction is {reduction!r}, expected one of {list(_REDUCTIONS)}.'
            f'{did_you_mean(str(reduction), _REDUCTIONS)}'
        )
    return reduction


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
