"""Order of numbers from the largest down."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.models.layers.host_function import host_functions_work


class DescendingOrder(nn.Cell):
    """Places of each row's numbers, the largest's first; equal ones in any order, no gradient.

    MindSpore's Sort and TopK take over ten times numpy's time on the CPU (2.8: a second for 19
    rows of 262144), so there numpy sorts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_host = host_functions_work()
        self.sort = ops.Sort(axis=1, descending=True)
        if self.on_host:
            self.host_sort = ops.Custom(
                _order, out_shape=_same_shape, out_dtype=_int32, func_type='pyfunc'
            )

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return the places, int32, of (rows, n) float32."""
        x = ops.stop_gradient(x)
        if self.on_host:
            return self.host_sort(x)
        return self.sort(x)[1]


def _order(x: np.ndarray) -> np.ndarray:
    return np.argsort(-x, axis=1).astype(np.int32)


def _same_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape


def _int32(_: ms.Type) -> ms.Type:
    return ms.int32
