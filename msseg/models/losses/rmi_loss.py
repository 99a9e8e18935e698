"""Region mutual information loss."""

from __future__ import annotations

from typing import Annotated, Literal

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import LOSSES
from msseg.models.layers import Softplus
from msseg.models.losses.one_hot import one_hot, valid_pixels
from msseg.models.losses.region_information import RegionInformation
from msseg.utils.arguments import (
    Name,
    NonNegative,
    Positive,
    PositiveInt,
    Probability,
    Range,
    checked,
)

_CLIP_MIN = 1e-6


@LOSSES.register_module()
class RMILoss(nn.Cell):
    """Binary cross-entropy by sigmoid, and how little the regions of a prediction tell of a label.

    Every pixel with its neighbours is a point of `rmi_radius`^2 numbers. Prediction and label are
    taken as normally distributed; what the prediction leaves open of the label's covariance is
    punished by its log determinant, divided by `rmi_radius`^2, averaged over images and summed
    over classes. It can be below 0. A batch without a valid pixel costs a number that the network
    has no influence on.

    Args:
        rmi_radius: Side of the regions, 1 to 10 pixels of the shrunk maps.
        rmi_pool_way: How labels and probabilities are shrunk: 0: maximum, 1: mean, 2: nearest
            and bilinear.
        rmi_pool_size: Shrinks by this factor; 1: not at all.
        rmi_pool_stride: As `rmi_pool_size`.
        loss_weight_lambda: Share of the two parts.
        lambda_way: 1: lambda * cross-entropy + (1 - lambda) * information; 0: cross-entropy +
            lambda * information.
        jitter: Added to the covariances' diagonals. 5e-4 for NVIDIA's loss and the paper's,
            openseg takes 1e-3.
        do_rmi: False: the cross-entropy alone, without lambda, for auxiliary heads.
        loss_weight: Factor on the result.
        loss_name: Name in the log; it enters the total only if it contains ``loss``.

    Raises:
        ValueError: A bad value.

    Source: arXiv:1910.12037; NVIDIA/semantic-segmentation ``loss/rmi.py``. The covariances are
    float64, as there. The number of classes is the logits'.
    """

    min_channels = 2

    @checked
    def __init__(
        self,
        rmi_radius: Annotated[int, Range(1, 10)] = 3,
        rmi_pool_way: Literal[0, 1, 2] = 1,
        rmi_pool_size: PositiveInt = 4,
        rmi_pool_stride: PositiveInt = 4,
        loss_weight_lambda: Probability = 0.5,
        lambda_way: Literal[0, 1] = 1,
        jitter: Positive = 5e-4,
        do_rmi: bool = True,
        loss_weight: NonNegative = 1.0,
        loss_name: Name = 'loss_rmi',
    ) -> None:
        super().__init__()
        if rmi_pool_size != rmi_pool_stride:
            raise ValueError(
                f'RMILoss: rmi_pool_size is {rmi_pool_size!r} and rmi_pool_stride '
                f'{rmi_pool_stride!r}, expected the same number'
            )
        self.loss_weight_lambda = loss_weight_lambda
        self.lambda_way = lambda_way
        self.do_rmi = do_rmi
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.softplus = Softplus()
        self.information = RegionInformation(rmi_radius, rmi_pool_way, rmi_pool_size, jitter)

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
            labels: (n, h, w), int32; those outside [0, c) do not count.
            weight: Not read.
            ignore_index: Label of pixels that do not count.

        Returns:
            float32, a number.
        """
        logits = logits.astype(ms.float32)
        n, c, h, w = logits.shape
        valid = valid_pixels(labels, ignore_index)
        valid = valid * ops.logical_and(labels >= 0, labels < c).astype(ms.float32)
        valid = valid.reshape(n, 1, h, w)
        targets = one_hot(labels, c) * valid
        # The softplus of the logit, or of its negative where the channel is the label's.
        sign = ops.stop_gradient(1.0 - 2.0 * targets)
        losses = self.softplus(logits * sign) * valid
        cross_entropy = losses.sum() / (valid.sum() + 1.0)
        if not self.do_rmi:
            return self.loss_weight * cross_entropy
        probabilities = ops.sigmoid(logits) * valid + _CLIP_MIN
        information = self.information(probabilities, targets)
        if self.lambda_way == 1:
            share = self.loss_weight_lambda
            return self.loss_weight * (share * cross_entropy + (1.0 - share) * information)
        return self.loss_weight * (cross_entropy + self.loss_weight_lambda * information)
