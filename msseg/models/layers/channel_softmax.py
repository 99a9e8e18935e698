"""Softmax over the channels."""

from __future__ import annotations

import mindspore as ms
from mindspore import ops

from msseg.models.layers.channel_reduction import ChannelReduction


class ChannelSoftmax(ChannelReduction):
    """Softmax over the channels of (n, c, h, w) float32, with its gradient written out.

    MindSpore's own transposes the tensor to and fro on the CPU (2.8).
    """

    def construct(self, logits: ms.Tensor) -> ms.Tensor:
        """Return the probabilities, (n, c, h, w)."""
        powers = ops.exp(logits - self.maximum(logits))
        return powers * ops.reciprocal(self.sum_channels(powers))

    def bprop(self, logits: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple[ms.Tensor]:
        """Return the gradient: out * (dout - sum over channels of out * dout)."""
        weighted = out * dout
        return (weighted - out * self.sum_channels(weighted),)
