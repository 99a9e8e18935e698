"""Dice loss of whole images, MMSegmentation 1.x's."""

from __future__ import annotations

import mindspore as ms
from mindspore import ops

from msseg.models.builder import LOSSES
from msseg.models.losses.common import BaseLoss, Reduction, one_hot, reduce_loss
from msseg.utils.arguments import Int32, Name, NonNegative, Positive, checked


@LOSSES.register_module()
class ImageDiceLoss(BaseLoss):
    """1 - Dice coefficient of probability and label, over all classes of an image at once.

    `DiceLoss` takes each class for itself. Pixels without a label have no share in the numerator,
    but their probabilities count in the denominator.

    Args:
        use_sigmoid: Whether probabilities are sigmoids of the logits; else they are softmaxes,
            for logits of more than one channel.
        activate: Whether `construct` gets logits; else probabilities.
        reduction: See `BaseLoss`; an element is that of an image.
        naive_dice: Whether the denominator has the sum of probabilities and labels, not of their
            squares.
        loss_weight: See `BaseLoss`.
        ignore_index: A class that is left out. The head's ``ignore_index`` has no influence.
        eps: Added to numerator or denominator against a division by 0.
        loss_name: See `BaseLoss`.

    Source: MMSegmentation 1.2 ``DiceLoss``, to which files of 1.x are translated.

    Examples:
        >>> logits = 9 * ms.Tensor([[[[1.0, -1.0]], [[-1.0, 1.0]]]])
        >>> bool(ImageDiceLoss()(logits, ms.Tensor([[[0, 1]]], ms.int32)) < 1e-3)
        True
    """

    @checked
    def __init__(
        self,
        use_sigmoid: bool = True,
        activate: bool = True,
        reduction: Reduction = 'mean',
        naive_dice: bool = False,
        loss_weight: NonNegative = 1.0,
        ignore_index: Int32 | None = 255,
        eps: Positive = 1e-3,
        loss_name: Name = 'loss_dice',
    ) -> None:
        super().__init__(loss_weight, loss_name, reduction=reduction)
        self.use_sigmoid, self.activate, self.naive_dice = use_sigmoid, activate, naive_dice
        self.left_out, self.eps = ignore_index, eps

    def construct(
        self,
        logits: ms.Tensor,
        labels: ms.Tensor,
        weight: ms.Tensor | None = None,
        ignore_index: int | None = 255,
    ) -> ms.Tensor:
        """Compute the loss; `weight` and `ignore_index` are not read."""
        probabilities = logits.astype(ms.float32)
        if self.activate and self.use_sigmoid:
            probabilities = ops.sigmoid(probabilities)
        elif self.activate and logits.shape[1] > 1:
            probabilities = ops.softmax(probabilities, 1)
        n, classes = logits.shape[:2]
        targets = one_hot(labels, classes)
        if self.left_out is not None and 0 <= self.left_out < classes:
            kept = ops.not_equal(ops.arange(classes), self.left_out).astype(ms.float32)
            probabilities = probabilities * kept.reshape(1, classes, 1, 1)
            targets = targets * kept.reshape(1, classes, 1, 1)
        probabilities, targets = probabilities.reshape(n, -1), targets.reshape(n, -1)
        common = 2 * (probabilities * targets).sum(1)
        if self.naive_dice:
            size = probabilities.sum(1) + targets.sum(1) + self.eps
            dice = (common + self.eps) / size
        else:
            size = (probabilities * probabilities).sum(1) + targets.sum(1) + 2 * self.eps
            dice = common / size
        return self.loss_weight * reduce_loss(1 - dice, self.reduction)
