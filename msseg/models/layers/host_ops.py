"""Orders and products of matrices: by numpy on the CPU, by what cards are good at elsewhere."""

from __future__ import annotations

import os

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.utils.target import get_target

_LARGEST_KEY = 2.0**30
_HALVINGS = 32
_INFINITE = float(np.finfo(np.float32).max)


def host_functions_work() -> bool:
    """Return whether graphs may call Python functions (``ops.Custom``, ``'pyfunc'``).

    They may on the CPU, unless the compile cache is on: it keeps graphs, but not the functions
    that they call, and a later run fails (MindSpore 2.8).
    """
    cached = os.environ.get('MS_COMPILER_CACHE_ENABLE') == '1'
    cached = cached or bool(ms.get_context('enable_compile_cache'))
    return get_target().name == 'CPU' and not cached


class DescendingOrder(nn.Cell):
    """Indices that sort each row in descending order; ties in any order, no gradient.

    MindSpore's Sort and TopK take over ten times numpy's time on the CPU (2.8: a second for 19
    rows of 262144), so there numpy sorts. On Ascend the operator's documentation warns of float32,
    so there 30 bits of each number are sorted as integers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_host = host_functions_work()
        self.on_ascend = get_target().name == 'Ascend'
        self.sort = ops.Sort(axis=1, descending=True)
        if self.on_host:
            self.host_sort = ops.Custom(
                _order,
                out_shape=lambda shape: shape,
                out_dtype=lambda _: ms.int32,
                func_type='pyfunc',
            )

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return the indices, int32, of (rows, n) float32."""
        x = ops.stop_gradient(x)
        if self.on_host:
            return self.host_sort(x)
        if self.on_ascend:
            largest = ops.maximum(ops.amax(ops.abs(x)), 1e-30)
            x = (x * (_LARGEST_KEY / largest)).astype(ms.int32)
        return self.sort(x)[1]


class RankedValue(nn.Cell):
    """A vector's value of a rank, 0 for the largest; no gradient.

    MindSpore's TopK of 100,000 among 262,144 values takes six times numpy's partition on the CPU
    (2.8), and on a GPU one block of threads finds some thousand numbers at a time. So on cards the
    value is found by halving the range of all.

    Examples:
        >>> vector, rank = ms.Tensor([3.0, 9.0, 5.0]), ms.Tensor(1, ms.int32)
        >>> float(RankedValue()(vector, rank, most=2))
        5.0
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_host = host_functions_work()
        self.on_cpu = get_target().name == 'CPU'
        if self.on_host:
            self.host_value = ops.Custom(
                _ranked,
                out_shape=lambda shape, _: (1,),
                out_dtype=lambda dtype, _: dtype,
                func_type='pyfunc',
            )

    def construct(self, x: ms.Tensor, rank: ms.Tensor, most: int) -> ms.Tensor:
        """Return the value, of shape (); `rank` is int32 of shape () and less than `most`."""
        x = ops.stop_gradient(x)
        if self.on_host:
            return self.host_value(x, rank.reshape(1)).reshape(())
        if self.on_cpu:
            return ops.gather(ops.topk(x, most)[0], rank, 0)
        high, low = ops.amax(x), ops.amin(x) - 1.0
        for _ in range(_HALVINGS):  # above `low` are more than `rank` values, above `high` are not
            middle = 0.5 * (low + high)
            are_enough = (x > middle).astype(ms.float32).sum() > rank
            low = ops.select(are_enough, middle, low)
            high = ops.select(are_enough, high, middle)
        return ops.amin(ops.select(x > low, x, ops.full_like(x, _INFINITE)))


class GramMatrix(nn.Cell):
    """x x^T of a stack of matrices, float64 on the CPU, (n, c, d, points) to (n, c, d, d).

    MindSpore's BatchMatMul of float64 takes 5 to 10 times numpy's time on the CPU (2.8), and over
    a hundred times when other programs run, because its threads wait for each other after every
    matrix; so there numpy multiplies. Elsewhere the gradient is written out, too, without
    BatchMatMul's own transposition of long factors.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_host = host_functions_work()
        self.product = ops.BatchMatMul()
        self.product_with_transposed = ops.BatchMatMul(transpose_b=True)
        if self.on_host:
            self.host_gram = ops.Custom(
                _gram,
                out_shape=lambda shape: (*shape[:3], shape[2]),
                out_dtype=lambda dtype: dtype,
                func_type='pyfunc',
            )
            self.host_product = ops.Custom(
                _product,
                out_shape=lambda _, shape: shape,
                out_dtype=lambda _, dtype: dtype,
                func_type='pyfunc',
            )

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return the products."""
        if self.on_host:
            return self.host_gram(x)
        return self.product_with_transposed(x, x)

    def bprop(self, x: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple[ms.Tensor]:
        """Return the gradient, (dout + dout^T) x."""
        both = dout + dout.swapaxes(2, 3)
        if self.on_host:
            return (self.host_product(both, x),)
        return (self.product(both, x),)


def _order(x: np.ndarray) -> np.ndarray:
    return np.argsort(-x, axis=1).astype(np.int32)


def _ranked(x: np.ndarray, rank: np.ndarray) -> np.ndarray:
    place = x.size - 1 - int(rank[0])
    return np.partition(x, place)[place : place + 1]


def _gram(x: np.ndarray) -> np.ndarray:
    return x @ x.swapaxes(2, 3)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a @ b
