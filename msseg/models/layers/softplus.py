"""log(1 + exp(x)) without overflow."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops


class Softplus(nn.Cell):
    """log(1 + exp(x)) of float32, for numbers of any size.

    MindSpore's Softplus and LogSigmoid have gradients of inf and nan at 100 on the CPU (2.8); and
    the parts of the form used here have kinks at 0, so its gradient is written out.
    """

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return a tensor of x's shape."""
        return ops.log1p(ops.exp(-ops.abs(x))) + ops.relu(x)

    def bprop(self, x: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple[ms.Tensor]:
        """Return the gradient, dout * sigmoid(x)."""
        return (dout * ops.sigmoid(x),)
