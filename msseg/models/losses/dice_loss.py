"""Dice loss over images and classes."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import LOSSES
from msseg.models.layers import ChannelSoftmax
from msseg.models.losses.class_weight import ClassWeight, read_class_weight
from msseg.models.losses.overlap import mean_over_classes, overlap_inputs
from msseg.models.losses.reduce import Reduction, reduce_loss
from msseg.utils.arguments import Int32, Name, NonNegative, Positive, checked


@LOSSES.register_module()
class DiceLoss(nn.Cell):
    """1 - Dice coefficient of softmax and label, of every class and image, averaged.

    Ignored pixels do not enter the numerator, but they do enter the denominator, as if labelled
    with the last class: so a batch without a valid pixel costs more than 0, and ignored pixels
    have a small gradient.

    Args:
        smooth: Added to numerator and denominator.
        exponent: Power of probability and label in the denominator, above 0.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``. The loss is one number in any case.
        class_weight: Weight of each class, as a list or the path of a .npy, .json or .yaml file.
        loss_weight: Factor on the result.
        ignore_index: Label of pixels that do not count, or a class to leave out. The head's
            ``ignore_index`` has no influence.
        loss_name: Name in the log; it enters the total only if it contains ``loss``.

    Raises:
        ValueError: A bad value.

    Source: MMSegmentation 0.30 ``DiceLoss``; arXiv:1606.04797.
    """

    any_size = True  # its graph can leave the labels' size open
    min_channels = 2

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
        super().__init__()
        self.smooth = smooth
        self.exponent = exponent
        self.reduction = reduction
        self.class_weight = read_class_weight(class_weight)
        self.loss_weight = loss_weight
        self.ignore_index = ignore_index
        self.loss_name = loss_name
        self.softmax = ChannelSoftmax()

    def construct(
        self,
        logits: ms.Tensor,
        labels: ms.Tensor,
        weight: ms.Tensor | None = None,
        ignore_index: int | None = 255,
        avg_factor: float | None = None,
    ) -> ms.Tensor:
        """Compute the loss.

        Args:
            logits: (n, c, h, w), c of at least 2.
            labels: (n, h, w), int32.
            weight: Not read, as in MMSegmentation.
            ignore_index: Not read: the loss has its own.
            avg_factor: Divides the loss when the reduction is ``'mean'``.

        Returns:
            float32, a number.
        """
        probabilities, targets, valid = overlap_inputs(
            'DiceLoss', self.softmax, logits, labels, self.ignore_index
        )
        powers = probabilities
        if self.exponent == 2:
            powers = probabilities * probabilities
        elif self.exponent != 1:
            powers = ops.pow(probabilities, self.exponent)
        common = (probabilities * (targets * valid)).sum(axis=2)
        size = (powers + targets).sum(axis=2)
        losses = 1.0 - (2.0 * common + self.smooth) / (size + self.smooth)
        loss = mean_over_classes(losses, self.class_weight, self.ignore_index)
        return self.loss_weight * reduce_loss(loss, self.reduction, avg_factor)
