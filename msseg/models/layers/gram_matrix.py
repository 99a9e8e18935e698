"""Products of a few long rows with each other."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.models.layers.host_function import host_functions_work


class GramMatrix(nn.Cell):
    """x x^T of a float64 stack of matrices, (n, c, d, points) to (n, c, d, d).

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
                _gram, out_shape=_gram_shape, out_dtype=_same_type, func_type='pyfunc'
            )
            self.host_product = ops.Custom(
                _product, out_shape=_second_shape, out_dtype=_second_type, func_type='pyfunc'
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


def _gram(x: np.ndarray) -> np.ndarray:
    return x @ x.swapaxes(2, 3)


def _gram_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:3], shape[2])


def _same_type(kind: ms.Type) -> ms.Type:
    return kind


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a @ b


def _second_shape(_: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape


def _second_type(_: ms.Type, kind: ms.Type) -> ms.Type:
    return kind
