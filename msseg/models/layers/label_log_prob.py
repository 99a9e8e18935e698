"""Log-probability of the labelled class at each pixel."""

from __future__ import annotations

import mindspore as ms
from mindspore import ops

from msseg.models.layers.channel_reduction import ChannelReduction


class LabelLogProb(ChannelReduction):
    """Log-softmax over the channels, at the label only."""

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
        top = self.maximum(logits)
        log_sum = ops.log(self.sum_channels(ops.exp(logits - top)))
        value = self.gather(logits, 1, index) - top - log_sum
        return value.reshape(n, h, w)
