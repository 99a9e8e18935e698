"""Region mutual information loss."""

from __future__ import annotations

from typing import Annotated, Literal

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.models.builder import LOSSES
from msseg.models.layers import GramMatrix, Softplus, resize
from msseg.models.losses.common import BaseLoss, one_hot, valid_pixels
from msseg.utils.arguments import (
    Name,
    NonNegative,
    Positive,
    PositiveInt,
    Probability,
    Range,
    checked,
)
from msseg.utils.target import ASCEND_910A, get_target

_CLIP_MIN = 1e-6
_LEAST_JITTER = 1e-4


@LOSSES.register_module()
class RMILoss(BaseLoss):
    """Binary cross-entropy by sigmoid, and the mutual information of label and prediction regions.

    Every pixel with its neighbours is a point of `rmi_radius`^2 numbers. Prediction and label are
    taken as normally distributed; the loss is the log determinant of the label's covariance given
    the prediction, divided by `rmi_radius`^2, averaged over images and summed over classes. It can
    be below 0. A batch without a valid pixel costs a constant.

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

    See `BaseLoss` for the other arguments.

    Source: arXiv:1910.12037; NVIDIA/semantic-segmentation ``loss/rmi.py``. The covariances are
    float64, as there; on Ascend, which has no float64 products, they are float32 and the jitter is
    at least 1e-4 of their mean diagonal. The number of classes is the logits'.

    Raises:
        ValueError: The device is an Ascend 910A, which multiplies in float16.

    Examples:
        >>> loss = RMILoss(do_rmi=False)  # log(2) for each of 4 channels, over 4 pixels + 1
        >>> logits, labels = ms.ops.zeros((1, 4, 2, 2)), ms.ops.zeros((1, 2, 2), ms.int32)
        >>> round(float(loss(logits, labels)), 4)
        2.2181
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
        super().__init__(loss_weight, loss_name)
        if rmi_pool_size != rmi_pool_stride:
            raise ValueError(
                f'RMILoss: rmi_pool_size is {rmi_pool_size!r} and rmi_pool_stride '
                f'{rmi_pool_stride!r}, expected the same number'
            )
        self.loss_weight_lambda = loss_weight_lambda
        self.lambda_way = lambda_way
        self.do_rmi = do_rmi
        self.softplus = Softplus()
        self.information = RegionInformation(rmi_radius, rmi_pool_way, rmi_pool_size, jitter)

    def construct(
        self,
        logits: ms.Tensor,
        labels: ms.Tensor,
        weight: ms.Tensor | None = None,
        ignore_index: int | None = 255,
    ) -> ms.Tensor:
        """Compute the loss; `weight` is not read, and labels outside [0, c) do not count."""
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


class RegionInformation(nn.Cell):
    """Half the log determinant of the labels' covariance given the probabilities', per number.

    See `RMILoss` for the arguments; bilinear shrinking keeps the corners aligned.
    """

    def __init__(self, radius: int, pool_way: int, pool_size: int, jitter: float) -> None:
        super().__init__()
        self.radius = radius
        self.pool_way = pool_way
        self.pool_size = pool_size
        pool = nn.MaxPool2d if pool_way == 0 else nn.AvgPool2d
        self.pool = pool(pool_size, pool_size, pad_mode='pad', padding=pool_size // 2)
        target = get_target()
        if target.chip == ASCEND_910A:
            raise ValueError(
                'RMILoss: its covariances need products of float32, and Ascend 910A multiplies in '
                'float16: use another loss, or a newer card'
            )
        self.is_single = target.name == 'Ascend'
        self.dtype = ms.float32 if self.is_single else ms.float64
        self.jitter = ms.Tensor(jitter * np.eye(radius * radius), self.dtype)
        self.product = ops.BatchMatMul()
        self.covariance = GramMatrix()
        self.inverse = ops.MatrixInverse()
        # Unlike Cholesky, this has a gradient on the CPU (MindSpore 2.8).
        self.log_determinant = ops.LogMatrixDeterminant()

    def construct(self, probabilities: ms.Tensor, targets: ms.Tensor) -> ms.Tensor:
        """Sum the bound over classes and average it over images; it is low for a good prediction.

        Args:
            probabilities: (n, c, h, w), float32 from 0 to 1.
            targets: (n, c, h, w), float32 from 0 to 1; without gradient.
        """
        d = self.radius * self.radius
        guess = self._points(self._shrink(probabilities, False))
        truth = ops.stop_gradient(self._points(self._shrink(targets, True)))
        covariance = self.covariance(ops.concat((guess, truth), axis=2))
        jitter = self._jitter(covariance)
        mixed = covariance[:, :, d:, :d]
        known = self.product(mixed, self._inverse(covariance[:, :, :d, :d] + jitter))
        left = covariance[:, :, d:, d:] - self.product(known, mixed.swapaxes(2, 3))
        logs = self._log_determinant(left + jitter)
        return (0.5 * logs.sum() / (probabilities.shape[0] * d)).astype(ms.float32)

    def _jitter(self, covariance: ms.Tensor) -> ms.Tensor:
        if not self.is_single:
            return self.jitter
        size = covariance.shape[2]
        eye = ops.eye(size, size, ms.float32)
        mean = (ops.stop_gradient(covariance) * eye).sum(axis=(2, 3), keepdims=True) / size
        return ops.maximum(self.jitter, _LEAST_JITTER * mean * eye[: size // 2, : size // 2])

    def _inverse(self, matrix: ms.Tensor) -> ms.Tensor:
        if self.radius == 1:  # the operators take 2 x 2 and more
            return ops.reciprocal(matrix)
        return self.inverse(matrix)

    def _log_determinant(self, matrix: ms.Tensor) -> ms.Tensor:
        if self.radius == 1:
            return ops.log(matrix)
        return self.log_determinant(matrix)[1]

    def _shrink(self, maps: ms.Tensor, is_target: bool) -> ms.Tensor:
        if self.pool_size == 1:
            return maps
        if self.pool_way != 2:
            return self.pool(maps)
        h, w = maps.shape[2:]
        size = (h // self.pool_size, w // self.pool_size)
        if not is_target:
            return resize(maps, size, align_corners=True)
        return ops.gather(ops.gather(maps, _nearest(h, size[0]), 2), _nearest(w, size[1]), 3)

    def _points(self, maps: ms.Tensor) -> ms.Tensor:
        """Return each map's regions minus their mean, (n, c, radius^2, regions), in its type."""
        n, c, h, w = maps.shape
        height = h - self.radius + 1
        width = w - self.radius + 1
        if height < 1 or width < 1:
            raise ValueError(
                f'RMILoss: the maps are {h} x {w} after shrinking by rmi_pool_size, expected at '
                f'least {self.radius} x {self.radius}, the rmi_radius'
            )
        points = ops.unfold(maps, self.radius).reshape(n, c, -1, height * width).astype(self.dtype)
        return points - points.mean(axis=3, keep_dims=True)


@ops.constexpr
def _nearest(old: int, new: int) -> ms.Tensor:
    scale = np.float32(old) / np.float32(new)  # float32, as PyTorch
    return ms.Tensor(np.floor(np.arange(new, dtype=np.float32) * scale), ms.int32)
