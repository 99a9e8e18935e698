"""Batch norm over the batches of all devices, from elementary operators."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from msseg.utils.dist import get_rank, get_world_size


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose statistics are taken over the batches of all devices.

    For devices other than Ascend, where MindSpore's own ``nn.SyncBatchNorm`` does not run. Every
    device must hold a batch of the same shape. Parameters, their order and everything that does not
    use the batch's statistics are those of ``nn.BatchNorm2d``.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        momentum: Share of the old running statistics that is kept, as MindSpore counts it.
        affine: Whether scale and shift are trained.
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.9, affine: bool = True
    ) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum, affine=affine)
        self.keep = momentum
        self.num_devices = get_world_size()
        self.is_own_row = Tensor([[[i == get_rank()]] for i in range(self.num_devices)], ms.float32)
        self.all_reduce = ops.AllReduce() if self.num_devices > 1 else None
        self.update = ops.Assign()

    def construct(self, x: Tensor) -> Tensor:
        """Normalise (n, c, h, w) over n, h, w and devices."""
        use_batch = self.use_batch_statistics
        if use_batch is None:
            use_batch = self.training
        if not use_batch:
            return self.bn_infer(x, self.gamma, self.beta, self.moving_mean, self.moving_variance)[
                0
            ]
        n, c, h, w = x.shape
        mean, variance = self._statistics(x.astype(ms.float32))
        self._keep_statistics(mean, variance, n * h * w * self.num_devices)
        scale = (self.gamma * ops.rsqrt(variance + self.eps)).reshape(1, c, 1, 1)
        normalised = (x - mean.reshape(1, c, 1, 1)) * scale + self.beta.reshape(1, c, 1, 1)
        return normalised.astype(x.dtype)

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance over all devices, with one exchange for both."""
        c = x.shape[1]
        mean = x.mean(axis=(0, 2, 3))
        centred = x - mean.reshape(1, c, 1, 1)
        variance = (centred * centred).mean(axis=(0, 2, 3))
        if self.all_reduce is None:
            return mean, variance
        # A row for each device: variances about different means cannot be added up without them.
        rows = self.all_reduce(self.is_own_row * ops.stack((mean, variance)))
        means, variances = rows[:, 0], rows[:, 1]
        mean = means.mean(axis=0)
        distance = means - mean
        return mean, (variances + distance * distance).mean(axis=0)

    def _keep_statistics(self, mean: Tensor, variance: Tensor, count: int) -> None:
        unbiased = ops.stop_gradient(variance) * (count / max(count - 1, 1))
        new_mean = self.moving_mean * self.keep + ops.stop_gradient(mean) * (1.0 - self.keep)
        new_variance = self.moving_variance * self.keep + unbiased * (1.0 - self.keep)
        self.update(self.moving_mean, new_mean)
        self.update(self.moving_variance, new_variance)
