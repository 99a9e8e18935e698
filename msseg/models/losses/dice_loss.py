"""Dice loss over images and classes."""

from __future__ import annotations

import mindspore as ms
from mindspore import ops

from msseg.models.builder import LOSSES
from msseg.models.losses.common import ClassWeight, Reduction, reduce_loss
from msseg.models.losses.overlap import OverlapLoss
from msseg.utils.arguments import Int32, Name, NonNegative, Positive, checked


@LOSSES.register_module()
class DiceLoss(OverlapLoss):
    """1 - Dice coefficient of softmax and label, of every class and image, averaged.

    Ignored pixels do not enter the numerator, but they do enter the denominator, as if labelled
    with the last class: so a batch without a valid pixel costs more than 0, and ignored pixels
    have a small gradient.

    Args:
        smooth: Added to numerator and denominator.
        exponent: Power of probability and label in the denominator, above 0.
        reduction: See `BaseLoss`; the loss is one number in any case.
        ignore_index: Label of pixels that do not count, or a class to leave out. The head's
            ``ignore_index`` has no influence.

    See `BaseLoss` for the other arguments.

    Source: MMSegmentation 0.30 ``DiceLoss``; arXiv:1606.04797.

    Examples:
        >>> logits = 9 * ms.Tensor([[[[1.0, -1.0]], [[-1.0, 1.0]]]])
        >>> bool(DiceLoss()(logits, ms.Tensor([[[0, 1]]], ms.int32)) < 1e-6)
        True
    """

    @checked
    def __init__(
        self,
        smooth: NonNegative = 1,
        exponent: Positive = 2,
        reduction: Reduction = 'mean',
        class_weight: ClassWeight = None,
        loss_weight: NonNegative = 1.0,
        ignore_index: Int32 | None = 255,
        loss_name: Name = 'loss_dice',
    ) -> None:
        super().__init__(smooth, ignore_index, loss_weight, loss_name, class_weight, reduction)
        self.exponent = exponent

    def construct(
        self,
        logits: ms.Tensor,
        labels: ms.Tensor,
        weight: ms.Tensor | None = None,
        ignore_index: int | None = 255,
        avg_factor: float | None = None,
    ) -> ms.Tensor:
        """Compute the loss; `weight` and `ignore_index` are not read, as in MMSegmentation.

        `avg_factor` divides the loss when the reduction is ``'mean'``.
        """
        loss = self.mean_loss(logits, labels)
        return self.loss_weight * reduce_loss(loss, self.reduction, avg_factor)

    def class_losses(
        self, probabilities: ms.Tensor, targets: ms.Tensor, valid: ms.Tensor
    ) -> ms.Tensor:
        powers = probabilities
        if self.exponent == 2:
            powers = probabilities * probabilities
        elif self.exponent != 1:
            powers = ops.pow(probabilities, self.exponent)
        common = (probabilities * (targets * valid)).sum(axis=2)
        size = (powers + targets).sum(axis=2)
        return 1.0 - (2.0 * common + self.smooth) / (size + self.smooth)
