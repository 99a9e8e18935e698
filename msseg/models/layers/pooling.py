"""Adaptive average pooling."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.utils.arguments import PositiveInt, checked


class AdaptiveAvgPool2d(nn.Cell):
    """Average (n, c, h, w) over `bins` x `bins` parts of the map.

    Where `bins` does not divide the height or the width, neighbouring parts overlap.

    Args:
        bins: Height and width of the result.

    Source: PyTorch ``nn.AdaptiveAvgPool2d``.

    Examples:
        >>> AdaptiveAvgPool2d(2)(ms.Tensor([[[[1.0, 2.0, 6.0]]]]))[0, 0, 0].asnumpy().tolist()
        [1.5, 4.0]
    """

    @checked
    def __init__(self, bins: PositiveInt) -> None:
        super().__init__()
        self.bins = bins
        self.always_resizes = False  # set by an export for any size
        self.operator = ops.AdaptiveAvgPool2D((bins, bins))

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Average to (n, c, bins, bins), of x's type."""
        h, w = x.shape[2:]
        if self.always_resizes or not (ops.isconstant(h) and ops.isconstant(w)):
            return self.operator(x)
        # Five to ten times as fast backward as the operator (MindSpore 2.8, CPU).
        rows, columns = _matrix(h, self.bins, False), _matrix(w, self.bins, True)
        return ops.matmul(ops.matmul(rows, x.astype(ms.float32)), columns).astype(x.dtype)


def pool_matrix(old: int, new: int) -> np.ndarray:
    """Return the float32 (new, old) matrix that averages a vector over `new` parts."""
    part, place = np.arange(new).reshape(-1, 1) * old, np.arange(old) * new
    inside = (part < place + new) & (place < part + old)
    return (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)


@ops.constexpr
def _matrix(old: int, new: int, transpose: bool) -> ms.Tensor:
    matrix = pool_matrix(old, new)
    return ms.Tensor(np.ascontiguousarray(matrix.T) if transpose else matrix)
