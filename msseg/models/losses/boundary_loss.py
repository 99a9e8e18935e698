"""Binary cross-entropy of boundaries, both kinds of pixels weighing the same."""

from __future__ import annotations

import mindspore as ms
from mindspore import ops

from msseg.models.builder import LOSSES
from msseg.models.layers import Softplus
from msseg.models.losses.common import BaseLoss
from msseg.utils.arguments import Name, NonNegative, checked


@LOSSES.register_module()
class BoundaryLoss(BaseLoss):
    """Mean binary cross-entropy of one channel; each kind of pixel weighs as the other's share.

    Args:
        loss_weight: Factor on the result.
        loss_name: See `BaseLoss`.

    Source: Xu et al., PIDNet (2022); MMSegmentation 1.2 ``BoundaryLoss``.

    Examples:
        >>> loss = BoundaryLoss()
        >>> value = loss(ms.Tensor([[[[0.0, 0.0]]]]), ms.Tensor([[[0, 1]]], ms.int32))
        >>> round(float(value), 4)
        0.3466
    """

    @checked
    def __init__(self, loss_weight: NonNegative = 1.0, loss_name: Name = 'loss_boundary') -> None:
        super().__init__(loss_weight, loss_name)
        self.softplus = Softplus()

    def construct(
        self,
        logits: ms.Tensor,
        labels: ms.Tensor,
        weight: ms.Tensor | None = None,
        ignore_index: int | None = 255,
    ) -> ms.Tensor:
        """Compute the loss of logits (n, 1, h, w) and labels (n, h, w), 1 on boundaries, else 0.

        Pixels of other labels cost nothing, and count in the mean; `weight` multiplies.
        """
        logits = logits.astype(ms.float32)[:, 0]
        positive = ops.equal(labels, 1).astype(ms.float32)
        negative = ops.equal(labels, 0).astype(ms.float32)
        if ignore_index is not None:
            counts = ops.not_equal(labels, ignore_index).astype(ms.float32)
            positive, negative = positive * counts, negative * counts
        num_positive, num_negative = positive.sum(), negative.sum()
        total = ops.maximum(num_positive + num_negative, 1.0)
        weights = (positive * num_negative + negative * num_positive) / total
        if weight is not None:
            weights = weights * weight.astype(ms.float32)
        losses = (1.0 - positive) * logits + self.softplus(-logits)
        return self.loss_weight * (losses * weights).mean()
