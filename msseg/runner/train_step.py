"""One training step: the only place that differentiates."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from msseg.runner.gradients import GradAccumulator, GradClip, GradNorm, GradReducer, join
from msseg.runner.loss_scaler import LossScaler, OverflowStatus
from msseg.utils.arguments import PositiveInt, checked
from msseg.utils.target import get_target


def _unscaled(scale: Tensor, grad: Tensor) -> Tensor:
    return grad / scale


def _sum_of_magnitudes(grad: Tensor) -> Tensor:
    return ops.abs(grad).sum()


class ScaledLoss(nn.Cell):
    """Multiply the loss of a network, the first of what it returns, for differentiation."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, img: Tensor, gt: Tensor, scale: Tensor) -> tuple:
        """Return the scaled loss, and (the loss, the network's values)."""
        loss, values = self.network(img, gt)
        return loss * scale, (loss, values)


class TrainStep(nn.Cell):
    """Forward, gradients, reduce over devices, accumulate, unscale, clip, update.

    It is a cell that owns network and optimizer, not a closure: with the compile cache on, a jitted
    closure of MindSpore 2.8 trains parameters that belong to nothing.

    Args:
        network: A cell (img, gt) -> (loss, values), such as `SegmentorWithLoss`.
        optimizer: The optimizer of its parameters.
        grad_clip: None, or the clipping.
        loss_scaler: None, or the factor on the loss. With it, a step whose gradients are not
            finite changes neither weights nor the optimizer's state.
        cumulative_iters: How many batches' gradients make one update.
        reducer: None, or the mean of gradients and values over devices. It precedes the sum over
            batches, so that this sum is the same on all devices and one of them can save it.
        skip_nonfinite: Skip the update of such a step without a loss scaler, too. On chips where an
            overflow gives finite numbers (see `Target.saturates`) it is always skipped.
    """

    @checked
    def __init__(
        self,
        network: nn.Cell,
        optimizer: nn.Cell,
        grad_clip: GradClip | None = None,
        loss_scaler: LossScaler | None = None,
        cumulative_iters: PositiveInt = 1,
        reducer: GradReducer | None = None,
        skip_nonfinite: bool = False,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.network = ScaledLoss(network)
        self.optimizer = optimizer
        self.grad_clip = grad_clip
        self.has_clip = grad_clip is not None
        self.norm = grad_clip.norm if self.has_clip else GradNorm()
        self.loss_scaler = loss_scaler
        self.has_scaler = loss_scaler is not None
        self.cumulative_iters = cumulative_iters
        self.accumulates = cumulative_iters > 1
        self.accumulator = GradAccumulator(optimizer.parameters) if self.accumulates else None
        self.reducer = reducer
        self.has_reducer = reducer is not None
        self.saturates = get_target().saturates
        if self.saturates:
            self.overflow = OverflowStatus()
            # since the last update
            self.overflowed = Parameter(Tensor(0.0), 'overflowed', requires_grad=False)
        self.can_skip = self.has_scaler or skip_nonfinite or self.saturates
        optional = [('skipped', self.can_skip), ('loss_scale', self.has_scaler)]
        own = ['loss', 'grad_norm', *(name for name, is_there in optional if is_there)]
        self.value_names = [*network.value_names, *own]
        self.map = ops.HyperMap()
        self.value_and_grad = ms.value_and_grad(
            self.network, None, weights=optimizer.parameters, has_aux=True
        )
        self.set_train()

    def construct(self, img: Tensor, gt: Tensor, is_update: Tensor = True) -> tuple:
        """Learn from one batch.

        Args:
            img: float32 (n, c, h, w).
            gt: int32 (n, h, w).
            is_update: bool scalar, used when gradients are accumulated: whether this batch is
                the last one before an update.

        Returns:
            Scalars named by ``value_names``: the network's values, the loss, the norm of the
            gradients before clipping and, where they exist, whether the update was skipped
            (1 or 0) and the loss scale; their means over several devices.
        """
        scale = self.loss_scaler.scale * 1.0 if self.has_scaler else Tensor(1.0)
        if self.saturates:
            img = self.overflow.clear(img)
        (_, (loss, values)), grads = self.value_and_grad(img, gt, scale)
        overflow = Tensor(0.0)
        if self.saturates:
            overflow = self.overflow.happened(grads)
        logged = values + (loss,)
        if self.has_reducer:
            grads = self.reducer(grads)
            logged = self.reducer.mean(logged)
        if not self.accumulates:
            return logged + self._update(grads, scale, overflow)
        grads = self.accumulator(grads)
        if self.saturates:
            overflow = ops.maximum(self.overflowed, overflow)
            ops.assign(self.overflowed, ops.select(is_update, Tensor(0.0), overflow))
        if is_update:
            outcome = self._update(grads, scale, overflow)
            self.accumulator.clear()
        else:
            outcome = self._describe(self.norm(grads) / scale, Tensor(True), scale)
        return logged + outcome

    def _update(self, grads: tuple, scale: Tensor, overflow: Tensor) -> tuple:
        if self.has_scaler:
            grads = self.map(ops.partial(_unscaled, scale), grads)
        norm = self.norm(grads)
        is_finite = self._is_finite(grads, norm)
        if self.saturates:
            is_finite = ops.logical_and(is_finite, ops.equal(overflow, 0.0))
        if self.has_clip:
            grads = self.grad_clip(grads, norm)
        if self.can_skip:
            if is_finite:
                self.optimizer(grads)
        else:
            self.optimizer(grads)
        if self.has_scaler:
            self.loss_scaler(is_finite)
        return self._describe(norm, is_finite, scale)

    def _is_finite(self, grads: tuple, norm: Tensor) -> Tensor:
        if not self.norm.is_infinity_norm:
            return ops.isfinite(norm)
        # The largest of several numbers need not be NaN when one of them is.
        return ops.isfinite(join(self.map(_sum_of_magnitudes, grads)))

    def _describe(self, norm: Tensor, is_finite: Tensor, scale: Tensor) -> tuple:
        described = (norm,)
        if self.can_skip:
            described = described + (1.0 - is_finite.astype(ms.float32),)
        if self.has_scaler:
            described = described + (scale,)
        return described

    def state_parameters(self) -> list[Parameter]:
        """Return the tensors that the step keeps from one iteration to the next."""
        state = []
        if self.has_scaler:
            state += [self.loss_scaler.scale, self.loss_scaler.good_steps]
        if self.accumulates:
            state += [self.accumulator.count, *self.accumulator.sums]
        if self.accumulates and self.saturates:
            state.append(self.overflowed)
        return state
