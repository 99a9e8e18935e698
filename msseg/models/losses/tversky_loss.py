"""Tversky loss over images and classes."""

from __future__ import annotations

import math

import mindspore as ms

from msseg.models.builder import LOSSES
from msseg.models.losses.common import ClassWeight
from msseg.models.losses.overlap import OverlapLoss
from msseg.utils.arguments import Int32, Name, NonNegative, Probability, checked


@LOSSES.register_module()
class TverskyLoss(OverlapLoss):
    """1 - Tversky index of softmax and label, of every class and image, averaged.

    A batch without a valid pixel costs 0.

    Args:
        smooth: Added to numerator and denominator.
        ignore_index: Label of pixels that do not count, or a class to leave out. The head's
            ``ignore_index`` has no influence.
        alpha: Weight of false positives.
        beta: Weight of false negatives, 1 - `alpha`.

    See `BaseLoss` for the other arguments.

    Source: MMSegmentation 0.30 ``TverskyLoss``; arXiv:1706.05721.

    Examples:
        >>> logits = ms.Tensor([[[[9.0, -9.0]], [[-9.0, 9.0]]]])
        >>> bool(TverskyLoss()(logits, ms.Tensor([[[0, 1]]], ms.int32)) < 1e-6)
        True
    """

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
        super().__init__(smooth, ignore_index, loss_weight, loss_name, class_weight)
        if not math.isclose(alpha + beta, 1.0):
            raise ValueError(
                f'TverskyLoss: alpha is {alpha!r} and beta {beta!r}, expected a sum of 1'
            )
        self.alpha = alpha
        self.beta = beta

    def construct(
        self,
        logits: ms.Tensor,
        labels: ms.Tensor,
        weight: ms.Tensor | None = None,
        ignore_index: int | None = 255,
    ) -> ms.Tensor:
        """Compute the loss; `weight` and `ignore_index` are not read, as in MMSegmentation."""
        return self.loss_weight * self.mean_loss(logits, labels)

    def class_losses(
        self, probabilities: ms.Tensor, targets: ms.Tensor, valid: ms.Tensor
    ) -> ms.Tensor:
        targets = targets * valid
        hits = (probabilities * targets).sum(axis=2)
        false_positives = (probabilities * valid).sum(axis=2) - hits
        false_negatives = targets.sum(axis=2) - hits
        wrong = self.alpha * false_positives + self.beta * false_negatives
        return 1.0 - (hits + self.smooth) / (hits + wrong + self.smooth)
