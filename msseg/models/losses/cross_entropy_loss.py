"""Cross-entropy over pixels, by softmax or by independent sigmoids."""

from __future__ import annotations

from typing import Literal

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.models.builder import LOSSES
from msseg.models.layers import LabelLogProb, Softplus
from msseg.models.losses.class_weight import ClassWeight, read_class_weight
from msseg.models.losses.reduce import Reduction, reduce_loss
from msseg.utils.arguments import Name, NonNegative, checked


@LOSSES.register_module()
class CrossEntropyLoss(nn.Cell):
    """Cross-entropy of logits against labels; a batch without a valid pixel costs 0.

    Args:
        use_sigmoid: Whether every channel is a yes-or-no of its own. With one channel, labels are
            0 and 1.
        use_mask: Not supported; accepted as False for MMSegmentation's configs.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
        class_weight: Weight of each class, as a list or the path of a .npy, .json or .yaml file.
            With `use_sigmoid` it weighs the positive pixels of each channel.
        loss_weight: Factor on the result.
        loss_name: Name in the log; it enters the total only if it contains ``loss``.
        avg_non_ignore: Whether the mean is over the valid pixels or over all, ignored ones
            counting as zero.
        avg_by_class_weight: Whether the mean divides by the sum of the valid pixels' class
            weights, as PyTorch's own loss (and the reference implementation) does.

    Raises:
        ValueError: An impossible combination, or a bad value.

    Source: MMSegmentation 0.30 ``CrossEntropyLoss``; its sigmoid with class weights broadcasts
    them along the image's width, here along the channels.
    """

    any_size = True  # its graph can leave the labels' size open

    @checked
    def __init__(
        self,
        use_sigmoid: bool = False,
        use_mask: Literal[False] = False,
        reduction: Reduction = 'mean',
        class_weight: ClassWeight = None,
        loss_weight: NonNegative = 1.0,
        loss_name: Name = 'loss_ce',
        avg_non_ignore: bool = False,
        avg_by_class_weight: bool = False,
    ) -> None:
        super().__init__()
        if avg_by_class_weight and use_sigmoid:
            raise ValueError(
                'CrossEntropyLoss: avg_by_class_weight is for softmax, not use_sigmoid'
            )
        self.use_sigmoid = use_sigmoid
        self.min_channels = 1 if use_sigmoid else 2
        self.reduction = reduction
        self.class_weight = read_class_weight(class_weight)
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.avg_non_ignore = avg_non_ignore
        self.avg_by_class_weight = avg_by_class_weight
        self.has_class_weight = self.class_weight is not None
        if self.has_class_weight:
            self.class_weight_c = ms.Tensor(np.asarray(self.class_weight, np.float32))
        self.log_prob = LabelLogProb()
        self.softplus = Softplus()

    def construct(
        self,
        logits: ms.Tensor,
        labels: ms.Tensor,
        weight: ms.Tensor | None = None,
        ignore_index: int | None = 255,
    ) -> ms.Tensor:
        """Compute the loss.

        Args:
            logits: (n, c, h, w).
            labels: (n, h, w), int32 in [0, c) or ignore_index.
            weight: (n, h, w), factors on the pixels, or None.
            ignore_index: Label of pixels that do not count; None: all count.

        Returns:
            float32: a number; for ``reduction='none'`` (n, h, w), with `use_sigmoid` (n, c, h, w).
        """
        logits = logits.astype(ms.float32)
        valid = ops.ones(labels.shape, ms.float32)
        if ignore_index is not None:
            valid = ops.not_equal(labels, ignore_index).astype(ms.float32)
        if self.use_sigmoid:
            losses, factor = self._sigmoid_losses(logits, labels, valid)
            if weight is not None:
                losses = losses * weight.astype(ms.float32).reshape(_unsqueezed(weight.shape))
        else:
            losses, factor = self._softmax_losses(logits, labels, valid)
            if weight is not None:
                losses = losses * weight.astype(ms.float32)
        return self.loss_weight * self._reduce(losses, factor)

    def pixel_losses(
        self, logits: ms.Tensor, labels: ms.Tensor, ignore_index: int | None
    ) -> ms.Tensor:
        """Return the loss of every pixel, (n, h, w), before weights and reduction."""
        logits = logits.astype(ms.float32)
        valid = ops.ones(labels.shape, ms.float32)
        if ignore_index is not None:
            valid = ops.not_equal(labels, ignore_index).astype(ms.float32)
        if self.use_sigmoid:
            return self.loss_weight * self._sigmoid_losses(logits, labels, valid)[0].sum(axis=1)
        return self.loss_weight * self._softmax_losses(logits, labels, valid)[0]

    def _softmax_losses(
        self, logits: ms.Tensor, labels: ms.Tensor, valid: ms.Tensor
    ) -> tuple[ms.Tensor, ms.Tensor]:
        labels = labels * valid.astype(ms.int32)
        losses = valid * -self.log_prob(logits, labels)
        counted = valid
        if self.has_class_weight:
            weights = ops.gather(self.class_weight_c, labels, 0)
            losses = losses * weights
            if self.avg_by_class_weight:
                counted = valid * weights
        return losses, counted

    def _sigmoid_losses(
        self, logits: ms.Tensor, labels: ms.Tensor, valid: ms.Tensor
    ) -> tuple[ms.Tensor, ms.Tensor]:
        n, c, h, w = logits.shape
        labels = labels.reshape(n, 1, h, w)
        valid = valid.reshape(n, 1, h, w) * ops.greater_equal(labels, 0).astype(ms.float32)
        if c == 1:
            targets = labels.astype(ms.float32) * valid
        else:
            classes = ops.arange(c).astype(ms.int32).reshape(1, c, 1, 1)
            targets = ops.equal(labels, classes).astype(ms.float32)
        softplus = self.softplus(-logits)
        if self.has_class_weight:
            positive = self.class_weight_c.reshape(1, -1, 1, 1)
            factor = 1.0 + (positive - 1.0) * targets
            losses = (1.0 - targets) * logits + factor * softplus
        else:
            losses = (1.0 - targets) * logits + softplus
        return losses * valid, valid * ops.ones((1, c, 1, 1), ms.float32)

    def _reduce(self, losses: ms.Tensor, counted: ms.Tensor) -> ms.Tensor:
        if self.reduction == 'mean' and (self.avg_non_ignore or self.avg_by_class_weight):
            return reduce_loss(losses, self.reduction, counted.sum())
        return reduce_loss(losses, self.reduction)


def _unsqueezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], 1, shape[1], shape[2])
