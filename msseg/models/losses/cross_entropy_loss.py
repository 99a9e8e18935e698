"""Cross-entropy over pixels, by softmax or by independent sigmoids."""

from __future__ import annotations

from typing import Literal

import mindspore as ms
import numpy as np
from mindspore import ops

from msseg.models.builder import LOSSES
from msseg.models.layers import LabelLogProb, Softplus
from msseg.models.losses.common import (
    BaseLoss,
    ClassWeight,
    Reduction,
    one_hot,
    reduce_loss,
    valid_pixels,
)
from msseg.utils.arguments import Name, NonNegative, checked


@LOSSES.register_module()
class CrossEntropyLoss(BaseLoss):
    """Cross-entropy of logits against labels; a batch without a valid pixel costs 0.

    Args:
        use_sigmoid: Whether every channel is a binary decision. With one channel, labels are 0
            and 1.
        use_mask: Not supported; accepted as False for MMSegmentation's configs.
        reduction: See `BaseLoss`; ``'none'`` gives (n, h, w), with `use_sigmoid` (n, c, h, w).
        class_weight: See `BaseLoss`. With `use_sigmoid` it weighs the positive pixels of each
            channel.
        avg_non_ignore: Whether the mean is over the valid pixels or over all, ignored ones
            counting as zero.
        avg_by_class_weight: Whether the mean divides by the sum of the valid pixels' class
            weights, as PyTorch's own loss (and the reference implementation) does.

    See `BaseLoss` for the other arguments.

    Raises:
        ValueError: An impossible combination, or a bad value.

    Source: MMSegmentation 0.30 ``CrossEntropyLoss``; its sigmoid with class weights broadcasts
    them along the image's width, here along the channels.

    Examples:
        >>> loss = CrossEntropyLoss(loss_weight=2.0)
        >>> value = loss(ms.Tensor([[[[0.0]], [[0.0]]]]), ms.Tensor([[[1]]], ms.int32))
        >>> round(float(value), 4)
        1.3863
    """

    any_size = True

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
        super().__init__(loss_weight, loss_name, class_weight, reduction)
        if avg_by_class_weight and use_sigmoid:
            raise ValueError(
                'CrossEntropyLoss: avg_by_class_weight is for softmax, not use_sigmoid'
            )
        self.use_sigmoid = use_sigmoid
        self.min_channels = 1 if use_sigmoid else 2
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
        """Compute the loss; `weight` multiplies. See `BaseLoss`."""
        logits = logits.astype(ms.float32)
        valid = valid_pixels(labels, ignore_index)
        if self.use_sigmoid:
            losses, counted = self._sigmoid_losses(logits, labels, valid)
        else:
            losses, counted = self._softmax_losses(logits, labels, valid)
        if weight is not None:
            weight = weight.astype(ms.float32)
            losses = losses * (weight.expand_dims(1) if self.use_sigmoid else weight)
        if self.reduction == 'mean' and (self.avg_non_ignore or self.avg_by_class_weight):
            return self.loss_weight * reduce_loss(losses, self.reduction, counted.sum())
        return self.loss_weight * reduce_loss(losses, self.reduction)

    def pixel_losses(
        self, logits: ms.Tensor, labels: ms.Tensor, ignore_index: int | None
    ) -> ms.Tensor:
        """Return the loss of every pixel, (n, h, w), before weights and reduction."""
        logits = logits.astype(ms.float32)
        valid = valid_pixels(labels, ignore_index)
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
        valid = (valid * ops.greater_equal(labels, 0).astype(ms.float32)).reshape(n, 1, h, w)
        if c == 1:
            targets = labels.reshape(n, 1, h, w).astype(ms.float32) * valid
        else:
            targets = one_hot(labels, c)
        softplus = self.softplus(-logits)
        if self.has_class_weight:
            positive = self.class_weight_c.reshape(1, -1, 1, 1)
            factor = 1.0 + (positive - 1.0) * targets
            losses = (1.0 - targets) * logits + factor * softplus
        else:
            losses = (1.0 - targets) * logits + softplus
        return losses * valid, valid * ops.ones((1, c, 1, 1), ms.float32)
