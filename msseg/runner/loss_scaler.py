"""Scaling the loss, so that small gradients survive 16-bit floats."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

_MODES = ('dynamic', 'static')


class LossScaler(nn.Cell):
    """Holds the factor on the loss, and adjusts it to the largest that does not overflow.

    Args:
        init_scale: The factor to start with.
        mode: ``'dynamic'`` adjusts it, ``'static'`` keeps it.
        growth_factor: What it is multiplied by after
        growth_interval: so many iterations without overflow.
        backoff_factor: What it is multiplied by after an overflow.

    Raises:
        ValueError: A number out of range.

    Source: PyTorch ``torch.cuda.amp.GradScaler``, its defaults.
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        mode: str = 'dynamic',
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ) -> None:
        super().__init__(auto_prefix=False)
        if mode not in _MODES:
            raise ValueError(f'fp16.loss_scale.mode is {mode!r}, expected one of {list(_MODES)}')
        for name, value, is_right, expected in (
            ('init_scale', init_scale, init_scale > 0, 'a positive number'),
            ('growth_factor', growth_factor, growth_factor > 1, 'a number above 1'),
            ('backoff_factor', backoff_factor, 0 < backoff_factor < 1, 'a number in (0, 1)'),
            ('growth_interval', growth_interval, growth_interval >= 1, 'at least 1'),
        ):
            if not is_right:
                raise ValueError(f'fp16.loss_scale.{name} is {value!r}, expected {expected}')
        self.is_dynamic = mode == 'dynamic'
        self.growth_factor = growth_factor
        self.backoff_factor = backoff_factor
        self.growth_interval = growth_interval
        self.scale = Parameter(Tensor(init_scale, ms.float32), 'loss_scale', requires_grad=False)
        self.good_steps = Parameter(
            Tensor(0, ms.int32), 'loss_scale_good_steps', requires_grad=False
        )

    def construct(self, is_finite: Tensor) -> Tensor:
        """Adjust the scale to whether the gradients were finite; return the scale they had."""
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


def build_loss_scaler(loss_scale: str | float | dict) -> LossScaler:
    """Build the scaler that ``fp16.loss_scale`` asks for.

    Args:
        loss_scale: ``'dynamic'``, a number, or the arguments of `LossScaler`.

    Raises:
        ValueError, TypeError: Anything else.
    """
    if loss_scale == 'dynamic':
        return LossScaler()
    if isinstance(loss_scale, dict):
        return LossScaler(**loss_scale)
    if isinstance(loss_scale, bool) or not isinstance(loss_scale, (int, float)):
        raise ValueError(
            f"fp16.loss_scale is {loss_scale!r}, expected 'dynamic', a number such as 512.0, or a "
            'dict of init_scale, mode, growth_factor, backoff_factor and growth_interval'
        )
    return LossScaler(float(loss_scale), mode='static')
