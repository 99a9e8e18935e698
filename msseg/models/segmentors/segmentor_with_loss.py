"""A segmentor and its losses as one cell for training."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn


class SegmentorWithLoss(nn.Cell):
    """Runs a segmentor and computes its total loss; parameters keep the segmentor's names.

    Args:
        segmentor: A segmentor with ``losses`` and ``loss_names``.
    """

    def __init__(self, segmentor: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.segmentor = segmentor
        self.value_names = list(segmentor.loss_names)
        self.counts = ['loss' in name for name in self.value_names]

    def construct(self, img: ms.Tensor, gt: ms.Tensor) -> tuple[ms.Tensor, tuple[ms.Tensor, ...]]:
        """Compute the loss.

        Args:
            img: (n, c, h, w).
            gt: (n, h, w), int32.

        Returns:
            The sum of the values whose name contains ``loss``, and the values named by
            ``value_names``.
        """
        values = self.segmentor.losses(self.segmentor(img), gt)
        total = 0.0
        for i in range(len(self.counts)):
            if self.counts[i]:
                total = total + values[i]
        return total, values
