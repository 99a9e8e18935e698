"""Focal loss by independent sigmoids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.models.builder import LOSSES
from msseg.models.layers import Softplus
from msseg.models.losses.common import (
    BaseLoss,
    ClassWeight,
    Reduction,
    one_hot,
    reduce_loss,
    valid_pixels,
)
from msseg.utils.arguments import Length, Name, NonNegative, Probability, checked


@LOSSES.register_module()
class FocalLoss(BaseLoss):
    """Binary cross-entropy of every channel, lower where the network is right.

    The mean is over all pixels and channels, ignored ones counting as zero; a batch without a
    valid pixel costs 0.

    Args:
        use_sigmoid: Only True; softmax has no focal loss.
        gamma: Power of the wrong answer's probability, at least 0.
        alpha: Weight of positive pixels, from 0 to 1; negative ones weigh 1 - `alpha`. A list
            gives one for each class.
        reduction: See `BaseLoss`; ``'none'`` gives (n, c, h, w).

    See `BaseLoss` for the other arguments.

    Source: MMSegmentation 0.30 ``FocalLoss``; arXiv:1708.02002. There a pixel sampler's weights
    fail, here they multiply; one channel takes labels 0 and 1, there 0 only.

    Examples:
        >>> logits, labels = ms.Tensor([[[[0.0]], [[0.0]]]]), ms.Tensor([[[1]]], ms.int32)
        >>> round(float(FocalLoss()(logits, labels)), 4)  # 0.5 * 0.5^2 * log(2)
        0.0866
    """

    any_size = True

    @checked
    def __init__(
        self,
        use_sigmoid: Literal[True] = True,
        gamma: NonNegative = 2.0,
        alpha: Probability | Annotated[Sequence[Probability], Length()] = 0.5,
        reduction: Reduction = 'mean',
        class_weight: ClassWeight = None,
        loss_weight: NonNegative = 1.0,
        loss_name: Name = 'loss_focal',
    ) -> None:
        super().__init__(loss_weight, loss_name, class_weight, reduction)
        self.alpha = alpha
        self.alpha_c = ms.Tensor(np.asarray(self.alpha, np.float32).reshape(1, -1, 1, 1))
        self.has_class_weight = self.class_weight is not None
        if self.has_class_weight:
            weights = np.asarray(self.class_weight, np.float32)
            self.class_weight_c = ms.Tensor(weights.reshape(1, -1, 1, 1))
        self.focal = _Focal(gamma)

    def construct(
        self,
        logits: ms.Tensor,
        labels: ms.Tensor,
        weight: ms.Tensor | None = None,
        ignore_index: int | None = 255,
        avg_factor: float | None = None,
    ) -> ms.Tensor:
        """Compute the loss; `weight` multiplies. See `BaseLoss`.

        `avg_factor` is the divisor of the mean, in place of n * c * h * w.
        """
        n, c, h, w = logits.shape
        if self.alpha_c.size not in (1, c):
            raise ValueError(
                f'FocalLoss: alpha has {self.alpha_c.size} numbers, expected one for each of {c} '
                'classes'
            )
        pixel_weight = valid_pixels(labels, ignore_index)
        if weight is not None:
            pixel_weight = pixel_weight * weight.astype(ms.float32)
        if c == 1:
            targets = ops.equal(labels, 1).astype(ms.float32).reshape(n, 1, h, w)
        else:
            targets = one_hot(labels, c)
        negative = 1.0 - self.alpha_c
        positive = self.alpha_c
        if self.has_class_weight:
            negative = negative * self.class_weight_c
            positive = positive * self.class_weight_c
        factor = negative + (positive - negative) * targets
        factor = ops.stop_gradient(factor * pixel_weight.reshape(n, 1, h, w))
        sign = ops.stop_gradient(1.0 - 2.0 * targets)
        losses = self.focal(logits.astype(ms.float32) * sign) * factor
        return self.loss_weight * reduce_loss(losses, self.reduction, avg_factor)


class _Focal(nn.Cell):
    """sigmoid(x)^gamma * log(1 + exp(x)), with its gradient written out.

    Left to autodiff it would take twice as long.
    """

    @checked
    def __init__(self, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.softplus = Softplus()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self._power(ops.sigmoid(x)) * self.softplus(x)

    def bprop(self, x: ms.Tensor, out: ms.Tensor, dout: ms.Tensor) -> tuple[ms.Tensor]:
        wrong = ops.sigmoid(x)
        slope = self._power(wrong) * wrong
        if self.gamma > 0:
            slope = slope + self.gamma * (1.0 - wrong) * out
        return (dout * slope,)

    def _power(self, wrong: ms.Tensor) -> ms.Tensor:
        if self.gamma == 2:
            return wrong * wrong
        if self.gamma == 1:
            return wrong
        return ops.pow(wrong, self.gamma)
