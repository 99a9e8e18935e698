"""Gradient norm and clipping."""

import math
from typing import Annotated, Literal

from mindspore import Tensor, nn, ops

from msseg.utils.arguments import Positive, Range, checked

NormType = Annotated[float, Range(0, math.inf, above=True)] | Literal['inf']

# Maps, not loops: a loop that adds to a tuple makes a graph grow with the square of the number of
# gradients (MindSpore 2.8).
_square = ops.MultitypeFuncGraph('square')
_maximum = ops.MultitypeFuncGraph('maximum')
_power = ops.MultitypeFuncGraph('power')
_scale = ops.MultitypeFuncGraph('scale')


@_square.register('Function', 'Tensor')
def _sum_of_squares(half_square: ops.L2Loss, grad: Tensor) -> Tensor:
    return 2.0 * half_square(grad.astype('float32'))


@_maximum.register('Tensor')
def _largest(grad: Tensor) -> Tensor:
    return ops.abs(grad.astype('float32')).max()


@_power.register('Float', 'Tensor')
def _sum_of_powers(exponent: float, grad: Tensor) -> Tensor:
    return ops.pow(ops.abs(grad.astype('float32')), exponent).sum()


@_scale.register('Tensor', 'Tensor')
def _scaled(factor: Tensor, grad: Tensor) -> Tensor:
    return grad * factor.astype(grad.dtype)


class GradNorm(nn.Cell):
    """The joint norm of all gradients.

    Args:
        norm_type: p of the p-norm, or ``inf``.
    """

    def __init__(self, norm_type: float = 2.0) -> None:
        super().__init__(auto_prefix=False)
        self.norm_type = norm_type
        self.is_euclidean = norm_type == 2.0
        self.is_infinity_norm = math.isinf(norm_type)
        self.half_square = ops.L2Loss()
        self.map = ops.HyperMap()

    def construct(self, grads: tuple) -> Tensor:
        """Return the norm, a float32 scalar; NaN or infinite when a gradient is."""
        if self.is_euclidean:
            parts = self.map(ops.partial(_square, self.half_square), grads)
        elif self.is_infinity_norm:
            parts = self.map(_maximum, grads)
        else:
            parts = self.map(ops.partial(_power, self.norm_type), grads)
        together = ops.stack(parts)
        if self.is_infinity_norm:
            return together.max()
        return ops.pow(together.sum(), 1.0 / self.norm_type)


class GradClip(nn.Cell):
    """Scale all gradients so that their joint norm is at most `max_norm`.

    Args:
        max_norm: Largest norm let through.
        norm_type: p of the p-norm, or ``inf``.

    Raises:
        ValueError: `max_norm` or `norm_type` is not positive.

    Source: PyTorch ``clip_grad_norm_``: the factor is max_norm / (norm + 1e-6), at most 1.
    """

    @checked
    def __init__(self, max_norm: Positive, norm_type: NormType = 2.0) -> None:
        super().__init__(auto_prefix=False)
        norm_type = float(norm_type)
        self.max_norm = float(max_norm)
        self.norm = GradNorm(norm_type)
        self.map = ops.HyperMap()

    def construct(self, grads: tuple, norm: Tensor) -> tuple:
        """Return the clipped gradients; `norm` is what ``self.norm`` says of them."""
        factor = ops.minimum(self.max_norm / (norm + 1e-6), Tensor(1.0))
        return self.map(ops.partial(_scale, factor), grads)
