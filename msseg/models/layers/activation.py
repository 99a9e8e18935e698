"""Activation layers from ``act_cfg``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import mindspore as ms
from mindspore import nn, ops

from msseg.registry import Registry
from msseg.utils.errors import UserKeyError, UserValueError
from msseg.utils.target import get_target
from msseg.utils.upstream import check_cell

ACTIVATION_LAYERS = Registry('activation layer', check_cell)
RELU: Mapping = MappingProxyType({'type': 'ReLU'})


@ACTIVATION_LAYERS.register_module()
class GELU(nn.Cell):
    """Gaussian error linear unit ``x * Phi(x)``, exact.

    MindSpore's ``nn.GELU`` is by default the approximation by tanh, which differs from PyTorch's
    by up to 5e-4: converted weights would not give the same logits.
    """

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return x * (0.5 * (1.0 + ops.erf(x * math.sqrt(0.5))))


@ACTIVATION_LAYERS.register_module(['Swish', 'SiLU'])
class SiLU(nn.SiLU):
    """``x * sigmoid(x)``."""

    def __init__(self) -> None:
        super().__init__()


@ACTIVATION_LAYERS.register_module()
class HSigmoid(nn.Cell):
    """Hard sigmoid: ``clip((x + bias) / divisor, min_value, max_value)``.

    Args:
        bias: Added to the input.
        divisor: Divisor of the sum.
        min_value: Lower bound of the result.
        max_value: Upper bound of the result.

    Source: MMCV 1.7 ``HSigmoid``.
    """

    def __init__(
        self,
        bias: float = 3.0,
        divisor: float = 6.0,
        min_value: float = 0.0,
        max_value: float = 1.0,
    ) -> None:
        super().__init__()
        if divisor == 0:
            raise UserValueError(key='divisor', got=0, expected='another number', who='HSigmoid')
        self.bias, self.divisor = bias, divisor
        self.bounds = (min_value, max_value)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        y = (x + self.bias) / self.divisor
        return ops.minimum(ops.maximum(y, self.bounds[0]), self.bounds[1])


@ACTIVATION_LAYERS.register_module()
class HSwish(nn.Cell):
    """Hard swish: ``x * relu6(x + 3) / 6``."""

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return x * ops.relu6(x + 3.0) / 6.0


@ACTIVATION_LAYERS.register_module()
def LeakyReLU(negative_slope: float = 0.01) -> nn.Cell:
    """Build ``max(x, negative_slope * x)``."""
    return nn.LeakyReLU(alpha=negative_slope)


@ACTIVATION_LAYERS.register_module()
def PReLU(num_parameters: int = 1, init: float = 0.25) -> nn.Cell:
    """Build a leaky ReLU whose slopes are learnt.

    Args:
        num_parameters: 1, or as many as there are channels.
        init: Initial slope.
    """
    on_cpu = get_target().name == 'CPU'
    return (CpuPReLU if on_cpu else nn.PReLU)(channel=num_parameters, w=init)


class CpuPReLU(nn.PReLU):
    """``nn.PReLU`` by elementary operators, for a gradient of the slopes that is always the same.

    That of MindSpore's operator depends on how its threads meet (CPU, 2.8): a resumed run would not
    be bit for bit the uninterrupted one.
    """

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, c, ...)."""
        slopes = self.w.astype(x.dtype).reshape(_of_channels(self.w.shape[0], x.ndim))
        return ops.relu(x) - slopes * ops.relu(-x)


@ops.constexpr
def _of_channels(count: int, rank: int) -> tuple[int, ...]:
    return (1, count, *(1,) * (rank - 2))


@ACTIVATION_LAYERS.register_module()
def ELU(alpha: float = 1.0) -> nn.Cell:
    """Build ``x`` above 0 and ``alpha * (exp(x) - 1)`` below."""
    return nn.ELU(alpha)


for _layer in (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Tanh):
    ACTIVATION_LAYERS.register_module(module=_layer)


def build_activation_layer(act_cfg: Mapping) -> nn.Cell:
    """Build the activation that an ``act_cfg`` names.

    Args:
        act_cfg: Such as ``dict(type='ReLU')``, with a name in `ACTIVATION_LAYERS`; ``inplace`` has
            no meaning here and is accepted.

    Raises:
        KeyError: An unknown ``type``.
        TypeError: An argument that the activation does not take.

    Examples:
        >>> type(build_activation_layer(dict(type='ReLU', inplace=True))).__name__
        'ReLU'
    """
    if 'type' not in act_cfg:
        raise UserKeyError(f'the key "type" is missing, got {dict(act_cfg)!r}', who='act_cfg')
    options = act_cfg.copy()
    options.pop('inplace', None)
    return ACTIVATION_LAYERS.build(options)
