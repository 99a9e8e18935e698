"""Batch norm over the batches of all devices, from elementary operators."""

import mindspore as ms
from mindspore import Parameter, nn, ops

from msseg.utils.dist import get_world_size


class SyncBatchNorm2d(nn.Cell):
    """Batch norm whose statistics are taken over the batches of all devices.

    For devices other than Ascend, where MindSpore's own ``nn.SyncBatchNorm`` does not run. Every
    device must hold a batch of the same shape.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        momentum: Share of the old running statistics that is kept, as MindSpore counts it.
        affine: Whether there are a trained scale and shift.
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.9, affine: bool = True
    ) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.use_batch_statistics = None
        self.num_devices = get_world_size()
        self.moving_mean = Parameter(ops.zeros(num_features), 'moving_mean', requires_grad=False)
        self.moving_variance = Parameter(
            ops.ones(num_features), 'moving_variance', requires_grad=False
        )
        self.gamma = Parameter(ops.ones(num_features), 'gamma', requires_grad=affine)
        self.beta = Parameter(ops.zeros(num_features), 'beta', requires_grad=affine)
        self.all_reduce = ops.AllReduce() if self.num_devices > 1 else None

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Normalise (n, c, h, w) over n, h, w and devices."""
        use_batch = self.use_batch_statistics
        if use_batch is None:
            use_batch = self.training
        if use_batch:
            mean, variance = self._batch_statistics(x)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        scale = self.gamma * ops.rsqrt(variance + self.eps)
        shift = self.beta - mean * scale
        return x * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)

    def _batch_statistics(self, x: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        n, c, h, w = x.shape
        count = n * h * w * self.num_devices
        mean = self._reduce(x.sum(axis=(0, 2, 3))) / count
        centred = x - mean.reshape(1, c, 1, 1)
        variance = self._reduce((centred * centred).sum(axis=(0, 2, 3))) / count
        keep = self.momentum
        unbiased = ops.stop_gradient(variance) * (count / max(count - 1, 1))
        new_mean = self.moving_mean * keep + ops.stop_gradient(mean) * (1.0 - keep)
        new_variance = self.moving_variance * keep + unbiased * (1.0 - keep)
        ops.assign(self.moving_mean, new_mean)
        ops.assign(self.moving_variance, new_variance)
        return mean, variance

    def _reduce(self, x: ms.Tensor) -> ms.Tensor:
        return x if self.all_reduce is None else self.all_reduce(x)
