"""Cross-entropy over the pixels that the network finds hard."""

from __future__ import annotations

from typing import Annotated

import mindspore as ms
from mindspore import ops

from msseg.models.builder import LOSSES
from msseg.models.layers import LabelLogProb, RankedValue
from msseg.models.losses.common import BaseLoss, ClassWeight
from msseg.models.losses.cross_entropy_loss import CrossEntropyLoss
from msseg.models.samplers.ohem_pixel_sampler import hard_pixels
from msseg.utils.arguments import Int32, Name, NonNegative, Probability, Range, checked


@LOSSES.register_module()
class OhemCrossEntropy(BaseLoss):
    """Mean cross-entropy of hard pixels; a batch without a valid pixel costs 0.

    Args:
        ignore_label: Label of pixels that do not count, next to the head's ``ignore_index``.
        thres: Pixels whose labelled class has a lower probability are hard.
        min_kept: At least so many pixels of the batch, the least probable ones, are hard.
        loss_weight: Factor on the result.
        class_weight: See `BaseLoss`.
        loss_name: See `BaseLoss`.

    Source: Xu et al., PIDNet (2022); MMSegmentation 1.2 ``OhemCrossEntropy``.

    Examples:
        >>> loss = OhemCrossEntropy(min_kept=1)
        >>> logits = ms.Tensor([[[[0.0, 9.0]], [[0.0, 0.0]]]])
        >>> round(float(loss(logits, ms.Tensor([[[0, 0]]], ms.int32))), 4)
        0.6931
    """

    min_channels = 2

    @checked
    def __init__(
        self,
        ignore_label: Int32 = 255,
        thres: Probability = 0.7,
        min_kept: Annotated[int, Range(1, 2**31 - 2)] = 100000,
        loss_weight: NonNegative = 1.0,
        class_weight: ClassWeight = None,
        loss_name: Name = 'loss_ohem',
    ) -> None:
        super().__init__(loss_weight, loss_name, class_weight)
        self.ignore_label = ignore_label
        self.thres = thres
        self.min_kept = min_kept
        self.cross_entropy = CrossEntropyLoss(reduction='none', class_weight=self.class_weight)
        self.log_prob = LabelLogProb()
        self.ranked = RankedValue()

    def construct(
        self,
        logits: ms.Tensor,
        labels: ms.Tensor,
        weight: ms.Tensor | None = None,
        ignore_index: int | None = 255,
    ) -> ms.Tensor:
        """Compute the loss; `weight` multiplies. See `BaseLoss`."""
        logits = logits.astype(ms.float32)
        if ignore_index is not None and ignore_index != self.ignore_label:
            ignored = ops.full_like(labels, self.ignore_label)
            labels = ops.select(ops.equal(labels, ignore_index), ignored, labels)
        valid = ops.not_equal(labels, self.ignore_label)
        losses = self.cross_entropy(logits, labels, weight=weight, ignore_index=self.ignore_label)
        classes = labels * valid.astype(ms.int32)
        probability = ops.exp(self.log_prob(ops.stop_gradient(logits), classes))
        hard = hard_pixels(probability, valid, self.min_kept, self.thres, self.ranked)
        hard = hard.astype(ms.float32)
        return self.loss_weight * (losses * hard).sum() / ops.maximum(hard.sum(), 1.0)
