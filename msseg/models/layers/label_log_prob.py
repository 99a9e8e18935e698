"""Log-probability of the labelled class at each pixel."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops


class LabelLogProb(nn.Cell):
    """Log-softmax over the channels, at the label only.

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

    def construct(self, logits: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        """Compute log p(label).

        Args:
            logits: (n, c, h, w), float32.
            labels: (n, h, w), int32 in [0, c).

        Returns:
            (n, h, w), float32.
        """
        n, _, h, w = logits.shape
        index = labels.reshape(n, 1, h, w)
        top = self._maximum(logits)
        log_sum = ops.log(self._sum_channels(ops.exp(logits - top)))
        value = self.gather(logits, 1, index) - top - log_sum
        return value.reshape(n, h, w)

    def _maximum(self, logits: ms.Tensor) -> ms.Tensor:
        detached = ops.stop_gradient(logits)
        if not self.on_cpu:
            return ops.amax(detached, axis=1, keepdims=True)
        n, _, h, w = logits.shape
        return self.gather(detached, 1, self.argmax(detached).reshape(n, 1, h, w))

    def _sum_channels(self, x: ms.Tensor) -> ms.Tensor:
        n, c, h, w = x.shape
        if not self.on_cpu:
            return x.sum(axis=1, keepdims=True)
        ones = ops.ones((n, 1, c), ms.float32)
        return ops.bmm(ones, x.reshape(n, c, h * w)).reshape(n, 1, h, w)
