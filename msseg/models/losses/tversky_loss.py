"""Tversky loss over images and classes."""

from __future__ import annotations

import math

import mindspore as ms
from mindspore import nn

from msseg.models.builder import LOSSES
from msseg.models.layers import ChannelSoftmax
from msseg.models.losses.class_weight import ClassWeight, read_class_weight
from msseg.models.losses.overlap import mean_over_classes, overlap_inputs
from msseg.utils.arguments import Int32, Name, NonNegative, Probability, checked


@LOSSES.register_module()
class TverskyLoss(nn.Cell):
    """1 - Tversky index of softmax and label, of every class and image, averaged.

    A batch without a valid pixel costs 0.

    Args:
        smooth: Added to numerator and denominator.
        class_weight: Weight of each class, as a list or the path of a .npy, .json or .yaml file.
        loss_weight: Factor on the result.
        ignore_index: Label of pixels that do not count, or a class to leave out. The head's
            ``ignore_index`` has no influence.
        alpha: Weight of false positives.
        beta: Weight of false negatives, 1 - `alpha`.
        loss_name: Name in the log; it enters the total only if it contains ``loss``.

    Raises:
        ValueError: A bad value.

    Source: MMSegmentation 0.30 ``TverskyLoss``; arXiv:1706.05721.
    """

    any_size = True  # its graph can leave the labels' size open
    min_channels = 2

    @checked
    def __init__(
        self,
        smooth: NonNegative = 1,
        class_weight: ClassWeight = None,
        loss_weight: NonNegative = 1.0,
        ignore_index: Int32 | None = 255,
        alpha: Probability = 0.3,
        beta: Probability = 0.7,
        loss_name: Name = 'loss_tversky',
    ) -> None:
        super().__init__()
        if not math.isclose(alpha + beta, 1.0):
            raise ValueError(
                f'TverskyLoss: alpha is {alpha!r} and beta {beta!r}, expected a sum of 1'
            )
        self.smooth = smooth
        self.class_weight = read_class_weight(class_weight)
        self.loss_weight = loss_weight
        self.ignore_index = ignore_index
        self.alpha = alpha
        self.beta = beta
        self.loss_name = loss_name
        self.softmax = ChannelSoftmax()

    def construct(
        self,
        logits: ms.Tensor,
        labels: ms.Tensor,
        weight: ms.Tensor | None = None,
        ignore_index: int | None = 255,
    ) -> ms.Tensor:
        """Compute the loss.

        Args:
            logits: (n, c, h, w), c of at least 2.
            labels: (n, h, w), int32.
            weight: Not read, as in MMSegmentation.
            ignore_index: Not read: the loss has its own.

        Returns:
            float32, a number.
        """
        probabilities, targets, valid = overlap_inputs(
            'TverskyLoss', self.softmax, logits, labels, self.ignore_index
        )
        targets = targets * valid
        hits = (probabilities * targets).sum(axis=2)
        false_positives = (probabilities * valid).sum(axis=2) - hits
        false_negatives = targets.sum(axis=2) - hits
        wrong = self.alpha * false_positives + self.beta * false_negatives
        losses = 1.0 - (hits + self.smooth) / (hits + wrong + self.smooth)
        loss = mean_over_classes(losses, self.class_weight, self.ignore_index)
        return self.loss_weight * loss
