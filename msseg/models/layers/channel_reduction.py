"""Maximum and sum over the channels."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops


class ChannelReduction(nn.Cell):
    """Base of cells that reduce (n, c, h, w) over its channels.

    MindSpore's LogSoftmax over axis 1 and its ReduceMax and ReduceSum take several times the other
    operators' time on the CPU (2.8). There the maximum is an Argmax and a gather, and the sum over
    channels a product with a row of ones; other devices, which may multiply matrices in reduced
    precision, sum as usual.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_cpu = ms.get_context('device_target') == 'CPU'
        self.argmax = ops.Argmax(axis=1, output_type=ms.int32)
        self.gather = ops.GatherD()

    def maximum(self, x: ms.Tensor) -> ms.Tensor:
        """Return the maximum, (n, 1, h, w), without gradient."""
        detached = ops.stop_gradient(x)
        if not self.on_cpu:
            return ops.amax(detached, axis=1, keepdims=True)
        n, _, h, w = x.shape
        return self.gather(detached, 1, self.argmax(detached).reshape(n, 1, h, w))

    def sum_channels(self, x: ms.Tensor) -> ms.Tensor:
        """Return the sum, (n, 1, h, w), of float32 numbers."""
        n, c, h, w = x.shape
        if not self.on_cpu:
            return x.sum(axis=1, keepdims=True)
        ones = ops.ones((n, 1, c), ms.float32)
        return ops.bmm(ones, x.reshape(n, c, h * w)).reshape(n, 1, h, w)
