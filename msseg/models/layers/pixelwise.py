"""Softmax and softplus, faster or more exact than MindSpore's."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from msseg.utils.target import get_target


class ChannelReduction(nn.Cell):
    """Base of cells that reduce (n, c, h, w) over its channels.

    MindSpore's LogSoftmax over axis 1 and its ReduceMax and ReduceSum take several times the other
    operators' time on the CPU (2.8). There the maximum is an Argmax and a gather, and the sum over
    channels a product with a row of ones; other devices, which may multiply matrices in reduced
    precision, sum as usual.

    Operators that broadcast are dear on the CPU as well: each keeps two int64 indices per element
    of its result, four times a float32 tensor, for as long as the graph lives (2.8), and takes
    three to four times the time of one with equal shapes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_cpu = get_target().name == 'CPU'
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

    def over_channels(self, x: ms.Tensor, channels: int) -> ms.Tensor:
        """Return float32 (n, 1, h, w) for each channel: (n, channels, h, w) where not broadcast."""
        if not self.on_cpu:
            return x
        n, _, h, w = x.shape
        ones = ops.ones((n, channels, 1), ms.float32)
        return ops.bmm(ones, x.reshape(n, 1, h * w)).reshape(n, channels, h, w)


class ChannelSoftmax(ChannelReduction):
    """Softmax over the channels of (n, c, h, w) float32, with its gradient written out.

    MindSpore's own transposes the tensor to and fro on the CPU (2.8).
    """

    def construct(self, logits: ms.Tensor) -> ms.Tensor:
        """Return the probabilities, (n, c, h, w)."""
        c = logits.shape[1]
        powers = ops.exp(logits - self.over_channels(self.maximum(logits), c))
        return powers * self.over_channels(ops.reciprocal(self.sum_channels(powers)), c)

    def bprop(self, logits: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple[ms.Tensor]:
        """Return the gradient: out * (dout - sum over channels of out * dout)."""
        weighted = out * dout
        total = self.over_channels(self.sum_channels(weighted), out.shape[1])
        return (weighted - out * total,)


class RowSoftmax(nn.Softmax):
    """Softmax over the last axis, as in attention.

    On the CPU its gradient is written out with products: MindSpore's own broadcasts (2.8; see
    `ChannelReduction`), takes twice the time and keeps four times the weights' memory.
    """

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Return the shares, of x's shape and type."""
        return self.softmax(x)

    def bprop(self, x: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple[ms.Tensor]:
        """Return the gradient: out * (dout - sum over the row of out * dout)."""
        length = x.shape[-1]
        out = out.astype(ms.float32)
        weighted = out * dout.astype(ms.float32)
        column = ops.ones((length, 1), ms.float32)
        totals = ops.matmul(weighted.reshape(-1, length), column)
        totals = ops.matmul(totals, ops.ones((1, length), ms.float32)).reshape(x.shape)
        return ((weighted - out * totals).astype(x.dtype),)


def row_softmax() -> nn.Softmax:
    """Return a softmax over the last axis, on the CPU with a gradient of its own."""
    return RowSoftmax(-1) if get_target().name == 'CPU' else nn.Softmax(-1)


class LabelLogProb(ChannelReduction):
    """Log-softmax over the channels, at the label only.

    Off the CPU no gather takes it from the logits: where Ascend sinks graphs, the gather's gradient
    runs on the card's slow scalar processor (MindSpore 2.8, CustGatherDGradV2).
    """

    def construct(self, logits: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        """Compute log p(label), float32 (n, h, w).

        Args:
            logits: (n, c, h, w), float32.
            labels: (n, h, w), int32 in [0, c).
        """
        n, c, h, w = logits.shape
        index = labels.reshape(n, 1, h, w)
        top = self.maximum(logits)
        log_sum = ops.log(self.sum_channels(ops.exp(logits - self.over_channels(top, c))))
        value = self._at_label(logits, index) - top - log_sum
        return value.reshape(n, h, w)

    def _at_label(self, logits: ms.Tensor, index: ms.Tensor) -> ms.Tensor:
        if self.on_cpu:
            return self.gather(logits, 1, index)
        c = logits.shape[1]
        classes = ops.arange(c).astype(ms.int32).reshape(1, c, 1, 1)
        chosen = ops.select(ops.equal(index, classes), logits, ops.zeros_like(logits))
        return chosen.sum(axis=1, keepdims=True)


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
