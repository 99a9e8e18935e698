"""Order of numbers from the largest down."""

from __future__ import annotations

import os

import mindspore as ms
import numpy as np
from mindspore import nn, ops


class DescendingOrder(nn.Cell):
    """Places of each row's numbers, the largest's first; equal ones in any order, no gradient.

    MindSpore's Sort and TopK take over ten times numpy's time on the CPU (2.8: a second for 19
    rows of 262144), so there numpy sorts; unless the compile cache is on, which keeps graphs but
    not the functions that they call.
    """

    def __init__(self) -> None:
        super().__init__()
        on_cpu = ms.get_context('device_target') == 'CPU'
        self.on_host = on_cpu and not _compile_cache_is_on()
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


def _compile_cache_is_on() -> bool:
    variable = os.environ.get('MS_COMPILER_CACHE_ENABLE') == '1'
    return variable or bool(ms.get_context('enable_compile_cache'))


def _order(x: np.ndarray) -> np.ndarray:
    return np.argsort(-x, axis=1).astype(np.int32)


def _same_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape


def _int32(_: ms.Type) -> ms.Type:
    return ms.int32
