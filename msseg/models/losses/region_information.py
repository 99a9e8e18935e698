"""Lower bound on the information that regions of two maps share."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.models.layers import GramMatrix, resize


class RegionInformation(nn.Cell):
    """Half the log determinant of the labels' covariance given the probabilities', per number.

    Args:
        radius: Side of the regions, 1 to 10.
        pool_way: How maps are shrunk: 0: maximum, 1: mean, 2: nearest (labels) and bilinear with
            corners aligned (probabilities).
        pool_size: Shrinks by this factor.
        jitter: Added to the covariances' diagonals.
    """

    def __init__(self, radius: int, pool_way: int, pool_size: int, jitter: float) -> None:
        super().__init__()
        self.radius = radius
        self.pool_way = pool_way
        self.pool_size = pool_size
        pool = nn.MaxPool2d if pool_way == 0 else nn.AvgPool2d
        self.pool = pool(pool_size, pool_size, pad_mode='pad', padding=pool_size // 2)
        self.jitter = ms.Tensor(jitter * np.eye(radius * radius), ms.float64)
        self.product = ops.BatchMatMul()
        self.covariance = GramMatrix()
        self.inverse = ops.MatrixInverse()
        # Unlike Cholesky, this has a gradient on the CPU (MindSpore 2.8).
        self.log_determinant = ops.LogMatrixDeterminant()

    def construct(self, probabilities: ms.Tensor, targets: ms.Tensor) -> ms.Tensor:
        """Compute the bound: low when the probabilities tell the targets.

        Args:
            probabilities: (n, c, h, w), float32 from 0 to 1.
            targets: (n, c, h, w), float32 from 0 to 1; without gradient.

        Returns:
            float32, a number: the sum over classes, the mean over images.
        """
        d = self.radius * self.radius
        guess = self._points(self._shrink(probabilities, False))
        truth = ops.stop_gradient(self._points(self._shrink(targets, True)))
        covariance = self.covariance(ops.concat((guess, truth), axis=2))
        mixed = covariance[:, :, d:, :d]
        known = self.product(mixed, self._inverse(covariance[:, :, :d, :d] + self.jitter))
        left = covariance[:, :, d:, d:] - self.product(known, mixed.swapaxes(2, 3))
        logs = self._log_determinant(left + self.jitter)
        return (0.5 * logs.sum() / (probabilities.shape[0] * d)).astype(ms.float32)

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
        """Return each map's regions less their mean, (n, c, radius^2, regions), float64."""
        n, c, h, w = maps.shape
        height = h - self.radius + 1
        width = w - self.radius + 1
        if height < 1 or width < 1:
            raise ValueError(
                f'RMILoss: the maps are {h} x {w} after shrinking by rmi_pool_size, expected at '
                f'least {self.radius} x {self.radius}, the rmi_radius'
            )
        points = ops.unfold(maps, self.radius).reshape(n, c, -1, height * width).astype(ms.float64)
        return points - points.mean(axis=3, keep_dims=True)


@ops.constexpr
def _nearest(old: int, new: int) -> ms.Tensor:
    scale = np.float32(old) / np.float32(new)  # float32, as PyTorch
    return ms.Tensor(np.floor(np.arange(new, dtype=np.float32) * scale), ms.int32)
