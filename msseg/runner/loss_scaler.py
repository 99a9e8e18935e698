"""Loss scaling, with which small gradients survive in 16-bit floats, and overflow."""

from collections.abc import Mapping
from typing import Annotated, Literal

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.ops.operations.math_ops import NPUClearFloatStatusV2, NPUGetFloatStatusV2

from msseg.registry import call_with_cfg
from msseg.utils.arguments import Positive, PositiveInt, Range, checked
from msseg.utils.dist import get_world_size

LossScale = Literal['dynamic'] | Positive | Mapping


class LossScaler(nn.Cell):
    """Hold the factor on the loss, and adjust it to the largest that does not overflow.

    Args:
        init_scale: Initial factor.
        mode: ``'dynamic'`` adjusts the factor, ``'static'`` keeps it.
        growth_factor: Multiplies the factor after `growth_interval` iterations without overflow.
        backoff_factor: Multiplies the factor after an overflow.
        growth_interval: See `growth_factor`.

    Source: PyTorch ``torch.cuda.amp.GradScaler``, with its defaults.
    """

    @checked
    def __init__(
        self,
        init_scale: Positive = 2.0**16,
        mode: Literal['dynamic', 'static'] = 'dynamic',
        growth_factor: Annotated[float, Range(1, above=True)] = 2.0,
        backoff_factor: Annotated[float, Range(0, 1, above=True, below=True)] = 0.5,
        growth_interval: PositiveInt = 2000,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.is_dynamic = mode == 'dynamic'
        self.growth_factor = growth_factor
        self.backoff_factor = backoff_factor
        self.growth_interval = growth_interval
        self.scale = Parameter(Tensor(init_scale, ms.float32), 'loss_scale', requires_grad=False)
        self.good_steps = Parameter(
            Tensor(0, ms.int32), 'loss_scale_good_steps', requires_grad=False
        )

    def construct(self, is_finite: Tensor) -> Tensor:
        """Adjust the scale, given whether the gradients were finite; return the scale they had."""
        used = self.scale * 1.0
        if self.is_dynamic:
            good_steps = ops.select(is_finite, self.good_steps + 1, ops.zeros_like(self.good_steps))
            has_grown = good_steps >= self.growth_interval
            factor = ops.select(
                is_finite,
                ops.select(has_grown, Tensor(self.growth_factor), Tensor(1.0)),
                Tensor(self.backoff_factor),
            )
            ops.assign(self.scale, used * factor)
            ops.assign(
                self.good_steps, ops.select(has_grown, ops.zeros_like(good_steps), good_steps)
            )
        return used


@checked
def build_loss_scaler(loss_scale: LossScale) -> LossScaler:
    """Build the scaler of ``fp16.loss_scale``.

    Args:
        loss_scale: ``'dynamic'``, a number for a static scale, or the arguments of `LossScaler`.

    >>> build_loss_scaler(512.0).is_dynamic
    False
    """
    if loss_scale == 'dynamic':
        return LossScaler()
    if isinstance(loss_scale, Mapping):
        return call_with_cfg(LossScaler, loss_scale, 'loss_scale')
    return LossScaler(float(loss_scale), mode='static')


class OverflowStatus(nn.Cell):
    """The register of an Ascend chip that any operator's overflow sets.

    Sums over devices of gradients that stopped at the largest number look healthy, so the devices
    exchange what their registers say.

    Source: MindSpore 2.8 ``mindspore.amp.all_finite`` and ``nn.TrainOneStepWithLossScaleCell``,
    whose order of clearing, computing and reading is kept by ``ops.depend``.
    """

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.empty = Tensor([0] * 8, ms.int32)
        self.clear_status = NPUClearFloatStatusV2()
        self.get_status = NPUGetFloatStatusV2()
        self.all_reduce = ops.AllReduce() if get_world_size() > 1 else None

    def clear(self, img: Tensor) -> Tensor:
        """Return the image; what is computed from it is seen by the next `happened`."""
        return ops.depend(img, self.clear_status(self.empty))

    def happened(self, grads: tuple) -> Tensor:
        """Return 1 if there was an overflow until gradients were there, else 0; float32 scalar."""
        status = self.get_status(ops.depend(self.empty, grads))
        flag = ops.not_equal(status, 0).astype(ms.float32).sum()
        if self.all_reduce is not None:
            flag = self.all_reduce(flag.reshape(1)).sum()
        return ops.minimum(flag, 1.0)
